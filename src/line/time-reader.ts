import { LiteralReader } from "./literals.ts";
import { Problem } from "./problems.ts";

/** Digits of a time in nanoseconds, */
export const NANOS_DIGITS = 19;
/** and of its seconds. */
const SECONDS_DIGITS = 10;

/** Reads times; the result stays in its members until the next call. Lines of one second have the first ten digits in common. */
export class TimeReader {
  low = 0;
  high = 0;
  readonly #literal = new LiteralReader();
  /** The first ten digits of a time before, as text, and the nanoseconds that they stand for. */
  #first = 0x30303030;
  #second = 0x30303030;
  #third = 0x3030;
  #baseLow = 0;
  #baseHigh = 0;

  /** `[from, end)` is a time, as int64. */
  read(bytes: Uint8Array, view: DataView, from: number, end: number): Problem {
    if (end - from !== NANOS_DIGITS) return this.#slowly(bytes, from, end);
    if (view.getInt32(from) !== this.#first || view.getInt32(from + 4) !== this.#second)
      return this.#learn(bytes, view, from, end);
    if (view.getInt16(from + 8) !== this.#third) return this.#learn(bytes, view, from, end);
    let rest = 0;
    for (let p = from + SECONDS_DIGITS; p < end; p++) {
      const digit = bytes[p]! - 48;
      if (digit < 0 || digit > 9) return Problem.number;
      rest = rest * 10 + digit;
    }
    const low = this.#baseLow + rest;
    this.low = low >>> 0;
    this.high = low > 0xffffffff ? this.#baseHigh + 1 : this.#baseHigh;
    return Problem.none;
  }

  #slowly(bytes: Uint8Array, from: number, end: number): Problem {
    const problem = this.#literal.integer(bytes, from, end, true);
    this.low = this.#literal.low;
    this.high = this.#literal.high;
    return problem;
  }

  /** Keeps the seconds of a time that is neither negative nor near the end of 64 bits. */
  #learn(bytes: Uint8Array, view: DataView, from: number, end: number): Problem {
    const problem = this.#slowly(bytes, from, end);
    if (problem !== Problem.none || bytes[from]! < 48 || bytes[from]! > 56) return problem;
    let rest = 0;
    for (let p = from + SECONDS_DIGITS; p < end; p++) rest = rest * 10 + bytes[p]! - 48;
    const isBorrowed = this.low < rest;
    this.#baseLow = isBorrowed ? this.low - rest + 4_294_967_296 : this.low - rest;
    this.#baseHigh = isBorrowed ? this.high - 1 : this.high;
    this.#first = view.getInt32(from);
    this.#second = view.getInt32(from + 4);
    this.#third = view.getInt16(from + 8);
    return problem;
  }
}
