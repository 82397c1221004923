import { bytesBelowMark, hasMark } from "../wire/marks.ts";

/**
 * Line protocol out: text that can never become structure. Word-at-a-time where nothing has to be escaped, byte by byte elsewhere.
 * Words overshoot by up to 7 bytes, of what is read and of what is written: sources need SLACK, and `room()` counts them.
 */

/** Which server reads the lines. "v3" reads `\\` in names and tags as one backslash; "v1" and "v2" read it as two. */
export type Dialect = "v3" | "v2" | "v1";

const NEWLINE = 10;
const SPACE = 32;
const QUOTE = 34;
const HASH = 35;
const COMMA = 44;
const EQUALS = 61;
const LETTER_N = 110;
const BACKSLASH = 92;
const DELETE = 127;

/** Bytes that writing `length` bytes of text may take at most, in every place of a line. */
export function room(length: number): number {
  return 2 * length + 8;
}

/** Writes names, tag values and strings in one dialect, and counts what had to be left out. */
export class LineText {
  /**
   * Bytes left out so far: control characters, a backslash at the end (both in names and tags only), `#` at the start of a measurement.
   */
  dropped = 0;
  /** Newlines written as two characters so far: like bytes left out, they can make two names equal. */
  newlines = 0;
  readonly dialect: Dialect;
  readonly #doubles: boolean;

  constructor(dialect: Dialect) {
    this.dialect = dialect;
    this.#doubles = dialect === "v3";
  }

  /** A measurement: no `#` at its start (that would be a comment); `=` needs no escape there. Writes nothing when nothing is left. */
  writeMeasurement(out: DataView, at: number, source: DataView, from: number, end: number): number {
    let start = from;
    for (; start < end; start++) {
      const c = source.getUint8(start);
      if (c !== HASH && !isRemoved(c)) break;
      this.dropped++;
    }
    return this.#write(out, at, source, start, end, COMMA);
  }

  /** A tag or field key. Writes nothing when nothing is left: the caller then leaves the pair out. */
  writeName(out: DataView, at: number, source: DataView, from: number, end: number): number {
    return this.#write(out, at, source, from, end, EQUALS);
  }

  /** A tag value. Writes nothing when nothing is left: an empty tag is illegal, the caller then leaves the pair out. */
  writeTagValue(out: DataView, at: number, source: DataView, from: number, end: number): number {
    return this.#write(out, at, source, from, end, EQUALS);
  }

  /** `third` is escaped beside comma and space. */
  #write(
    out: DataView,
    at: number,
    source: DataView,
    from: number,
    end: number,
    third: number,
  ): number {
    let p = from;
    let o = at;
    while (p < end) {
      const x = source.getInt32(p, true);
      const y = source.getInt32(p + 4, true);
      out.setInt32(o, x, true);
      out.setInt32(o + 4, y, true);
      const odd = oddInName(x);
      const oddAfter = oddInName(y);
      if (!hasMark(odd, oddAfter, end - p)) {
        p += 8;
        o += 8;
        continue;
      }
      const plain = bytesBelowMark(odd, oddAfter);
      p += plain;
      o += plain;
      const c = source.getUint8(p);
      if (c === BACKSLASH) {
        const next = this.#afterBackslashes(source, p, end);
        o = this.#writeBackslashes(out, o, source, p, next, end);
        p = next;
        continue;
      }
      p++;
      if (isRemoved(c)) {
        this.dropped++;
        continue;
      }
      if (c === NEWLINE) this.newlines++;
      if (c === SPACE || c === COMMA || c === third || c === NEWLINE) out.setUint8(o++, BACKSLASH);
      out.setUint8(o++, c === NEWLINE ? LETTER_N : c);
    }
    // What was written of the bytes behind the end is not counted.
    return p > end ? o - (p - end) : o;
  }

  /** Position behind a run of backslashes and of characters that are left out. */
  #afterBackslashes(source: DataView, from: number, end: number): number {
    let p = from;
    for (; p < end; p++) {
      const c = source.getUint8(p);
      if (c !== BACKSLASH && !isRemoved(c)) break;
    }
    return p;
  }

  /** Writes the backslashes of `[from, next)`: none at the end of a text, doubled where the dialect would read them as an escape. */
  #writeBackslashes(
    out: DataView,
    at: number,
    source: DataView,
    from: number,
    next: number,
    end: number,
  ): number {
    if (next === end) {
      this.dropped += next - from;
      return at;
    }
    let last = next - 1;
    while (source.getUint8(last) !== BACKSLASH) last--;
    const c = source.getUint8(next);
    const isStructure = c === COMMA || c === EQUALS || c === SPACE || c === NEWLINE;
    let o = at;
    for (let p = from; p < next; p++) {
      if (source.getUint8(p) !== BACKSLASH) {
        this.dropped++;
        continue;
      }
      out.setUint8(o++, BACKSLASH);
      if (this.#doubles && (p < last || isStructure)) out.setUint8(o++, BACKSLASH);
    }
    return o;
  }
}

/**
 * Marks (bit 7 of a byte) what may not be plain in a name or tag value: bytes < 0x2d, "=", "\\" and DEL; what follows such a byte or
 * 0xff may be marked too. Bytes ≥ 0x80 are plain.
 */
function oddInName(x: number): number {
  const equals = (x ^ 0x3d3d3d3d) - 0x01010101;
  const backslash = (x ^ 0x5c5c5c5c) - 0x01010101;
  return ((x - 0x2d2d2d2d) | (x + 0x01010101) | equals | backslash) & ~x & 0x80808080;
}

/** Marks `"` and `\` (bit 7 of a byte); the lowest mark is never wrong. */
function oddInString(x: number): number {
  return (((x ^ 0x22222222) - 0x01010101) | ((x ^ 0x5c5c5c5c) - 0x01010101)) & ~x & 0x80808080;
}

/** The content of a quoted string, without its quotes: `"` and `\` escaped, everything else as it is, newlines too. */
export function writeStringContent(
  out: DataView,
  at: number,
  source: DataView,
  from: number,
  end: number,
): number {
  let p = from;
  let o = at;
  while (p < end) {
    const x = source.getInt32(p, true);
    const y = source.getInt32(p + 4, true);
    out.setInt32(o, x, true);
    out.setInt32(o + 4, y, true);
    const odd = oddInString(x);
    const oddAfter = oddInString(y);
    if ((odd | oddAfter) === 0) {
      p += 8;
      o += 8;
      continue;
    }
    const plain = bytesBelowMark(odd, oddAfter);
    p += plain;
    o += plain;
    if (p >= end) break;
    out.setUint8(o, BACKSLASH);
    out.setUint8(o + 1, source.getUint8(p++));
    o += 2;
  }
  return p > end ? o - (p - end) : o;
}

/** A quoted string. */
export function writeString(
  out: DataView,
  at: number,
  source: DataView,
  from: number,
  end: number,
): number {
  out.setUint8(at, QUOTE);
  const close = writeStringContent(out, at + 1, source, from, end);
  out.setUint8(close, QUOTE);
  return close + 1;
}

/** `true` or `false`. */
export function writeBoolean(out: DataView, at: number, value: boolean): number {
  if (value) {
    out.setUint32(at, 0x74727565);
    return at + 4;
  }
  out.setUint32(at, 0x66616c73);
  out.setUint8(at + 4, 0x65);
  return at + 5;
}

/** Control characters, which no server takes in names and tags. A newline is written as the two characters `\n` instead. */
function isRemoved(c: number): boolean {
  return (c < SPACE && c !== NEWLINE) || c === DELETE;
}
