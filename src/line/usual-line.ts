import { KNOWN_PAIRS as ImportedKnownPairs, type KnownKeys } from "./known-keys.ts";
import { Literal as ImportedLiteral } from "./literals.ts";
import type { NameScanner } from "./names.ts";
import {
  LITERAL_MASK as ImportedLiteralMask,
  Pair as ImportedPair,
  PAIR as ImportedPairSize,
  VALUE_ESCAPED as ImportedValueEscaped,
} from "./pair.ts";
import {
  NAME_MAX as ImportedNameMax,
  Problem as ImportedProblem,
  STRING_MAX as ImportedStringMax,
} from "./problems.ts";
import type { Scalars } from "./scalars.ts";
import { isLineEnd, type StringScanner } from "./strings.ts";
import { NANOS_DIGITS as ImportedNanosDigits, type TimeReader } from "./time-reader.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const COMMA = 44;
const NEWLINE = 10;
const QUOTE = 34;
const RETURN = 13;
const SPACE = 32;
const KNOWN_PAIRS = ImportedKnownPairs;
const Literal = ImportedLiteral;
const LITERAL_MASK = ImportedLiteralMask;
const PAIR = ImportedPairSize;
const Pair = ImportedPair;
const VALUE_ESCAPED = ImportedValueEscaped;
const NAME_MAX = ImportedNameMax;
const Problem = ImportedProblem;
const STRING_MAX = ImportedStringMax;
const NANOS_DIGITS = ImportedNanosDigits;

/**
 * Reads lines that are as most are: exactly the names of a known set, no text over a newline, no list, nothing behind the time. To every other
 * line, good or bad, it answers -1, and LineReader reads that one from its beginning.
 */
export class UsualLine {
  /** Kinds of the fields: bit 1 << Literal. */
  kinds = 0;
  hasTime = false;
  readonly #known: KnownKeys;
  readonly #names: NameScanner;
  readonly #strings: StringScanner;
  readonly #scalars: Scalars;
  readonly #times: TimeReader;
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #end = 0;

  /** The scanners have the same memory as this one. */
  constructor(
    known: KnownKeys,
    names: NameScanner,
    strings: StringScanner,
    scalars: Scalars,
    times: TimeReader,
  ) {
    this.#known = known;
    this.#names = names;
    this.#strings = strings;
    this.#scalars = scalars;
    this.#times = times;
  }

  reset(bytes: Uint8Array, view: DataView, end: number): void {
    this.#bytes = bytes;
    this.#view = view;
    this.#end = end;
  }

  /**
   * The line at `from`, whose measurement is that of `set`: its end, or -1. `pairs` and `numbers` have room for KNOWN_PAIRS, and hold
   * nothing of use when the answer is -1.
   */
  read(set: number, from: number, pairs: Int32Array, numbers: Float64Array): number {
    const known = this.#known;
    const index = set * KNOWN_PAIRS;
    const tags = known.tagCounts[set]!;
    const p = this.#tags(index, tags, from + known.measurements[set]!, pairs);
    if (p < 0) return -1;
    const behind = this.#fields(index, tags, known.fieldCounts[set]!, p, pairs, numbers);
    return behind < 0 ? -1 : this.#time(behind);
  }

  /** The tags, from the comma in front of the first on: what follows the last, or -1. */
  #tags(index: number, count: number, from: number, pairs: Int32Array): number {
    const bytes = this.#bytes;
    const names = this.#names;
    let p = from;
    for (let n = 0; n < count; n++) {
      const value = this.#behindKey(index + n, p + 1);
      if (value < 0 || bytes[p] !== COMMA) return -1;
      const end = names.end(value);
      if (end === value || end - value >= NAME_MAX) return -1;
      const i = n * PAIR;
      pairs[i + Pair.keyAt] = p + 1;
      pairs[i + Pair.keyEnd] = value - 1;
      pairs[i + Pair.valueAt] = value;
      pairs[i + Pair.valueEnd] = end;
      pairs[i + Pair.flags] = names.isEscaped ? Literal.text | VALUE_ESCAPED : Literal.text;
      p = end;
    }
    return p;
  }

  /** The fields, from the space in front of the first on: what follows the last, or -1. */
  #fields(
    index: number,
    tags: number,
    count: number,
    from: number,
    pairs: Int32Array,
    numbers: Float64Array,
  ): number {
    const bytes = this.#bytes;
    let before = SPACE;
    let kinds = 0;
    let p = from;
    for (let n = tags; n < tags + count; n++) {
      const value = this.#behindKey(index + n, p + 1);
      if (value < 0 || bytes[p] !== before) return -1;
      before = COMMA;
      const i = n * PAIR;
      pairs[i + Pair.keyAt] = p + 1;
      pairs[i + Pair.keyEnd] = value - 1;
      if (bytes[value] === QUOTE) p = this.#text(value, pairs, i);
      else p = this.#scalars.read(value, pairs, i, numbers, n);
      if (p < 0) return -1;
      kinds |= 1 << (pairs[i + Pair.flags]! & LITERAL_MASK);
    }
    this.kinds = kinds;
    return p;
  }

  /** Behind the known key `n` and its `=`, where a value stands, if the key is at `p`; else -1. */
  #behindKey(n: number, p: number): number {
    const known = this.#known;
    const length = known.lengths[n]!;
    const end = p + length;
    if (end >= this.#end) return -1;
    return known.isSame(known.starts[n]!, length, p) ? end : -1;
  }

  #text(quote: number, pairs: Int32Array, i: number): number {
    const strings = this.#strings;
    const close = strings.string(quote);
    if (close < 0 || strings.newlines > 0 || close - quote - 1 > STRING_MAX) return -1;
    pairs[i + Pair.valueAt] = quote + 1;
    pairs[i + Pair.valueEnd] = close;
    pairs[i + Pair.flags] = strings.isEscaped ? Literal.text | VALUE_ESCAPED : Literal.text;
    return close + 1;
  }

  /** The line's end behind the time at `from`, or behind none; -1 where something else stands. */
  #time(from: number): number {
    const bytes = this.#bytes;
    this.hasTime = false;
    if (isLineEnd(bytes, from, this.#end)) return from;
    if (bytes[from] !== SPACE) return -1;
    const at = from + 1;
    let p = at + NANOS_DIGITS;
    if (!isLineEnd(bytes, p, this.#end))
      for (p = at; p < this.#end && bytes[p] !== NEWLINE && bytes[p] !== RETURN; ) p++;
    if (p > this.#end || !isLineEnd(bytes, p, this.#end)) return -1;
    if (this.#times.read(bytes, this.#view, at, p) !== Problem.none) return -1;
    this.hasTime = true;
    return p;
  }
}
