import { bytesBelowMark } from "../wire/marks.ts";
import { CLOSE, STRING as ImportedString, LETTER_B, LIST_SCALAR } from "./characters.ts";
import { LiteralReader } from "./literals.ts";
import { Problem } from "./problems.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const COMMA = 44;
const SPACE = 32;
const NEWLINE = 10;
const QUOTE = 34;
const RETURN = 13;
const BACKSLASH = 92;
const STRING = ImportedString;

/** The same byte four times. */
const ONES = 0x01010101;
const HIGH_BITS = 0x80808080 | 0;
const QUOTES = 0x22222222;
const BACKSLASHES = 0x5c5c5c5c;
const NEWLINES = 0x0a0a0a0a;

/** Whether a line ends at `p`: the end, a newline, or a carriage return before one of them. */
export function isLineEnd(bytes: Uint8Array, p: number, end: number): boolean {
  if (p >= end) return true;
  const c = bytes[p];
  return c === NEWLINE || (c === RETURN && (p + 1 >= end || bytes[p + 1] === NEWLINE));
}

/** Finds the ends of quoted strings and of lists. What it saw on the way stays in its members until the next call. */
export class StringScanner {
  /** The string has a backslash. */
  isEscaped = false;
  /** False once a byte above 0x7f was seen; the caller sets it to true. */
  isAscii = true;
  /** First newline inside, or -1. */
  brokenAt = -1;
  newlines = 0;
  /** The memory ended first. */
  isUnclosed = false;
  readonly #literal = new LiteralReader();
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #end = 0;

  reset(bytes: Uint8Array, view: DataView, end: number): void {
    this.#bytes = bytes;
    this.#view = view;
    this.#end = end;
  }

  /** The closing quote, or -1. Tells about escapes, newlines and the first newline. */
  string(quote: number): number {
    const view = this.#view;
    const end = this.#end;
    const last = end - 8;
    this.isEscaped = false;
    this.brokenAt = -1;
    this.newlines = 0;
    this.isUnclosed = false;
    let p = quote + 1;
    while (p < end) {
      if (p <= last) {
        const odd = oddInString(view.getInt32(p, true));
        const oddAfter = oddInString(view.getInt32(p + 4, true));
        if ((odd | oddAfter) === 0) {
          p += 8;
          continue;
        }
        p += bytesBelowMark(odd, oddAfter);
      }
      const kind = STRING[this.#bytes[p]!]!;
      if (kind === 1) return p;
      p = kind === 0 ? p + 1 : this.#behind(p, kind);
    }
    this.isUnclosed = true;
    return -1;
  }

  /** Behind the backslash, newline or byte above 0x7f at `p`, and behind what the backslash escapes. */
  #behind(p: number, kind: number): number {
    if (kind === 2) {
      this.isEscaped = true;
      const c = p + 1 < this.#end ? this.#bytes[p + 1] : 0;
      return c === QUOTE || c === BACKSLASH ? p + 2 : p + 1;
    }
    if (kind === 3) this.isAscii = false;
    else {
      if (this.brokenAt < 0) this.brokenAt = p;
      this.newlines++;
    }
    return p + 1;
  }

  /** Behind the string that `string` closed at `close`, or -1 when its quote was forgotten (see LineReader). */
  behindString(close: number): number {
    if (close < 0) return -1;
    const end = close + 1;
    if (this.#isValueEnd(end)) return end;
    // DataKit marks base64 text with a `b` behind the quote.
    if (this.#bytes[end] === LETTER_B && this.#isValueEnd(end + 1)) return end + 1;
    return this.brokenAt < 0 ? end : -1;
  }

  #isValueEnd(p: number): boolean {
    const c = p < this.#end ? this.#bytes[p] : COMMA;
    return c === COMMA || c === SPACE || isLineEnd(this.#bytes, p, this.#end);
  }

  /** Behind the bracket that closes a flat list of scalars and strings, or -1. */
  behindList(open: number): number {
    const bytes = this.#bytes;
    const end = this.#end;
    let total = 0;
    let brokenAt = -1;
    this.brokenAt = -1;
    this.newlines = 0;
    this.isUnclosed = false;
    let p = behindSpaces(bytes, open + 1, end);
    for (let isFirst = true; ; isFirst = false) {
      if (p < end && bytes[p] === CLOSE && isFirst) break;
      if (p < end && bytes[p] === QUOTE) {
        const close = this.string(p);
        if (brokenAt < 0) brokenAt = this.brokenAt;
        total += this.newlines;
        this.brokenAt = brokenAt;
        if (close < 0) return -1;
        p = close + 1;
      } else {
        const from = p;
        while (p < end && LIST_SCALAR[bytes[p]!] === 1) p++;
        if (this.#literal.read(bytes, from, p) !== Problem.none) return -1;
      }
      p = behindSpaces(bytes, p, end);
      if (p < end && bytes[p] === CLOSE) break;
      this.isUnclosed = p >= end;
      if (p >= end || bytes[p] !== COMMA) return -1;
      p = behindSpaces(bytes, p + 1, end);
    }
    this.newlines = total;
    return p + 1;
  }
}

/** Behind the spaces at `from`. */
export function behindSpaces(bytes: Uint8Array, from: number, end: number): number {
  let p = from;
  while (p < end && bytes[p] === SPACE) p++;
  return p;
}

/** Marks (bit 7 of a byte) quotes, backslashes, newlines and bytes above 0x7f. The lowest mark is never wrong. */
function oddInString(word: number): number {
  return (
    (word | ((word ^ QUOTES) - ONES) | ((word ^ BACKSLASHES) - ONES) | ((word ^ NEWLINES) - ONES)) &
    HIGH_BITS
  );
}
