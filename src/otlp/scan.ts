import type { KeyTable } from "./key-table.ts";
import { Kind } from "./tape.ts";

/** Deepest AnyValue in an AnyValue: the value of an attribute or body is at depth 1. */
export const MAX_DEPTH = 64;
/** A length that no parent has room for. */
const TOO_LONG = 0x7fffffff;
/** Scratch kept between requests; a larger one is let go (ints). */
const KEPT_INTS = 1 << 20;

/**
 * The state of one indexing pass: where it reads and the tape it writes. The pass accepts canonical, valid wire only; at the
 * first thing that is not, its functions answer `false`, and canonicalize (the slow judge) looks at the whole request.
 * Reads may run up to 12 bytes behind a message's end, which slack makes harmless; every end is compared before it is believed.
 */
export class Scan {
  readonly keys: KeyTable;
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(new ArrayBuffer(0));
  tape = new Int32Array(1 << 14);
  /** Ints written. */
  top = 0;
  items = 0;
  /** Tape index of the current GROUP and METRIC. */
  group = 0;
  metric = 0;
  isTooLarge = false;
  /** Where the last multi-byte varint ended. */
  at = 0;
  #limit = 0;

  constructor(keys: KeyTable) {
    this.keys = keys;
  }

  /** `limit`: most ints the tape may have. */
  begin(bytes: Uint8Array, view: DataView, limit: number): void {
    this.bytes = bytes;
    this.view = view;
    this.top = 0;
    this.items = 0;
    this.isTooLarge = false;
    this.#limit = limit;
  }

  /** Lets go of the request, and of a scratch that one huge request made. */
  finish(isWanted: boolean): Int32Array {
    const tape = this.tape.slice(0, isWanted ? this.top : 0);
    if (this.tape.length > KEPT_INTS) this.tape = new Int32Array(1 << 14);
    this.bytes = new Uint8Array(0);
    this.view = new DataView(new ArrayBuffer(0));
    return tape;
  }

  /** Makes room for `ints` more (and 4 beyond); false when the tape would be over its limit. */
  room(ints: number): boolean {
    const need = this.top + ints + 4;
    return need <= this.tape.length || this.#grow(need);
  }

  #grow(need: number): boolean {
    if (need - 4 > this.#limit) {
      this.isTooLarge = true;
      return false;
    }
    const larger = new Int32Array(Math.max(need, Math.min(this.tape.length * 2, this.#limit + 4)));
    larger.set(this.tape.subarray(0, this.top));
    this.tape = larger;
    return true;
  }

  /** A length whose first byte (at `p`) has the continuation bit. Leaves its end in `at`; TOO_LONG for what no int32 holds. */
  long(p: number): number {
    const bytes = this.bytes;
    let value = bytes[p]! & 127;
    for (let shift = 7; shift < 35; shift += 7) {
      const byte = bytes[++p]!;
      if (shift === 28 && byte > 7) break;
      value |= (byte & 127) << shift;
      if (byte < 128) {
        this.at = p + 1;
        return value;
      }
    }
    this.at = p;
    return TOO_LONG;
  }

  /** End of the varint at `p`, or -1: longer than 10 bytes, beyond `end`, or more than 64 bits. */
  varintEnd(p: number, end: number): number {
    const bytes = this.bytes;
    for (let n = 1; p < end && n <= 10; n++) {
      const byte = bytes[p++]!;
      if (byte < 128) return n === 10 && byte > 1 ? -1 : p;
    }
    return -1;
  }

  /** The enum whose varint is at `p`, or 0 when it is above `max` (a future number, or a negative one). */
  smallEnum(p: number, max: number): number {
    const first = this.bytes[p]!;
    const value = first < 128 ? first : this.long(p);
    return value <= max ? value : 0;
  }

  /**
   * Skips the unknown field that starts at `p`; its end, or -1 for a field that is malformed or whose number is in `known` (a bit
   * per field number: here it has the wrong wire type, or stands where canonical wire does not have it).
   */
  skip(p: number, end: number, known: number): number {
    let tag = this.bytes[p++]!;
    if (tag > 127) {
      tag = this.long(p - 1);
      if (tag === TOO_LONG || tag < 128) return -1;
      p = this.at;
    }
    const field = tag >>> 3;
    if (field === 0 || (field < 32 && (known >>> field) & 1)) return -1;
    switch (tag & 7) {
      case 0:
        return this.varintEnd(p, end);
      case 1:
        return end - p < 8 ? -1 : p + 8;
      case 2: {
        if (p >= end) return -1;
        let length = this.bytes[p++]!;
        if (length > 127) {
          length = this.long(p - 1);
          p = this.at;
        }
        return length > end - p ? -1 : p + length;
      }
      case 5:
        return end - p < 4 ? -1 : p + 4;
      default:
        return -1;
    }
  }

  /** Position of a fixed64 at `p`, or -1 when it is 0. */
  nonZero(p: number): number {
    return (this.view.getInt32(p, true) | this.view.getInt32(p + 4, true)) === 0 ? -1 : p;
  }

  /** Position of a 16-byte id at `p`, or -1 when it is all zero. */
  traceId(p: number): number {
    const view = this.view;
    const bits =
      view.getInt32(p, true) |
      view.getInt32(p + 4, true) |
      view.getInt32(p + 8, true) |
      view.getInt32(p + 12, true);
    return bits === 0 ? -1 : p;
  }
}

const KNOWN_KEY_VALUE = 0b1110;

/**
 * The KeyValue [p, end) as an entry at the tape's top. `position`: which attribute of its message it is. Takes the usual shape in one
 * straight line (key, then a short text or a small int, lengths of one byte) and leaves all others to `anyAttribute`.
 */
export function attribute(s: Scan, p: number, end: number, position: number): boolean {
  const bytes = s.bytes;
  const n = bytes[p + 1]!;
  const v = p + 2 + n; // the value's tag, if the key ends within
  if (n > 127 || end - v < 4 || bytes[p] !== 0x0a || bytes[v] !== 0x12)
    return anyAttribute(s, p, end, position);
  const m = bytes[v + 1]!;
  if (m > 127 || m !== end - v - 2) return anyAttribute(s, p, end, position);
  const tag = bytes[v + 2]!;
  let valueAt = v + 4;
  let kind: number = Kind.text;
  if (tag !== 0x0a || bytes[v + 3] !== m - 2) {
    if (tag !== 0x18 || bytes[end - 1]! > 127 || m > 3 || (m === 3 && bytes[v + 3]! < 128))
      return anyAttribute(s, p, end, position);
    valueAt = v + 3;
    kind = Kind.int;
  }
  if (!s.room(4)) return false;
  const tape = s.tape;
  const top = s.top;
  tape[top] = (s.keys.find(bytes, s.view, p + 2, n, position) << 4) | kind;
  tape[top + 1] = p;
  tape[top + 2] = valueAt;
  tape[top + 3] = end;
  s.top = top + 4;
  return true;
}

function anyAttribute(s: Scan, p: number, end: number, position: number): boolean {
  const bytes = s.bytes;
  const start = p;
  if (end - p < 2 || bytes[p] !== 0x0a) return false; // KeyValue.key
  let n = bytes[p + 1]!;
  p += 2;
  if (n > 127) {
    n = s.long(p - 1);
    p = s.at;
  }
  if (n > end - p) return false;
  if (!s.room(4)) return false;
  const key = s.keys.find(bytes, s.view, p, n, position) << 4;
  p += n;
  const top = s.top;
  s.tape[top + 1] = start;
  s.top = top + 4;
  if (p === end) return noValue(s, top, key, p);
  if (bytes[p] !== 0x12) return noValue(s, top, key, p) && isTail(s, p, end);
  n = bytes[p + 1]!;
  p += 2;
  if (n > 127) {
    n = s.long(p - 1);
    p = s.at;
  }
  const stop = p + n;
  if (n > end - p) return false;
  if (stop !== end && !isTail(s, stop, end)) return false;
  return anyValue(s, p, stop, top, key);
}

/** Whether [p, end), behind key and value, is only what a KeyValue may have besides: unknown fields, and an index into no table. */
function isTail(s: Scan, p: number, end: number): boolean {
  while (p < end) {
    p = s.skip(p, end, s.bytes[p] === 0x18 ? 0 : KNOWN_KEY_VALUE); // KeyValue.key_strindex
    if (p < 0) return false;
  }
  return true;
}

function noValue(s: Scan, top: number, key: number, p: number): boolean {
  const tape = s.tape;
  tape[top] = key | Kind.none;
  tape[top + 2] = p;
  tape[top + 3] = p;
  return true;
}

/** The AnyValue [p, end) → head, valueAt, valueEnd of the entry at `top`, for which there must be room. */
export function anyValue(s: Scan, p: number, end: number, top: number, key: number): boolean {
  if (p === end) return noValue(s, top, key, p);
  const tape = s.tape;
  const tag = s.bytes[p++]!;
  let kind: number;
  switch (tag) {
    case 0x0a: // AnyValue.string_value
      kind = Kind.text;
      break;
    case 0x18: // AnyValue.int_value
      if (s.varintEnd(p, end) !== end) return false;
      tape[top] = key | Kind.int;
      tape[top + 2] = p;
      tape[top + 3] = end;
      return true;
    case 0x10: // AnyValue.bool_value
      if (s.varintEnd(p, end) !== end) return false;
      tape[top] = key | Kind.bool;
      tape[top + 2] = p;
      tape[top + 3] = end;
      return true;
    case 0x21: // AnyValue.double_value
      if (end - p !== 8) return false;
      tape[top] = key | Kind.double;
      tape[top + 2] = p;
      tape[top + 3] = end;
      return true;
    case 0x3a: // AnyValue.bytes_value
      kind = Kind.bytes;
      break;
    case 0x2a: // AnyValue.array_value
      kind = Kind.array;
      break;
    case 0x32: // AnyValue.kvlist_value
      kind = Kind.map;
      break;
    default:
      return false;
  }
  let n = s.bytes[p++]!;
  if (n > 127) {
    n = s.long(p - 1);
    p = s.at;
  }
  if (n !== end - p) return false;
  tape[top] = key | kind;
  tape[top + 2] = p;
  tape[top + 3] = end;
  return kind < Kind.array || isList(s, p, end, kind === Kind.map, 1);
}

/** Whether [p, end) is a canonical ArrayValue or KeyValueList whose owner is at `depth`. */
function isList(s: Scan, p: number, end: number, isMap: boolean, depth: number): boolean {
  const bytes = s.bytes;
  while (p < end) {
    if (bytes[p] !== 0x0a) {
      p = s.skip(p, end, 0b0010);
      if (p < 0) return false;
      continue;
    }
    let n = bytes[p + 1]!;
    p += 2;
    if (n > 127) {
      n = s.long(p - 1);
      p = s.at;
    }
    if (n > end - p) return false;
    const isFine = isMap ? isKeyValue(s, p, p + n, depth) : isAnyValue(s, p, p + n, depth + 1);
    if (!isFine) return false;
    p += n;
  }
  return p === end;
}

/** Whether [p, end) is a canonical KeyValue; for places that have no entries (events, links, exemplars, maps). */
export function isKeyValue(s: Scan, p: number, end: number, depth: number): boolean {
  if (end - p < 2 || s.bytes[p] !== 0x0a) return false;
  let n = s.bytes[p + 1]!;
  p += 2;
  if (n > 127) {
    n = s.long(p - 1);
    p = s.at;
  }
  if (n > end - p) return false;
  p += n;
  if (p === end) return true;
  if (s.bytes[p] !== 0x12) return isTail(s, p, end);
  n = s.bytes[p + 1]!;
  p += 2;
  if (n > 127) {
    n = s.long(p - 1);
    p = s.at;
  }
  if (n > end - p) return false;
  return isTail(s, p + n, end) && isAnyValue(s, p, p + n, depth + 1);
}

function isAnyValue(s: Scan, p: number, end: number, depth: number): boolean {
  if (depth > MAX_DEPTH) return false;
  if (p === end) return true;
  const tag = s.bytes[p++]!;
  if (tag === 0x18 || tag === 0x10) return s.varintEnd(p, end) === end;
  if (tag === 0x21) return end - p === 8;
  if (tag !== 0x0a && tag !== 0x3a && tag !== 0x2a && tag !== 0x32) return false;
  let n = s.bytes[p++]!;
  if (n > 127) {
    n = s.long(p - 1);
    p = s.at;
  }
  if (n !== end - p) return false;
  if (tag === 0x2a) return isList(s, p, end, false, depth);
  return tag !== 0x32 || isList(s, p, end, true, depth);
}
