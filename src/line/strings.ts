import {
  BACKSLASH,
  CLOSE,
  COMMA,
  LETTER_B,
  LIST_SCALAR,
  NEWLINE,
  QUOTE,
  RETURN,
  SPACE,
  STRING,
} from "./characters.ts";
import { LiteralReader } from "./literals.ts";
import { Problem } from "./problems.ts";

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
    const bytes = this.#bytes;
    const end = this.#end;
    let p = this.#skipPlain(quote + 1);
    this.isEscaped = false;
    this.brokenAt = -1;
    this.newlines = 0;
    this.isUnclosed = false;
    for (;;) {
      while (p < end && STRING[bytes[p]!] === 0) p++;
      if (p >= end) {
        this.isUnclosed = true;
        return -1;
      }
      const kind = STRING[bytes[p]!]!;
      if (kind === 1) return p;
      if (kind === 2) {
        this.isEscaped = true;
        const c = p + 1 < end ? bytes[p + 1] : 0;
        if (c === QUOTE || c === BACKSLASH) p++;
      } else if (kind === 3) this.isAscii = false;
      else {
        if (this.brokenAt < 0) this.brokenAt = p;
        this.newlines++;
      }
      p++;
    }
  }

  /** Passes over words without quotes, backslashes, newlines and bytes above 0x7f. */
  #skipPlain(from: number): number {
    const view = this.#view;
    const last = this.#end - 4;
    let p = from;
    for (; p <= last; p += 4) {
      const word = view.getInt32(p, true);
      const special =
        word |
        ((word ^ QUOTES) - ONES) |
        ((word ^ BACKSLASHES) - ONES) |
        ((word ^ NEWLINES) - ONES);
      if ((special & HIGH_BITS) !== 0) break;
    }
    return p;
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
    let p = this.#behindSpaces(open + 1);
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
      p = this.#behindSpaces(p);
      if (p < end && bytes[p] === CLOSE) break;
      this.isUnclosed = p >= end;
      if (p >= end || bytes[p] !== COMMA) return -1;
      p = this.#behindSpaces(p + 1);
    }
    this.newlines = total;
    return p + 1;
  }

  #behindSpaces(from: number): number {
    let p = from;
    while (p < this.#end && this.#bytes[p] === SPACE) p++;
    return p;
  }
}
