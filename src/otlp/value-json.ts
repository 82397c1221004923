import { bytesBelowMark } from "../wire/marks.ts";
import { writeDouble, writeInt } from "../wire/numbers.ts";
import { Kind } from "./tape.ts";

/**
 * AnyValue → plain JSON bytes: maps as objects (a key that stands twice is written twice; readers take the last), int64 with all
 * digits, bytes as base64 text, NaN and ±Infinity as those words in quotes, no value as null. Input is a validated, canonical batch.
 */

/** Deepest nesting written; the indexer refuses more than 64, so deeper values come out as null only for foreign bytes. */
const DEPTH_MAX = 66;
const QUOTE = 34;
const COMMA = 44;
const BACKSLASH = 92;
/** `\\"` */
const ESCAPED_QUOTE = 0x5c22;
const BASE64 = new TextEncoder().encode(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
);
const HEX = new TextEncoder().encode("0123456789abcdef");
/** Second letter of the short escapes of control characters; 0 is none. */
const SHORT = new Uint8Array(32);
SHORT[8] = 98;
SHORT[9] = 116;
SHORT[10] = 110;
SHORT[12] = 102;
SHORT[13] = 114;

/** Bytes that the JSON of `length` bytes of a value, or of as much text, may take at most. */
export function jsonRoom(length: number): number {
  return 6 * length + 48;
}

/** Writes JSON of one batch; keeps its place in it between calls. */
export class JsonWriter {
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(this.bytes.buffer);
  /** Halves of the last varint that `varint` read. */
  low = 0;
  high = 0;
  /** Start of what `field` or `kindOf` found, and the end of the latter. */
  at = 0;
  end = 0;

  /** The memory that positions point into from now on. */
  reset(bytes: Uint8Array, view: DataView): void {
    this.bytes = bytes;
    this.view = view;
  }

  /** The value of a tape entry. There must be `jsonRoom(valueEnd - valueAt)` bytes; returns the end. */
  value(out: DataView, at: number, kind: Kind, valueAt: number, valueEnd: number): number {
    return this.#value(out, at, kind, valueAt, valueEnd, 1);
  }

  #value(
    out: DataView,
    at: number,
    kind: number,
    from: number,
    end: number,
    depth: number,
  ): number {
    switch (kind) {
      case Kind.text:
        return writeJsonText(out, at, this.view, from, end);
      case Kind.bool:
        this.varint(from);
        return writeWord(out, at, (this.low | this.high) === 0 ? "false" : "true");
      case Kind.int:
        this.varint(from);
        return writeInt(out, at, this.low, this.high);
      case Kind.double:
        return writeJsonDouble(out, at, this.view.getFloat64(from, true));
      case Kind.bytes:
        out.setUint8(at, QUOTE);
        at = writeBase64(out, at + 1, this.bytes, from, end);
        out.setUint8(at, QUOTE);
        return at + 1;
      case Kind.array:
        return depth > DEPTH_MAX
          ? writeWord(out, at, "null")
          : this.#list(out, at, from, end, depth);
      case Kind.map:
        return depth > DEPTH_MAX
          ? writeWord(out, at, "null")
          : this.#map(out, at, from, end, depth);
      default:
        return writeWord(out, at, "null");
    }
  }

  /** ArrayValue: values = 1. */
  #list(out: DataView, at: number, from: number, end: number, depth: number): number {
    out.setUint8(at++, 91);
    const first = at;
    let p = from;
    while (p < end) {
      const isValue = this.bytes[p] === 0x0a;
      const stop = this.field(p, end);
      if (isValue) {
        if (at > first) out.setUint8(at++, COMMA);
        at = this.#any(out, at, this.at, stop, depth);
      }
      p = stop;
    }
    out.setUint8(at, 93);
    return at + 1;
  }

  /** KeyValueList: values = 1, each a KeyValue: key = 1, value = 2. */
  #map(out: DataView, at: number, from: number, end: number, depth: number): number {
    out.setUint8(at++, 123);
    const first = at;
    let p = from;
    while (p < end) {
      const isPair = this.bytes[p] === 0x0a;
      const stop = this.field(p, end);
      if (isPair) {
        if (at > first) out.setUint8(at++, COMMA);
        at = this.pair(out, at, this.at, stop, depth);
      }
      p = stop;
    }
    out.setUint8(at, 125);
    return at + 1;
  }

  /** The content of a KeyValue, as a member of an object. */
  pair(out: DataView, at: number, from: number, end: number, depth: number): number {
    const keyEnd = this.field(from, end);
    at = writeJsonText(out, at, this.view, this.at, keyEnd);
    out.setUint8(at++, 58);
    if (keyEnd >= end || this.bytes[keyEnd] !== 0x12) return writeWord(out, at, "null");
    const valueEnd = this.field(keyEnd, end);
    return this.#any(out, at, this.at, valueEnd, depth);
  }

  /** The content of an AnyValue. */
  #any(out: DataView, at: number, from: number, end: number, depth: number): number {
    const kind = this.kindOf(from, end);
    return this.#value(out, at, kind, this.at, this.end, depth + 1);
  }

  /** The kind of the AnyValue whose content this is; leaves where its value is in `at` and `end`, as a tape entry has it. */
  kindOf(from: number, end: number): Kind {
    this.at = from;
    this.end = from;
    if (from >= end) return Kind.none;
    const tag = this.bytes[from];
    this.end = this.field(from, end);
    if (tag === 0x0a) return Kind.text;
    if (tag === 0x18) return Kind.int;
    if (tag === 0x10) return Kind.bool;
    if (tag === 0x21) return Kind.double;
    if (tag === 0x3a) return Kind.bytes;
    if (tag === 0x2a) return Kind.array;
    return tag === 0x32 ? Kind.map : Kind.none;
  }

  /** A JSON string. */
  text(out: DataView, at: number, from: number, end: number): number {
    return writeJsonText(out, at, this.view, from, end);
  }

  /** Steps over the field at `p`: leaves the start of its content in `at`, returns its end. Never goes behind `end`. */
  field(p: number, end: number): number {
    let at = this.varintEnd(p);
    const wire = this.bytes[p]! & 7;
    let stop = end;
    if (wire === 2) {
      const start = at;
      at = this.varint(start);
      stop = at + (this.low >>> 0);
    } else if (wire === 0) stop = this.varintEnd(at);
    else if (wire === 1) stop = at + 8;
    else if (wire === 5) stop = at + 4;
    this.at = Math.min(at, end);
    return Math.min(stop, end);
  }

  varintEnd(p: number): number {
    while (this.bytes[p]! > 127) p++;
    return p + 1;
  }

  /** Reads a varint into `low` and `high`; returns its end. */
  varint(p: number): number {
    const bytes = this.bytes;
    let byte = bytes[p++]!;
    if (byte < 128) {
      this.low = byte;
      this.high = 0;
      return p;
    }
    const second = bytes[p]!;
    if (second < 128) {
      this.low = (byte & 127) | (second << 7);
      this.high = 0;
      return p + 1;
    }
    let low = byte & 127;
    let high = 0;
    for (let shift = 7; byte > 127 && shift < 70; shift += 7) {
      byte = bytes[p++]!;
      const bits = byte & 127;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
    }
    this.low = low | 0;
    this.high = high | 0;
    return p;
  }
}

/** A JSON string with its quotes. Bytes ≥ 0x80 stay as they are. Reads and writes up to 7 bytes behind the end, see SLACK. */
function writeJsonText(
  out: DataView,
  at: number,
  source: DataView,
  from: number,
  end: number,
): number {
  out.setUint8(at, QUOTE);
  let o = at + 1;
  let p = from;
  while (p < end) {
    const x = source.getInt32(p, true);
    const y = source.getInt32(p + 4, true);
    out.setInt32(o, x, true);
    out.setInt32(o + 4, y, true);
    const odd = oddInJson(x);
    const oddAfter = oddInJson(y);
    if ((odd | oddAfter) === 0) {
      p += 8;
      o += 8;
      continue;
    }
    const plain = bytesBelowMark(odd, oddAfter);
    p += plain;
    o += plain;
    if (p >= end) break;
    o = writeEscaped(out, o, source.getUint8(p++));
  }
  if (p > end) o -= p - end;
  out.setUint8(o, QUOTE);
  return o + 1;
}

/** Longer texts are likely to have something to escape. */
const PLAIN_MAX = 256;

/**
 * As `writeJsonText`, for JSON that stands in a quoted string itself: every `"` and `\` of it is escaped once more. Most short texts have
 * nothing to escape: they are copied as if it were so, and written again where it is not.
 */
export function writeQuotedJsonText(
  out: DataView,
  at: number,
  source: DataView,
  from: number,
  end: number,
): number {
  if (end - from > PLAIN_MAX) return writeOddJsonText(out, at, source, from, end);
  out.setUint16(at, ESCAPED_QUOTE);
  const last = end - 8;
  let o = at + 2;
  let p = from;
  let odd = 0;
  for (; p <= last; p += 8, o += 8) {
    const x = source.getInt32(p, true);
    const y = source.getInt32(p + 4, true);
    out.setInt32(o, x, true);
    out.setInt32(o + 4, y, true);
    odd |= oddInJson(x) | oddInJson(y);
  }
  const x = source.getInt32(p, true);
  const y = source.getInt32(p + 4, true);
  out.setInt32(o, x, true);
  out.setInt32(o + 4, y, true);
  const rest = end - p;
  odd |= (oddInJson(x) & FIRST_BYTES[rest]!) | (oddInJson(y) & LAST_BYTES[rest]!);
  if (odd !== 0) return writeOddJsonText(out, at, source, from, end);
  out.setUint16(o + rest, ESCAPED_QUOTE);
  return o + rest + 2;
}

/** The same for a text that has something to be escaped. */
function writeOddJsonText(
  out: DataView,
  at: number,
  source: DataView,
  from: number,
  end: number,
): number {
  out.setUint16(at, ESCAPED_QUOTE);
  let o = at + 2;
  let p = from;
  while (p < end) {
    const x = source.getInt32(p, true);
    const y = source.getInt32(p + 4, true);
    out.setInt32(o, x, true);
    out.setInt32(o + 4, y, true);
    let odd = oddInJson(x);
    let oddAfter = oddInJson(y);
    const rest = end - p;
    if (rest < 8) {
      odd &= FIRST_BYTES[rest]!;
      oddAfter &= LAST_BYTES[rest]!;
    }
    if ((odd | oddAfter) === 0) {
      p += 8;
      o += 8;
      continue;
    }
    const plain = bytesBelowMark(odd, oddAfter);
    p += plain;
    o += plain;
    const c = source.getUint8(p++);
    // The backslash of the escape; the rest of an escape needs one more only where it is a quote or a backslash.
    out.setUint8(o, BACKSLASH);
    const stop = writeEscaped(out, o + 1, c);
    if (c < 32) o = stop;
    else {
      out.setUint16(o + 2, (BACKSLASH << 8) | c);
      o += 4;
    }
  }
  if (p > end) o -= p - end;
  out.setUint16(o, ESCAPED_QUOTE);
  return o + 2;
}

/** By bytes that are left of eight: which of the first and of the last four are text. What stands behind a text is odd nearly always. */
const FIRST_BYTES = Int32Array.of(0, 0xff, 0xffff, 0xffffff, -1, -1, -1, -1);
const LAST_BYTES = Int32Array.of(0, 0, 0, 0, 0, 0xff, 0xffff, 0xffffff);

/** Marks (bit 7 of a byte) `"`, `\` and control characters; the lowest mark is never wrong. */
function oddInJson(x: number): number {
  // With the bit of 2 turned over, the quote stands directly above the control characters, and the space above it.
  const low = (x ^ 0x02020202) - 0x21212121;
  const backslash = (x ^ 0x5c5c5c5c) - 0x01010101;
  return (low | backslash) & ~x & 0x80808080;
}

/** A character that `oddInJson` marks. */
function writeEscaped(out: DataView, at: number, c: number): number {
  if (c < 32) return writeControl(out, at, c);
  out.setUint16(at, (BACKSLASH << 8) | c);
  return at + 2;
}

function writeControl(out: DataView, at: number, c: number): number {
  out.setUint8(at, BACKSLASH);
  if (SHORT[c] !== 0) {
    out.setUint8(at + 1, SHORT[c]!);
    return at + 2;
  }
  out.setUint8(at + 1, 117);
  out.setUint16(at + 2, 0x3030);
  out.setUint8(at + 4, 48 + (c >> 4));
  out.setUint8(at + 5, HEX[c & 15]!);
  return at + 6;
}

function writeJsonDouble(out: DataView, at: number, value: number): number {
  if (Number.isFinite(value)) return writeDouble(out, at, value);
  return writeWord(out, at, `"${value}"`);
}

/** Base64 with padding, no quotes. */
export function writeBase64(
  out: DataView,
  at: number,
  bytes: Uint8Array,
  from: number,
  end: number,
): number {
  let p = from;
  for (; p + 2 < end; p += 3) {
    const n = (bytes[p]! << 16) | (bytes[p + 1]! << 8) | bytes[p + 2]!;
    out.setUint8(at++, BASE64[n >>> 18]!);
    out.setUint8(at++, BASE64[(n >>> 12) & 63]!);
    out.setUint8(at++, BASE64[(n >>> 6) & 63]!);
    out.setUint8(at++, BASE64[n & 63]!);
  }
  if (p >= end) return at;
  const n = (bytes[p]! << 16) | (p + 1 < end ? bytes[p + 1]! << 8 : 0);
  out.setUint8(at++, BASE64[n >>> 18]!);
  out.setUint8(at++, BASE64[(n >>> 12) & 63]!);
  out.setUint8(at++, p + 1 < end ? BASE64[(n >>> 6) & 63]! : 61);
  out.setUint8(at++, 61);
  return at;
}

/** ASCII only. */
function writeWord(out: DataView, at: number, word: string): number {
  for (let i = 0; i < word.length; i++) out.setUint8(at + i, word.charCodeAt(i));
  return at + word.length;
}
