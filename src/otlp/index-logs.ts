import { anyValue, attributes } from "./index-attributes.ts";
import { FIRST } from "./key-table.ts";
import { idAt, nonZero, type Scan } from "./scan.ts";
import { ITEM_HEADER, Item, Kind, Log, LogFlags, NodeType } from "./tape.ts";

// Values of this file: those of other modules are looked up each time they are used.
const GROUP: number = Item.group;
const AT: number = Item.at;
const END: number = Item.end;
const TIME: number = Item.time;
const FLAGS: number = Item.flags;
const ATTRIBUTES: number = Item.attributes;
const TRACE: number = Item.trace;
const SPAN: number = Item.span;
const A: number = Item.a;
const BODY_AT: number = Log.bodyAt;
const BODY_END: number = Log.bodyEnd;
const SEVERITY_TEXT_AT: number = Log.severityTextAt;
const EVENT_NAME_AT: number = Log.eventNameAt;
const OBSERVED: number = Log.observed;
const BODY_KIND_MASK: number = LogFlags.bodyKindMask;
const SEVERITY_SHIFT: number = LogFlags.severityShift;
const SEVERITY_MASK: number = LogFlags.severityMask;
const TEXT: number = Kind.text;
const ITEM: number = NodeType.item;
const FIRST_KEY: number = FIRST.item;
const HEADER: number = ITEM_HEADER;
const KNOWN = 0b1_1111_1110_1110; // 1–3, 5–12

/** The LogRecord [p, end) as an ITEM. False: not canonical, or bad. */
export function logRecord(s: Scan, p: number, end: number): boolean {
  const node = beginItem(s, p, end);
  if (node < 0 || !logFields(s, node, p, end)) return false;
  endLog(s, node);
  return true;
}

/** The header of an ITEM, whose fields come next: its tape index, or -1 when there is no room. */
export function beginItem(s: Scan, p: number, end: number): number {
  const node = s.top;
  if (!s.room(HEADER)) return -1;
  s.top = node + HEADER;
  s.before = FIRST_KEY;
  clear(s.tape, node, s.group, p, end);
  return node;
}

/** The ITEM has all its fields. */
export function endItem(s: Scan, node: number): void {
  s.tape[node] = ((s.top - node) << 2) | ITEM;
  s.tape[node + ATTRIBUTES] = (s.top - node - HEADER) >>> 2;
  s.items++;
}

export function endLog(s: Scan, node: number): void {
  if (s.tape[node + TIME]! < 0) s.tape[node + TIME] = s.tape[node + OBSERVED]!;
  endItem(s, node);
}

/** Whole fields [p, end) of a LogRecord, in the order of their numbers, each tried once in every turn of the loop. */
export function logFields(s: Scan, node: number, p: number, end: number): boolean {
  const bytes = s.bytes;
  const view = s.view;
  let tape = s.tape;
  while (p < end) {
    const turn = p;
    if (bytes[p] === 0x09) {
      // LogRecord.time_unix_nano
      tape[node + TIME] = nonZero(view, p + 1);
      p += 9;
    }
    if (p < end && bytes[p] === 0x10) {
      p = severity(s, node, p + 1, end); // LogRecord.severity_number
      if (p < 0) return false;
    }
    if (p < end && bytes[p] === 0x1a) {
      p = text(s, node + SEVERITY_TEXT_AT, p, end); // LogRecord.severity_text
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
      tape[node + TRACE] = idAt(view, p + 2);
      p += 18;
    }
    if (end - p >= 10 && view.getInt16(p, true) === 0x0852) {
      // LogRecord.span_id
      tape[node + SPAN] = nonZero(view, p + 2);
      p += 10;
    }
    if (p < end && bytes[p] === 0x59) {
      // LogRecord.observed_time_unix_nano
      tape[node + OBSERVED] = nonZero(view, p + 1);
      p += 9;
    }
    if (p === turn) {
      p = rare(s, node, p, end);
      if (p < 0) return false;
    }
  }
  return p === end;
}

/** LogRecord.severity_number, whose varint is at `p`; future numbers count as none. */
function severity(s: Scan, node: number, p: number, end: number): number {
  const tape = s.tape;
  const number = s.smallEnum(p, SEVERITY_MASK);
  tape[node + FLAGS] = (tape[node + FLAGS]! & BODY_KIND_MASK) | (number << SEVERITY_SHIFT);
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
  if (n > end - p || tape[node + BODY_AT]! >= 0) return -1;
  if (n > 1 && n < 130 && bytes[p] === 0x0a && bytes[p + 1] === n - 2) {
    tape[node + FLAGS]! |= TEXT;
    tape[node + BODY_AT] = p + 2;
    tape[node + BODY_END] = p + n;
    return p + n;
  }
  const top = s.top;
  if (!s.room(4) || !anyValue(s, p, p + n, top, 0)) return -1;
  const grown = s.tape;
  grown[node + FLAGS]! |= grown[top]!;
  grown[node + BODY_AT] = grown[top + 2]!;
  grown[node + BODY_END] = grown[top + 3]!;
  return p + n;
}

/** Header of an ITEM in which nothing is present. */
function clear(tape: Int32Array, node: number, group: number, at: number, end: number): void {
  tape[node + GROUP] = group;
  tape[node + AT] = at;
  tape[node + END] = end;
  tape[node + TIME] = -1;
  tape[node + FLAGS] = 0;
  tape[node + ATTRIBUTES] = 0;
  tape[node + TRACE] = -1;
  tape[node + SPAN] = -1;
  tape[node + A] = -1;
  tape[node + A + 1] = -1;
  tape[node + A + 2] = -1;
  tape[node + A + 3] = -1;
  tape[node + A + 4] = -1;
  tape[node + A + 5] = -1;
  tape[node + A + 6] = -1;
}

/** What is not usual, or stands out of order: the end of the field at `p`, or -1. */
function rare(s: Scan, node: number, p: number, end: number): number {
  const tag = s.bytes[p]!;
  switch (tag) {
    case 0x38: // LogRecord.dropped_attributes_count
      return s.varintEnd(p + 1, end);
    case 0x62: // LogRecord.event_name
      return text(s, node + EVENT_NAME_AT, p, end);
    case 0x4a: // LogRecord.trace_id
      return id(s, node + TRACE, p, end, 16);
    case 0x52: // LogRecord.span_id
      return id(s, node + SPAN, p, end, 8);
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
