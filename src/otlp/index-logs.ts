import { anyValue, attributes } from "./index-attributes.ts";
import { FIRST } from "./key-table.ts";
import { idAt, nonZero, type Scan } from "./scan.ts";
import { ITEM_HEADER, Item, Kind, Log, LogFlags, NodeType } from "./tape.ts";

const KNOWN = 0b1_1111_1110_1110; // 1–3, 5–12

/** The LogRecord [p, end): its fields in the order of their numbers, each tried once in every turn of the loop. */
export function logRecord(s: Scan, p: number, end: number): boolean {
  const node = s.top;
  if (!s.room(ITEM_HEADER)) return false;
  s.top = node + ITEM_HEADER;
  s.before = FIRST.item;
  const bytes = s.bytes;
  const view = s.view;
  let tape = s.tape;
  clear(tape, node, s.group, p, end);
  while (p < end) {
    const turn = p;
    if (bytes[p] === 0x09) {
      // LogRecord.time_unix_nano
      tape[node + Item.time] = nonZero(view, p + 1);
      p += 9;
    }
    if (p < end && bytes[p] === 0x10) {
      p = severity(s, node, p + 1, end); // LogRecord.severity_number
      if (p < 0) return false;
    }
    if (p < end && bytes[p] === 0x1a) {
      p = text(s, node + Log.severityTextAt, p, end); // LogRecord.severity_text
      if (p < 0) return false;
    }
    if (p < end && bytes[p] === 0x2a) {
      p = body(s, node, p, end); // LogRecord.body
      if (p < 0) return false;
    }
    if (p < end && bytes[p] === 0x32) {
      p = attributes(s, 0x32, p, end); // LogRecord.attributes
      if (p < 0) return false;
      tape = s.tape;
    }
    if (p < end && bytes[p] === 0x45) p += 5; // LogRecord.flags
    if (end - p >= 18 && view.getInt16(p, true) === 0x104a) {
      // LogRecord.trace_id
      tape[node + Item.trace] = idAt(view, p + 2);
      p += 18;
    }
    if (end - p >= 10 && view.getInt16(p, true) === 0x0852) {
      // LogRecord.span_id
      tape[node + Item.span] = nonZero(view, p + 2);
      p += 10;
    }
    if (p < end && bytes[p] === 0x59) {
      // LogRecord.observed_time_unix_nano
      tape[node + Log.observed] = nonZero(view, p + 1);
      p += 9;
    }
    if (p === turn) {
      p = rare(s, node, p, end);
      if (p < 0) return false;
    }
  }
  if (p !== end) return false;
  if (tape[node + Item.time]! < 0) tape[node + Item.time] = tape[node + Log.observed]!;
  tape[node] = ((s.top - node) << 2) | NodeType.item;
  tape[node + Item.attributes] = (s.top - node - ITEM_HEADER) >>> 2;
  s.items++;
  return true;
}

/** LogRecord.severity_number, whose varint is at `p`; future numbers count as none. */
function severity(s: Scan, node: number, p: number, end: number): number {
  const tape = s.tape;
  const number = s.smallEnum(p, LogFlags.severityMask);
  tape[node + Item.flags] =
    (tape[node + Item.flags]! & LogFlags.bodyKindMask) | (number << LogFlags.severityShift);
  return s.bytes[p]! < 128 ? p + 1 : s.varintEnd(p, end);
}

/** The text field at `p`: its position goes to `slot` and the next; the end of the field, or -1. */
function text(s: Scan, slot: number, p: number, end: number): number {
  let n = s.bytes[p + 1]!;
  p += 2;
  if (n > 127) {
    n = s.long(p - 1);
    p = s.at;
  }
  if (n > end - p) return -1;
  s.tape[slot] = n === 0 ? -1 : p;
  s.tape[slot + 1] = n === 0 ? -1 : p + n;
  return p + n;
}

/** LogRecord.body at `p`: the end of the field, or -1; also for a second one, which is to be merged. */
function body(s: Scan, node: number, p: number, end: number): number {
  const bytes = s.bytes;
  const tape = s.tape;
  let n = bytes[p + 1]!;
  p += 2;
  if (n > 127) {
    n = s.long(p - 1);
    p = s.at;
  }
  if (n > end - p || tape[node + Log.bodyAt]! >= 0) return -1;
  if (n > 1 && n < 130 && bytes[p] === 0x0a && bytes[p + 1] === n - 2) {
    tape[node + Item.flags]! |= Kind.text;
    tape[node + Log.bodyAt] = p + 2;
    tape[node + Log.bodyEnd] = p + n;
    return p + n;
  }
  const top = s.top;
  if (!s.room(4) || !anyValue(s, p, p + n, top, 0)) return -1;
  const grown = s.tape;
  grown[node + Item.flags]! |= grown[top]!;
  grown[node + Log.bodyAt] = grown[top + 2]!;
  grown[node + Log.bodyEnd] = grown[top + 3]!;
  return p + n;
}

/** Header of an ITEM in which nothing is present. */
export function clear(
  tape: Int32Array,
  node: number,
  group: number,
  at: number,
  end: number,
): void {
  tape[node + Item.group] = group;
  tape[node + Item.at] = at;
  tape[node + Item.end] = end;
  tape[node + Item.time] = -1;
  tape[node + Item.flags] = 0;
  tape[node + Item.attributes] = 0;
  tape[node + Item.trace] = -1;
  tape[node + Item.span] = -1;
  tape[node + Item.a] = -1;
  tape[node + Item.b] = -1;
  tape[node + Item.c] = -1;
  tape[node + Item.d] = -1;
  tape[node + Item.e] = -1;
  tape[node + Item.f] = -1;
  tape[node + Item.g] = -1;
}

/** What is not usual, or stands out of order: the end of the field at `p`, or -1. */
function rare(s: Scan, node: number, p: number, end: number): number {
  const tag = s.bytes[p]!;
  switch (tag) {
    case 0x38: // LogRecord.dropped_attributes_count
      return s.varintEnd(p + 1, end);
    case 0x62: // LogRecord.event_name
      return text(s, node + Log.eventNameAt, p, end);
    case 0x4a: // LogRecord.trace_id
      return id(s, node + Item.trace, p, end, 16);
    case 0x52: // LogRecord.span_id
      return id(s, node + Item.span, p, end, 8);
    default:
      return s.skip(p, end, KNOWN);
  }
}

/** The id field at `p`, which has `size` bytes or none. */
function id(s: Scan, slot: number, p: number, end: number, size: number): number {
  let n = s.bytes[p + 1]!;
  p += 2;
  if (n > 127) {
    n = s.long(p - 1); // a long way to spell it
    p = s.at;
  }
  if (n > end - p || (n !== size && n !== 0)) return -1;
  if (n === 0) s.tape[slot] = -1;
  else s.tape[slot] = size === 8 ? nonZero(s.view, p) : idAt(s.view, p);
  return p + n;
}
