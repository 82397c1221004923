import type { RecordDoor } from "../../series/records/record-door.ts";
import { isWide, wholeEnd } from "./characters.ts";
import { type Chunk, type Parter, type Taken, Turn } from "./chunk.ts";
import type { Config } from "./config.ts";
import type { Given } from "./given.ts";
import { Texts } from "./texts.ts";

const NEWLINE = 10;

/** Where lines end, in units of one byte or two. */
export class LineEnds {
  /** Bytes of a character's unit. */
  readonly unit: 1 | 2;
  /** Of the newline in its unit: the byte that is 10. */
  readonly #low: 0 | 1;

  constructor(config: Config) {
    this.unit = isWide(config.encoding) ? 2 : 1;
    this.#low = config.encoding === "utf-16be" ? 1 : 0;
  }

  /** Position behind the newline of the line that begins at `from`; -1: there is none before `to`. */
  behind(bytes: Uint8Array, from: number, to: number): number {
    if (this.unit === 1) {
      const at = bytes.indexOf(NEWLINE, from);
      return at < 0 || at >= to ? -1 : at + 1;
    }
    for (let p = from; p + 1 < to; p += 2)
      if (bytes[p + this.#low] === NEWLINE && bytes[p + 1 - this.#low] === 0) return p + 2;
    return -1;
  }
}

/** Bytes of the byte order mark at the beginning. */
export function markLength(
  bytes: Uint8Array,
  from: number,
  to: number,
  { encoding }: Config,
): number {
  const [a, b, c] = bytes.subarray(from, Math.min(to, from + 3));
  if (encoding === "utf-8") return a === 0xef && b === 0xbb && c === 0xbf ? 3 : 0;
  if (encoding === "utf-16le") return a === 0xff && b === 0xfe ? 2 : 0;
  return encoding === "utf-16be" && a === 0xfe && b === 0xff ? 2 : 0;
}

/** A record for each line. Long ones are parted, cut or left out. */
export class Lines implements Parter {
  readonly #config: Config;
  readonly #ends: LineEnds;
  readonly #texts: Texts;

  constructor(config: Config) {
    this.#config = config;
    this.#ends = new LineEnds(config);
    this.#texts = new Texts(config);
  }

  part(chunk: Chunk, door: RecordDoor, given: Given): Taken {
    const { bytes, to } = chunk;
    const { max_log_size: most, max_log_size_behavior: behavior } = this.#config;
    const texts = this.#texts;
    const turn = new Turn();
    texts.begin(chunk);
    door.given = given.plain;
    let p = chunk.from;
    let { isInside } = chunk;
    let skipped = 0;
    if (chunk.isStart) p += markLength(bytes, p, to, this.#config);
    while (p < to) {
      const behind = this.#ends.behind(bytes, p, to);
      const isWhole = behind >= 0 || chunk.isEnd;
      // Half of a character stays for the next stretch.
      const open = isWhole ? to : to - ((to - p) % this.#ends.unit);
      const end = behind < 0 ? open : behind;
      if (isInside) {
        if (end === p) break;
        p = end;
        isInside = behind < 0;
        continue;
      }
      if (end - p > most + 2 * this.#ends.unit) {
        const cut = wholeEnd(bytes, p, p + most, this.#config.encoding);
        if (behavior === "skip") skipped++;
        else texts.take(chunk, p, cut, door);
        p = behavior === "split" ? cut : end;
        isInside = behavior !== "split" && behind < 0;
      } else if (isWhole) {
        texts.take(chunk, p, end, door);
        p = end;
      } else break;
      if (turn.isOver()) break;
    }
    return { used: p, isInside, skipped, replaced: texts.replaced };
  }
}
