import { HEX_VALUES } from "./hex.ts";

/** Deepest nesting of a value that is only skipped. */
const MAX_NESTING = 8_192;
/** Zeros behind the end: no string, number or literal goes on over them, so that no loop asks for the end. */
const SENTINEL_BYTES = 8;
const NEVER = 0x7fff_ffff;
const NO_BYTES = new Uint8Array(0);
const NO_VIEW = new DataView(new ArrayBuffer(0));

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const OPEN_OBJECT = 0x7b;
const LETTER_U = 0x75;
const REPLACEMENT = 0xfffd;

/** What stands for the letter behind a backslash; 0: no such escape (and `u`, which has digits). */
const ESCAPES = new Uint8Array(256);
for (const [letter, meaning] of ['""', "\\\\", "//", "b\b", "f\f", "n\n", "r\r", "t\t"])
  ESCAPES[(letter as string).charCodeAt(0)] = (meaning as string).charCodeAt(0);
/** The high bit of each byte of `x` that ends a run of plain text: a quote, a backslash, a control character. The lowest one is exact. */
export function textStops(x: number): number {
  const y = x ^ 0x5c5c5c5c;
  return ((((x ^ 0x02020202) - 0x21212121) & ~x) | ((y - 0x01010101) & ~y)) & 0x80808080;
}

/** Which of the four bytes the lowest bit of `textStops` stands for. */
export function firstStop(stops: number): number {
  return (31 - Math.clz32(stops & -stops)) >>> 3;
}

/**
 * Tokens of JSON (RFC 8259) as positions in UTF-8 memory; makes no objects and no strings. Functions take a position and give the one behind
 * the token, or -1: then `failedAt` and `expected` say what is wrong. Checks all of JSON's grammar, but not the UTF-8 in texts.
 */
export class JsonScan {
  bytes: Uint8Array = NO_BYTES;
  view: DataView = NO_VIEW;
  /** Behind the last byte of the text. */
  end = 0;
  failedAt = -1;
  expected = "";
  /** Where `text` ended in its target; when it failed at `failedAt`, what it had written by then. */
  written = 0;
  /** Open brackets around the place where `skipSome` paused; 0: it did not. */
  openBrackets = 0;
  readonly #brackets = new Uint8Array(MAX_NESTING);
  #heldLow = 0;
  #heldHigh = 0;
  #narrowedLow = 0;
  #narrowedHigh = 0;
  #wideEnd = 0;

  /** Reads `bytes[0, end)`. Until `release`, 8 bytes behind `end` are zero; then they are again what they were. */
  begin(bytes: Uint8Array, view: DataView, end: number): void {
    if (end + SENTINEL_BYTES > bytes.length)
      throw new RangeError(`no room for a sentinel behind ${end} bytes of JSON`);
    this.bytes = bytes;
    this.view = view;
    this.end = end;
    this.failedAt = -1;
    this.expected = "";
    this.#heldLow = view.getInt32(end, true);
    this.#heldHigh = view.getInt32(end + 4, true);
    view.setInt32(end, 0, true);
    view.setInt32(end + 4, 0, true);
  }

  release(): void {
    this.view.setInt32(this.end, this.#heldLow, true);
    this.view.setInt32(this.end + 4, this.#heldHigh, true);
    this.bytes = NO_BYTES;
    this.view = NO_VIEW;
  }

  /** Lets the text end at `end`, which is before its own, until `widen`. What is read meanwhile fails there as it would at the end. */
  narrow(end: number): void {
    const { view } = this;
    this.#narrowedLow = view.getInt32(end, true);
    this.#narrowedHigh = view.getInt32(end + 4, true);
    this.#wideEnd = this.end;
    this.end = end;
    view.setInt32(end, 0, true);
    view.setInt32(end + 4, 0, true);
  }

  widen(): void {
    this.view.setInt32(this.end, this.#narrowedLow, true);
    this.view.setInt32(this.end + 4, this.#narrowedHigh, true);
    this.end = this.#wideEnd;
  }

  fail(at: number, expected: string): -1 {
    this.failedAt = at;
    this.expected = expected;
    return -1;
  }

  /** The first position from `p` on that is no white space. */
  space(p: number): number {
    const bytes = this.bytes;
    let c = bytes[p]!;
    while (c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09) c = bytes[++p]!;
    return p;
  }

  /** Copies the text behind the quote before `p`, unescaped, to `target[o]`; overshoots by up to 3 bytes. */
  text(p: number, target: DataView, o: number): number {
    const view = this.view;
    for (;;) {
      let x = view.getInt32(p, true);
      let stops = textStops(x);
      while (stops === 0) {
        target.setInt32(o, x, true);
        p += 4;
        o += 4;
        x = view.getInt32(p, true);
        stops = textStops(x);
      }
      target.setInt32(o, x, true);
      const n = firstStop(stops);
      p += n;
      o += n;
      const c = this.bytes[p]!;
      this.written = o;
      if (c === QUOTE) return p + 1;
      if (c !== BACKSLASH) return this.#badText(p);
      p = this.#unescape(p, target, o);
      if (p < 0) return -1;
      o = this.written;
    }
  }

  /** The end of the text behind the quote before `p`. */
  textEnd(p: number): number {
    const view = this.view;
    for (;;) {
      let stops = textStops(view.getInt32(p, true));
      while (stops === 0) {
        p += 4;
        stops = textStops(view.getInt32(p, true));
      }
      p += firstStop(stops);
      const c = this.bytes[p]!;
      if (c === QUOTE) return p + 1;
      if (c !== BACKSLASH) return this.#badText(p);
      p = this.#escapeEnd(p);
      if (p < 0) return -1;
    }
  }

  #badText(p: number): -1 {
    const isEnd = p >= this.end;
    return this.fail(p, isEnd ? "the end of a text" : "an escape for the control character");
  }

  /** End of the escape whose backslash is at `p`. */
  #escapeEnd(p: number): number {
    const letter = this.bytes[p + 1]!;
    if (ESCAPES[letter] !== 0) return p + 2;
    if (letter === LETTER_U && this.#unit(p + 2) >= 0) return p + 6;
    return this.fail(p, "a known escape");
  }

  /** The four hex digits at `p`, or -1. */
  #unit(p: number): number {
    const bytes = this.bytes;
    const a = HEX_VALUES[bytes[p]!]!;
    const b = HEX_VALUES[bytes[p + 1]!]!;
    const c = HEX_VALUES[bytes[p + 2]!]!;
    const d = HEX_VALUES[bytes[p + 3]!]!;
    return (a | b | c | d) > 15 ? -1 : (a << 12) | (b << 8) | (c << 4) | d;
  }

  /** Whether `\u` is at `p`, or the text of which it could be the beginning ends there. */
  #isUnitOrEnd(p: number): boolean {
    if (p >= this.end) return true;
    return this.bytes[p] === BACKSLASH && (p + 1 >= this.end || this.bytes[p + 1] === LETTER_U);
  }

  #unescape(p: number, target: DataView, o: number): number {
    const next = this.#escapeEnd(p);
    if (next < 0) return -1;
    const letter = this.bytes[p + 1]!;
    if (letter !== LETTER_U) {
      target.setUint8(o, ESCAPES[letter]!);
      this.written = o + 1;
      return next;
    }
    const unit = this.#unit(p + 2);
    if (unit >>> 11 !== 0x1b) {
      this.written = writeCodePoint(target, o, unit);
      return next;
    }
    // A surrogate: half of a pair, or alone and then nothing.
    const isHigh = unit < 0xdc00;
    const isPair = isHigh && this.#isUnitOrEnd(next);
    if (isPair && next + 6 > this.end) return this.fail(p, "the end of a text");
    const low = isPair ? this.#unit(next + 2) : -1;
    if (low >>> 10 !== 0x37) {
      this.written = writeCodePoint(target, o, REPLACEMENT);
      return next;
    }
    this.written = writeCodePoint(target, o, 0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff));
    return next + 6;
  }

  /** The end of the number at `p`. */
  numberEnd(p: number): number {
    const bytes = this.bytes;
    let q = bytes[p] === 0x2d ? p + 1 : p;
    const first = q;
    while (isDigit(bytes[q]!)) q++;
    if (q === first) return this.fail(q, "a digit");
    if (q - first > 1 && bytes[first] === 0x30)
      return this.fail(first, "a number without a leading zero");
    if (bytes[q] === 0x2e) {
      const fraction = ++q;
      while (isDigit(bytes[q]!)) q++;
      if (q === fraction) return this.fail(q, "a digit behind the point");
    }
    if ((bytes[q]! | 0x20) === 0x65) {
      q++;
      if (bytes[q] === 0x2b || bytes[q] === 0x2d) q++;
      const exponent = q;
      while (isDigit(bytes[q]!)) q++;
      if (q === exponent) return this.fail(q, "a digit of the exponent");
    }
    return q;
  }

  /** The end of `true`, `false` or `null` at `p`. */
  literalEnd(p: number): number {
    const word = this.view.getInt32(p, true);
    if (word === 0x65757274 || word === 0x6c6c756e) return p + 4;
    if (word === 0x736c6166 && this.bytes[p + 4] === 0x65) return p + 5;
    return this.fail(p, "a value");
  }

  /** The end of the value at `p`, whatever it is. */
  skip(p: number): number {
    this.openBrackets = 0;
    return this.skipSome(p, NEVER);
  }

  /**
   * The same, but in an object or list it pauses at the first value behind `pause`, with `openBrackets` above 0: call it again from
   * there, and do nothing else with this scan before. Set `openBrackets` to 0 to begin.
   */
  skipSome(p: number, pause: number): number {
    const bytes = this.bytes;
    let depth = this.openBrackets;
    for (;;) {
      p = this.space(p);
      if (p >= pause && depth > 0) {
        this.openBrackets = depth;
        return p;
      }
      const c = bytes[p]!;
      if (c === OPEN_OBJECT || c === OPEN_LIST) {
        p = this.space(p + 1);
        if (bytes[p] !== c + 2) {
          if (depth === MAX_NESTING) return this.fail(p, `at most ${MAX_NESTING} open brackets`);
          this.#brackets[depth++] = c;
          if (c === OPEN_OBJECT) p = this.nameEnd(p);
          if (p < 0) return -1;
          continue;
        }
        p++;
      } else p = this.#plainEnd(p, c);
      if (p < 0) return -1;
      while (depth > 0) {
        p = this.space(p);
        const open = this.#brackets[depth - 1]!;
        if (bytes[p] === COMMA) {
          p = open === OPEN_OBJECT ? this.nameEnd(this.space(p + 1)) : p + 1;
          if (p < 0) return -1;
          break;
        }
        if (bytes[p] !== open + 2)
          return this.fail(p, open === OPEN_OBJECT ? '"," or "}"' : '"," or "]"');
        p++;
        depth--;
      }
      if (depth === 0) {
        this.openBrackets = 0;
        return p;
      }
    }
  }

  /** The end of a value that starts with `c` and is neither object nor list. */
  #plainEnd(p: number, c: number): number {
    if (c === QUOTE) return this.textEnd(p + 1);
    return c === 0x2d || isDigit(c) ? this.numberEnd(p) : this.literalEnd(p);
  }

  /** The end of a member's name, and its colon. */
  nameEnd(p: number): number {
    if (this.bytes[p] !== QUOTE) return this.fail(p, "a name in quotes");
    const end = this.textEnd(p + 1);
    return end < 0 ? -1 : this.colon(end);
  }

  /** The first position behind the colon that is at `p`, or behind white space there. */
  colon(p: number): number {
    const bytes = this.bytes;
    if (bytes[p] !== COLON) {
      p = this.space(p);
      if (bytes[p] !== COLON) return this.fail(p, '":"');
    }
    return bytes[++p]! > 0x20 ? p : this.space(p);
  }
}

function isDigit(c: number): boolean {
  return c >= 0x30 && c <= 0x39;
}

/** A code point as UTF-8; returns the end. */
function writeCodePoint(target: DataView, o: number, code: number): number {
  if (code < 0x80) {
    target.setUint8(o, code);
    return o + 1;
  }
  if (code < 0x800) {
    target.setUint8(o, 0xc0 | (code >>> 6));
    target.setUint8(o + 1, 0x80 | (code & 63));
    return o + 2;
  }
  if (code < 0x10000) {
    target.setUint8(o, 0xe0 | (code >>> 12));
    target.setUint8(o + 1, 0x80 | ((code >>> 6) & 63));
    target.setUint8(o + 2, 0x80 | (code & 63));
    return o + 3;
  }
  target.setUint8(o, 0xf0 | (code >>> 18));
  target.setUint8(o + 1, 0x80 | ((code >>> 12) & 63));
  target.setUint8(o + 2, 0x80 | ((code >>> 6) & 63));
  target.setUint8(o + 3, 0x80 | (code & 63));
  return o + 4;
}
