import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { type PasswordCheck, parseHtpasswd } from "./htpasswd.ts";

/** Slow hashes that may wait their turn; who comes behind them is turned away. */
const MOST_WAITING = 64;

/**
 * Who may send. Slow hashes are computed one at a time, and only once for each right password: afterwards a keyed digest of it is
 * compared. So clients pay nothing per request, and guessing cannot take more than a part of one core. A name that is not there is
 * checked against the hash of another, so that the time of an answer does not tell which names are.
 */
export class Users {
  readonly #key = randomBytes(32);
  #checks: ReadonlyMap<string, PasswordCheck> = new Map();
  /** Digest of the last right password, by user. */
  readonly #right = new Map<string, Buffer>();
  readonly #running = new Map<string, Promise<boolean>>();
  #last: Promise<unknown> = Promise.resolve();

  /** Takes the users of `file` and `inline`; the latter win. The texts were checked when the configuration was read, or throw. */
  use(file: string, inline: string): number {
    const checks = new Map<string, PasswordCheck>();
    for (const text of [file, inline]) {
      const users = parseHtpasswd(text);
      if (typeof users === "string") throw new Error(users);
      for (const [name, check] of users) checks.set(name, check);
    }
    this.#checks = checks;
    this.#right.clear();
    return checks.size;
  }

  /** "busy": too many slow hashes wait already. */
  matches(user: string, password: string): boolean | Promise<boolean | "busy"> {
    const check = this.#checks.get(user);
    const digest = createHmac("sha256", this.#key).update(`${user}:${password}`).digest();
    const right = this.#right.get(user);
    if (right !== undefined && timingSafeEqual(right, digest)) return true;
    if (check === undefined) return this.#unknown(user, password, digest);
    return check.isSlow ? this.#inTurn(user, check, password, digest) : check.matches(password);
  }

  /** False, after as long as one of the users takes to be refused: for each name always the same one. */
  #unknown(user: string, password: string, digest: Buffer): boolean | Promise<boolean | "busy"> {
    const all = [...this.#checks.values()];
    const pick = createHmac("sha256", this.#key).update(user).digest().readUInt32LE();
    const stand = all[pick % all.length];
    if (stand === undefined) return false;
    const refused: PasswordCheck = {
      isSlow: stand.isSlow,
      matches: async (given) => {
        await stand.matches(given);
        return false;
      },
    };
    return stand.isSlow ? this.#inTurn(user, refused, password, digest) : false;
  }

  #inTurn(
    user: string,
    check: PasswordCheck,
    password: string,
    digest: Buffer,
  ): Promise<boolean | "busy"> {
    const id = digest.toString("base64");
    const running = this.#running.get(id);
    if (running !== undefined) return running;
    if (this.#running.size >= MOST_WAITING) return Promise.resolve("busy");
    const answer = this.#last.then(async () => {
      const isRight = await check.matches(password);
      // Not when the users were changed meanwhile.
      if (isRight && this.#checks.get(user) === check) this.#right.set(user, digest);
      return isRight;
    });
    this.#running.set(id, answer);
    this.#last = answer.then(
      () => this.#running.delete(id),
      () => this.#running.delete(id),
    );
    return answer;
  }
}
