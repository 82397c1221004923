import { hash, timingSafeEqual } from "node:crypto";
import { bcrypt } from "./bcrypt.ts";
import { md5Crypt, shaCrypt } from "./crypt.ts";

/** Answers whether a password is the right one. Slow ones are the hashes that are slow on purpose. */
export interface PasswordCheck {
  readonly isSlow: boolean;
  matches(password: string): boolean | Promise<boolean>;
}

/** bcrypt at 14 takes a second; more is a mistake or an attack. */
const MOST_COST = 14;
/** SHA-crypt: 40 times the default. */
const MOST_ROUNDS = 200_000;

/**
 * The users of an htpasswd text, later lines winning; or what is wrong with it, by line, without repeating any of it. Takes bcrypt
 * ($2a$, $2b$, $2y$), apr1 and MD5-crypt ($apr1$, $1$), SHA-crypt ($5$, $6$), {SHA}, {SSHA} and plain text, as the Collector does.
 */
export function parseHtpasswd(text: string): ReadonlyMap<string, PasswordCheck> | string {
  const users = new Map<string, PasswordCheck>();
  for (const [i, line] of text.split("\n").entries()) {
    const entry = line.trim();
    if (entry === "" || entry.startsWith("#")) continue;
    const colon = entry.indexOf(":");
    if (colon <= 0) return `line ${i + 1} is not user:password`;
    const check = checkOf(entry.slice(colon + 1));
    if (typeof check === "string") return `line ${i + 1}: ${check}`;
    users.set(entry.slice(0, colon), check);
  }
  return users;
}

function checkOf(stored: string): PasswordCheck | string {
  if (/^\$2[aby]?\$/.test(stored)) return bcryptCheck(stored);
  const md5 = /^(\$apr1\$|\$1\$)([^$]{0,8})\$([./0-9A-Za-z]{22})$/.exec(stored);
  if (md5 !== null) {
    const [, magic, salt = "", rest = ""] = md5;
    const name = magic === "$1$" ? magic : "$apr1$";
    return slow((password) => isSame(md5Crypt(name, password, salt), rest));
  }
  const sha = /^\$([56])\$(?:rounds=(\d+)\$)?([^$]{0,16})\$([./0-9A-Za-z]+)$/.exec(stored);
  if (sha !== null) {
    const [, kind, given, salt = "", rest = ""] = sha;
    const rounds = given === undefined ? undefined : Math.max(1_000, Number(given));
    if (rounds !== undefined && rounds > MOST_ROUNDS)
      return `${rounds} rounds take too long: use at most ${MOST_ROUNDS}`;
    const algorithm = kind === "5" ? "sha256" : "sha512";
    return slow((password) => isSame(shaCrypt(algorithm, password, salt, rounds), rest));
  }
  if (stored.startsWith("{SHA}"))
    return fast((password) => isSame(hash("sha1", password, "base64"), stored.slice(5)));
  if (stored.startsWith("{SSHA}")) return saltedSha(stored.slice(6));
  if (/^\$[^$]*\$|^\{[A-Z0-9]+\}/.test(stored))
    return "this kind of hash is not known: use htpasswd -B (bcrypt), or openssl passwd -6";
  return fast((password) => isSame(password, stored));
}

function bcryptCheck(stored: string): PasswordCheck | string {
  const parts = /^\$2[aby]?\$(\d\d)\$([./0-9A-Za-z]{22})([./0-9A-Za-z]{31})$/.exec(stored);
  if (parts === null) return "the bcrypt hash is not whole";
  const [, digits, salt = "", rest = ""] = parts;
  const cost = Number(digits);
  if (cost < 4 || cost > MOST_COST)
    return `a bcrypt cost of ${cost} is not taken: use 4 to ${MOST_COST}`;
  return slow(async (password) => isSame(await bcrypt(password, salt, cost), salt + rest));
}

/** {SSHA}: base 64 of a SHA-1 and the salt behind it. */
function saltedSha(encoded: string): PasswordCheck | string {
  const bytes = Buffer.from(encoded, "base64");
  if (bytes.length <= 20) return "the {SSHA} hash is not whole";
  const salt = bytes.subarray(20);
  return fast((password) =>
    timingSafeEqual(
      hash("sha1", Buffer.concat([Buffer.from(password), salt]), "buffer"),
      bytes.subarray(0, 20),
    ),
  );
}

function fast(matches: PasswordCheck["matches"]): PasswordCheck {
  return { isSlow: false, matches };
}

function slow(matches: PasswordCheck["matches"]): PasswordCheck {
  return { isSlow: true, matches };
}

/** In a time that tells nothing about where they differ. */
function isSame(a: string, b: string): boolean {
  return timingSafeEqual(hash("sha256", a, "buffer"), hash("sha256", b, "buffer"));
}
