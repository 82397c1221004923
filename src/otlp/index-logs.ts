import { anyValue, attribute, type Scan } from "./scan.ts";
import { ITEM_HEADER, Item, Log, LogFlags, NodeType } from "./tape.ts";

const KNOWN = 0b1_1111_1110_1110; // 1–3, 5–12

/** The LogRecord [p, end) as an ITEM. False: not canonical, or bad. */
export function logRecord(s: Scan, p: number, end: number): boolean {
  const node = s.top;
  if (!s.room(ITEM_HEADER)) return false;
  s.top = node + ITEM_HEADER;
  clear(s.tape, node, s.group, p, end);
  const bytes = s.bytes;
  let time = -1;
  let flags = 0;
  let attributes = 0;
  let hasBody = false;
  while (p < end) {
    switch (bytes[p]) {
      case 0x32: {
        // LogRecord.attributes
        let n = bytes[p + 1]!;
        p += 2;
        if (n > 127) {
          n = s.long(p - 1);
          p = s.at;
        }
        if (n > end - p || !attribute(s, p, p + n, attributes++)) return false;
        p += n;
        break;
      }
      case 0x09: // LogRecord.time_unix_nano
        time = s.nonZero(++p);
        p += 8;
        break;
      case 0x59: // LogRecord.observed_time_unix_nano
        s.tape[node + Log.observed] = s.nonZero(++p);
        p += 8;
        break;
      case 0x2a: {
        // LogRecord.body
        let n = bytes[p + 1]!;
        p += 2;
        if (n > 127) {
          n = s.long(p - 1);
          p = s.at;
        }
        if (n > end - p || hasBody || !s.room(4) || !anyValue(s, p, p + n, s.top, 0)) return false;
        hasBody = true;
        flags |= s.tape[s.top]!;
        s.tape[node + Log.bodyAt] = s.tape[s.top + 2]!;
        s.tape[node + Log.bodyEnd] = s.tape[s.top + 3]!;
        p += n;
        break;
      }
      case 0x10: // LogRecord.severity_number
        flags &= LogFlags.bodyKindMask;
        if (bytes[p + 1]! < 128) flags |= bytes[p + 1]! << LogFlags.severityShift;
        else flags |= s.smallEnum(p + 1, LogFlags.severityMask) << LogFlags.severityShift;
        p = bytes[p + 1]! < 128 ? p + 2 : s.varintEnd(p + 1, end);
        if (p < 0) return false;
        break;
      case 0x45: // LogRecord.flags
        p += 5;
        break;
      default:
        p = rare(s, node, p, end);
        if (p < 0) return false;
    }
  }
  if (p !== end) return false;
  const tape = s.tape;
  tape[node] = ((s.top - node) << 2) | NodeType.item;
  tape[node + Item.time] = time < 0 ? tape[node + Log.observed]! : time;
  tape[node + Item.flags] = flags;
  tape[node + Item.attributes] = attributes;
  s.items++;
  return true;
}

/** Header of an ITEM whose positions are all absent. */
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
  for (let i = node + Item.trace; i < node + ITEM_HEADER; i++) tape[i] = -1;
}

/** Fields with a short length, and what nobody knows: the end of the field at `p`, or -1. */
function rare(s: Scan, node: number, p: number, end: number): number {
  const bytes = s.bytes;
  const tag = bytes[p]!;
  if (tag === 0x38) return s.varintEnd(p + 1, end); // LogRecord.dropped_attributes_count
  if (tag !== 0x1a && tag !== 0x4a && tag !== 0x52 && tag !== 0x62) return s.skip(p, end, KNOWN);
  let n = bytes[p + 1]!;
  p += 2;
  if (n > 127) {
    n = s.long(p - 1);
    p = s.at;
  }
  if (n > end - p) return -1;
  const tape = s.tape;
  if (tag === 0x4a) {
    // LogRecord.trace_id
    if (n !== 16 && n !== 0) return -1;
    tape[node + Item.trace] = n === 0 ? -1 : s.traceId(p);
  } else if (tag === 0x52) {
    // LogRecord.span_id
    if (n !== 8 && n !== 0) return -1;
    tape[node + Item.span] = n === 0 ? -1 : s.nonZero(p);
  } else {
    const at = node + (tag === 0x1a ? Log.severityTextAt : Log.eventNameAt); // LogRecord.severity_text, event_name
    tape[at] = n === 0 ? -1 : p;
    tape[at + 1] = n === 0 ? -1 : p + n;
  }
  return p + n;
}
