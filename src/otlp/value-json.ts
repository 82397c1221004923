import { writeDouble, writeInt } from "../wire/numbers.ts";
import { writeJsonText } from "./json-text.ts";
import { Kind } from "./tape.ts";

/**
 * AnyValue → plain JSON bytes: maps as objects (a key that stands twice is written twice; readers take the last), int64 with all
 * digits, bytes as base64 text, NaN and ±Infinity as those words in quotes, no value as null. Input is a validated, canonical batch.
 */

/** Deepest nesting written; the indexer refuses more than 64, so deeper values come out as null only for foreign bytes. */
const DEPTH_MAX = 66;
const QUOTE = 34;
const COMMA = 44;
const BASE64 = new TextEncoder().encode(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
);

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
