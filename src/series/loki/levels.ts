import { NameMap } from "../../line/name-map.ts";

/** Values of the label `level`, by number; few, whatever senders write, because each makes streams of its own. */
export const LEVELS = ["unknown", "trace", "debug", "info", "warn", "error", "fatal"] as const;

/** Words for a severity, in lower case. */
const WORDS: Readonly<Record<(typeof LEVELS)[number], readonly string[]>> = {
  unknown: [],
  trace: ["trace", "trc", "verbose"],
  debug: ["debug", "dbg"],
  info: ["info", "inf", "information", "informational", "notice"],
  warn: ["warn", "warning", "wrn"],
  error: ["error", "err", "eror"],
  fatal: ["fatal", "critical", "crit", "alert", "emerg", "emergency", "panic"],
};
const LONGEST = 13;
const CASE = 32;

/** Number of a level by severity number (1–24), four of which are one level; 0 for others. */
export function levelOfNumber(severity: number): number {
  return severity > 0 && severity < 25 ? ((severity + 3) >>> 2) | 0 : 0;
}

/** Reads levels from text in any case. */
export class LevelWords {
  readonly #words = new NameMap(
    new Map(LEVELS.flatMap((level, i) => WORDS[level].map((word) => [word, i] as const))),
  );
  readonly #lower = new Uint8Array(LONGEST);

  /** The level that `bytes[from, end)` is a word for; 0 when it is none. */
  get(bytes: Uint8Array, from: number, end: number): number {
    const length = end - from;
    if (length < 1 || length > LONGEST) return 0;
    const lower = this.#lower;
    for (let i = 0; i < length; i++) {
      const c = bytes[from + i]!;
      lower[i] = c > 64 && c < 91 ? c + CASE : c;
    }
    return Math.max(this.#words.get(lower, 0, length), 0);
  }
}
