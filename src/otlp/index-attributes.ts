import { expect, hashName, isPrefix, SHORT_NAME } from "./key-table.ts";
import { Check, MAX_DEPTH, type Scan } from "./scan.ts";
import { Kind } from "./tape.ts";

// Values of this file: those of other modules are looked up each time they are used.
const TEXT: number = Kind.text;
const BOOL: number = Kind.bool;
const INT: number = Kind.int;
const DOUBLE: number = Kind.double;
const LONGEST = SHORT_NAME + 3;
const KNOWN_KEY_VALUE = 0b1110;

/** The attributes that stand in a row from `p` on, each a field with the one-byte tag `tag`, as entries: where they end, or -1. */
export function attributes(s: Scan, tag: number, p: number, end: number): number {
  for (;;) {
    p = s.isShuffled ? shuffledAttributes(s, tag, p, end) : usualAttributes(s, tag, p, end);
    if (p >= end || s.bytes[p] !== tag) return p;
    if (!s.room(4)) return -1;
    p = anyAttribute(s, p + 1, end);
    if (p < 0) return -1;
  }
}

/**
 * Takes attributes while they have the usual shape: a known key of up to SHORT_NAME bytes, then a short text or small number, lengths of
 * one byte. Neither calls nor loops inside: so V8 checks its arrays once before the loop, and not for each attribute.
 */
function usualAttributes(s: Scan, tag: number, p: number, end: number): number {
  const bytes = s.bytes;
  const view = s.view;
  const tape = s.tape;
  const keys = s.keys;
  const rows = keys.rows;
  const most = tape.length - 8;
  let top = s.top;
  let key = s.before;
  while (p < end) {
    const start = view.getInt32(p, true); // tag, length, tag and length of the key
    const at = (p + 2) | 0;
    const stop = (at + ((start >>> 8) & 255)) | 0;
    if ((start & 0x80ff) !== tag || stop > end || top > most) break;
    let next = rows.getInt32(key << 6, true);
    let length = rows.getInt32((next << 6) + 8, true);
    if (at + length >= stop || !isPrefix(rows, next << 6, view, at, length)) {
      length = (start >>> 24) + 3;
      if (at + length >= stop || length > LONGEST) break;
      next = keys.slots[hashName(keys.seed, bytes, view, at + 2, length - 3)]!;
      if (rows.getInt32((next << 6) + 8, true) !== length) break;
      if (!isPrefix(rows, next << 6, view, at, length)) break;
      expect(rows, key << 6, next);
      s.surprises++;
    }
    let v = (at + length) | 0;
    const value = view.getInt32(v, true); // length, tag, length of a text
    const m = (stop - v - 1) | 0;
    let kind = TEXT;
    if ((value & 0xffffff) === (m | 0x0a00 | ((m - 2) << 16)))
      v = (v + 3) | 0; // AnyValue.string_value
    else {
      if ((value & 255) !== m) break;
      kind = numberKind(value, m, bytes[stop - 1]!);
      if (kind === 0) break;
      v = (v + 2) | 0;
    }
    tape[top] = (next << 4) | kind;
    tape[top + 1] = at;
    tape[top + 2] = v;
    tape[top + 3] = stop;
    top = (top + 4) | 0;
    key = next;
    p = stop;
  }
  s.top = top;
  s.before = key;
  return p;
}

/** The same where names are not predicted: a loop of its own, as one that may do both does neither well. */
function shuffledAttributes(s: Scan, tag: number, p: number, end: number): number {
  const { bytes, view, tape } = s;
  const { rows, slots, seed } = s.keys;
  const most = tape.length - 8;
  let top = s.top;
  let key = s.before;
  while (p < end) {
    const start = view.getInt32(p, true); // tag, length, tag and length of the key
    const at = (p + 2) | 0;
    const stop = (at + ((start >>> 8) & 255)) | 0;
    if ((start & 0x80ff) !== tag || stop > end || top > most) break;
    const length = (start >>> 24) + 3;
    if (at + length >= stop || length > LONGEST) break;
    const next = slots[hashName(seed, bytes, view, at + 2, length - 3)]!;
    if (rows.getInt32((next << 6) + 8, true) !== length) break;
    if (!isPrefix(rows, next << 6, view, at, length)) break;
    let v = (at + length) | 0;
    const value = view.getInt32(v, true); // length, tag, length of a text
    const m = (stop - v - 1) | 0;
    let kind = TEXT;
    if ((value & 0xffffff) === (m | 0x0a00 | ((m - 2) << 16)))
      v = (v + 3) | 0; // AnyValue.string_value
    else {
      if ((value & 255) !== m) break;
      kind = numberKind(value, m, bytes[stop - 1]!);
      if (kind === 0) break;
      v = (v + 2) | 0;
    }
    tape[top] = (next << 4) | kind;
    tape[top + 1] = at;
    tape[top + 2] = v;
    tape[top + 3] = stop;
    top = (top + 4) | 0;
    key = next;
    p = stop;
  }
  s.top = top;
  s.before = key;
  return p;
}

/** Kind of an AnyValue of `m` bytes that starts with `value`, ends with `last` and is an int of up to three bytes, a bool or a double; else 0. */
function numberKind(value: number, m: number, last: number): number {
  const tag = value & 0xff00;
  if (tag === 0x1800) {
    // AnyValue.int_value
    if (last > 127 || m > 3 || m < 2) return 0;
    return m === 2 || (value & 0x800000) !== 0 ? INT : 0;
  }
  if (tag === 0x2100) return m === 9 ? DOUBLE : 0; // AnyValue.double_value
  return tag === 0x1000 && m === 2 && last < 128 ? BOOL : 0; // AnyValue.bool_value
}

/** The attribute whose length is at `p`, of any shape: the end of its field, or -1. There must be room. */
function anyAttribute(s: Scan, p: number, end: number): number {
  const bytes = s.bytes;
  let n = bytes[p++]!;
  if (n > 127) {
    n = s.long(p - 1);
    p = s.at;
  }
  if (n > end - p) return -1;
  const start = p;
  const stop = p + n;
  if (stop - p < 2 || bytes[p] !== 0x0a) return -1; // KeyValue.key
  n = bytes[p + 1]!;
  p += 2;
  if (n > 127) {
    n = s.long(p - 1);
    p = s.at;
  }
  if (n > stop - p) return -1;
  const top = s.top;
  const key = s.keys.find(bytes, s.view, p, n, s.before);
  s.before = key;
  s.top = top + 4;
  s.tape[top + 1] = start;
  p += n;
  const isFine =
    p < stop && bytes[p] === 0x12
      ? anyValueField(s, p + 1, stop, top, key << 4)
      : noValue(s, top, key << 4, p) && isTail(s, p, stop);
  return isFine ? stop : -1;
}

/** The AnyValue whose length is at `p`, and what may stand behind it in its KeyValue, which ends at `end`. */
function anyValueField(s: Scan, p: number, end: number, top: number, key: number): boolean {
  let n = s.bytes[p++]!;
  if (n > 127) {
    n = s.long(p - 1);
    p = s.at;
  }
  if (n > end - p) return false;
  const stop = p + n;
  return (stop === end || isTail(s, stop, end)) && anyValue(s, p, stop, top, key);
}

/** Whether [p, end), behind key and value, is only what a KeyValue may have besides: unknown fields, and an index into no table. */
function isTail(s: Scan, p: number, end: number): boolean {
  return s.putOff(Check.keyValueTail, p, end) || isKeyValueTail(s, p, end);
}

/** The same, now. */
export function isKeyValueTail(s: Scan, p: number, end: number): boolean {
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
  return kind < Kind.array || isValues(s, p, end, kind === Kind.map, 1);
}

/** Whether [p, end) is a canonical ArrayValue or KeyValueList whose owner is at `depth`. */
function isValues(s: Scan, p: number, end: number, isMap: boolean, depth: number): boolean {
  const check = isMap ? Check.map : Check.list;
  return s.putOff(check, p, end, depth) || isList(s, p, end, isMap, depth);
}

/** The same for whole fields of one, now. */
export function isList(s: Scan, p: number, end: number, isMap: boolean, depth: number): boolean {
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
  if (tag === 0x2a) return isValues(s, p, end, false, depth);
  return tag !== 0x32 || isValues(s, p, end, true, depth);
}
