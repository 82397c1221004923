import { SCALAR_END as ImportedScalarEnd } from "./characters.ts";
import { Literal as ImportedLiteral, LiteralReader } from "./literals.ts";
import { Pair as ImportedPair } from "./pair.ts";
import { NAME_MAX as ImportedNameMax, Problem as ImportedProblem } from "./problems.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const LETTER_I = 105;
const SCALAR_END = ImportedScalarEnd;
const Literal = ImportedLiteral;
const Pair = ImportedPair;
const NAME_MAX = ImportedNameMax;
const Problem = ImportedProblem;

/** An integer of up to so many digits is read in one go. */
const SHORT_DIGITS = 9;

/** Reads the numbers and booleans of fields into pairs. */
export class Scalars {
  /** Why the latest one is none. */
  problem: ImportedProblem = Problem.none;
  readonly #literal = new LiteralReader();
  #bytes: Uint8Array = new Uint8Array(0);
  #end = 0;

  reset(bytes: Uint8Array, end: number): void {
    this.#bytes = bytes;
    this.#end = end;
  }

  /** The scalar at `from` becomes the value of the pair at `i`, or of `numbers[n]` when it is a float: its end, or -1. */
  read(from: number, pairs: Int32Array, i: number, numbers: Float64Array, n: number): number {
    const bytes = this.#bytes;
    const end = this.#end;
    const stop = Math.min(end - 1, from + SHORT_DIGITS);
    let p = from;
    let value = 0;
    for (; p < stop; p++) {
      const digit = bytes[p]! - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    const isShort = p > from && p < end && bytes[p] === LETTER_I;
    if (!isShort || (p + 1 < end && SCALAR_END[bytes[p + 1]!] === 0))
      return this.#any(from, pairs, i, numbers, n);
    pairs[i + Pair.valueAt] = from;
    pairs[i + Pair.valueEnd] = p + 1;
    pairs[i + Pair.flags] = Literal.integer;
    pairs[i + Pair.low] = value;
    pairs[i + Pair.high] = 0;
    return p + 1;
  }

  #any(from: number, pairs: Int32Array, i: number, numbers: Float64Array, n: number): number {
    const bytes = this.#bytes;
    const literal = this.#literal;
    let p = from;
    for (; p < this.#end; p++) if (SCALAR_END[bytes[p]!] === 1) break;
    this.problem = p - from > NAME_MAX ? Problem.tooLong : literal.read(bytes, from, p);
    if (this.problem !== Problem.none) return -1;
    pairs[i + Pair.valueAt] = from;
    pairs[i + Pair.valueEnd] = p;
    pairs[i + Pair.flags] = literal.kind;
    pairs[i + Pair.low] = literal.low;
    pairs[i + Pair.high] = literal.high;
    numbers[n] = literal.number;
    return p;
  }
}
