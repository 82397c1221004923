import { attributes, isKeyValue } from "./index-attributes.ts";
import { beginItem, endItem } from "./index-logs.ts";
import { Check, idAt, nonZero, type Scan } from "./scan.ts";
import { Item, Span, SpanFlags } from "./tape.ts";

const KNOWN = 0b1_1111_1111_1111_1110; // 1–16
const KNOWN_STATUS = 0b1100;
/** Kinds above this number are from the future. */
const MAX_KIND = 5;
const FUTURE_KIND = 15;
/** Bit of flags while a span is indexed: a second Status is to be merged by canonicalize. */
const HAS_STATUS = 1 << 16;

/** The Span [p, end) as an ITEM. False: not canonical, or bad. */
export function span(s: Scan, p: number, end: number): boolean {
  const node = beginItem(s, p, end);
  if (node < 0 || !spanFields(s, node, p, end)) return false;
  endSpan(s, node);
  return true;
}

export function endSpan(s: Scan, node: number): void {
  s.tape[node + Item.flags]! &= ~HAS_STATUS;
  endItem(s, node);
}

/** Whole fields [p, end) of a Span. */
export function spanFields(s: Scan, node: number, p: number, end: number): boolean {
  const bytes = s.bytes;
  while (p < end) {
    switch (bytes[p]) {
      case 0x4a: // Span.attributes
        p = attributes(s, 0x4a, p, end);
        if (p < 0) return false;
        break;
      case 0x39: // Span.start_time_unix_nano
        s.tape[node + Item.time] = nonZero(s.view, ++p);
        p += 8;
        break;
      case 0x41: // Span.end_time_unix_nano
        s.tape[node + Span.endTime] = nonZero(s.view, ++p);
        p += 8;
        break;
      case 0x30: // Span.kind
        kind(s, node, p + 1);
        p = s.varintEnd(p + 1, end);
        if (p < 0) return false;
        break;
      case 0x50: // Span.dropped_attributes_count
      case 0x60: // Span.dropped_events_count
      case 0x70: // Span.dropped_links_count
        p = s.varintEnd(p + 1, end);
        if (p < 0) return false;
        break;
      default:
        p = sized(s, node, p, end);
        if (p < 0) return false;
    }
  }
  return p === end;
}

function kind(s: Scan, node: number, p: number): void {
  const value = s.bytes[p]!;
  const flags = s.tape[node + Item.flags]! & ~SpanFlags.kindMask;
  s.tape[node + Item.flags] = flags | (value <= MAX_KIND ? value : FUTURE_KIND);
}

/** Length-delimited fields other than attributes: the end of the field at `p`, or -1. */
function sized(s: Scan, node: number, p: number, end: number): number {
  const bytes = s.bytes;
  const tag = bytes[p]!;
  if ((tag & 7) !== 2 || tag > 127) {
    if (tag === 0x85 && bytes[p + 1] === 0x01) return end - p < 6 ? -1 : p + 6; // Span.flags
    return s.skip(p, end, KNOWN);
  }
  let n = bytes[p + 1]!;
  p += 2;
  if (n > 127) {
    n = s.long(p - 1);
    p = s.at;
  }
  if (n > end - p) return -1;
  const tape = s.tape;
  switch (tag) {
    case 0x0a: // Span.trace_id
      if (n !== 16 && n !== 0) return -1;
      tape[node + Item.trace] = n === 0 ? -1 : idAt(s.view, p);
      break;
    case 0x12: // Span.span_id
      if (n !== 8 && n !== 0) return -1;
      tape[node + Item.span] = n === 0 ? -1 : nonZero(s.view, p);
      break;
    case 0x22: // Span.parent_span_id
      if (n !== 8 && n !== 0) return -1;
      tape[node + Span.parent] = n === 0 ? -1 : nonZero(s.view, p);
      break;
    case 0x2a: // Span.name
      tape[node + Span.nameAt] = n === 0 ? -1 : p;
      tape[node + Span.nameEnd] = n === 0 ? -1 : p + n;
      break;
    case 0x1a: // Span.trace_state
      tape[node + Item.flags]! &= ~SpanFlags.hasTraceState;
      if (n > 0) tape[node + Item.flags]! |= SpanFlags.hasTraceState;
      break;
    case 0x5a: // Span.events
      if (tape[node + Span.firstEvent]! < 0) tape[node + Span.firstEvent] = p;
      tape[node + Item.flags]! |= SpanFlags.hasEvents;
      if (!s.putOff(Check.event, p, p + n) && !isEvent(s, p, p + n)) return -1;
      break;
    case 0x6a: // Span.links
      tape[node + Item.flags]! |= SpanFlags.hasLinks;
      if (!s.putOff(Check.link, p, p + n) && !isLink(s, p, p + n)) return -1;
      break;
    case 0x7a: // Span.status
      if (!status(s, node, p, p + n)) return -1;
      break;
    default:
      return -1;
  }
  return p + n;
}

function status(s: Scan, node: number, p: number, end: number): boolean {
  if (s.tape[node + Item.flags]! & HAS_STATUS) return false;
  s.tape[node + Item.flags]! |= HAS_STATUS;
  return s.putOff(Check.status, p, end, node) || statusFields(s, p, end, node);
}

/** Whole fields [p, end) of a Status. */
export function statusFields(s: Scan, p: number, end: number, node: number): boolean {
  const tape = s.tape;
  const bytes = s.bytes;
  while (p < end) {
    const tag = bytes[p];
    if (tag === 0x18) {
      // Status.code
      const code = s.smallEnum(p + 1, 2);
      const flags = tape[node + Item.flags]! & ~(SpanFlags.statusMask << SpanFlags.statusShift);
      tape[node + Item.flags] = flags | (code << SpanFlags.statusShift);
      p = s.varintEnd(p + 1, end);
    } else if (tag === 0x12) {
      // Status.message
      const at = p + 1;
      p = s.skip(p, end, 0);
      if (p < 0) return false;
      const from = bytes[at]! < 128 ? at + 1 : s.at;
      tape[node + Span.statusMessageAt] = from === p ? -1 : from;
      tape[node + Span.statusMessageEnd] = from === p ? -1 : p;
    } else p = s.skip(p, end, KNOWN_STATUS);
    if (p < 0) return false;
  }
  return p === end;
}

/** Whether [p, end) are whole fields of a SpanEvent. */
export function isEvent(s: Scan, p: number, end: number): boolean {
  while (p < end) {
    const tag = s.bytes[p];
    if (tag === 0x1a)
      p = keyValueEnd(s, p, end); // SpanEvent.attributes
    else p = s.skip(p, end, tag === 0x09 || tag === 0x12 || tag === 0x20 ? 0 : 0b1_1110);
    if (p < 0) return false;
  }
  return p === end;
}

/** Whether [p, end) are whole fields of a SpanLink. */
export function isLink(s: Scan, p: number, end: number): boolean {
  while (p < end) {
    const tag = s.bytes[p];
    if (tag === 0x22)
      p = keyValueEnd(s, p, end); // SpanLink.attributes
    else if (tag === 0x0a)
      p = idEnd(s, p, end, 16); // SpanLink.trace_id
    else if (tag === 0x12)
      p = idEnd(s, p, end, 8); // SpanLink.span_id
    else p = s.skip(p, end, tag === 0x1a || tag === 0x28 || tag === 0x35 ? 0 : 0b111_1110);
    if (p < 0) return false;
  }
  return p === end;
}

/** End of the KeyValue field whose one-byte tag is at `p`, or -1 when it is not canonical. */
export function keyValueEnd(s: Scan, p: number, end: number): number {
  let n = s.bytes[p + 1]!;
  p += 2;
  if (n > 127) {
    n = s.long(p - 1);
    p = s.at;
  }
  return n > end - p || !isKeyValue(s, p, p + n, 0) ? -1 : p + n;
}

/** End of the id field whose one-byte tag is at `p`, or -1 when it has neither `size` bytes nor none. */
export function idEnd(s: Scan, p: number, end: number, size: number): number {
  const n = s.bytes[p + 1]!;
  return (n !== size && n !== 0) || n > end - p - 2 ? -1 : p + 2 + n;
}
