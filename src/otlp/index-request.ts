import { attributes } from "./index-attributes.ts";
import { logRecords } from "./index-logs.ts";
import { metric } from "./index-points.ts";
import { span } from "./index-spans.ts";
import { FIRST } from "./key-table.ts";
import type { Scan } from "./scan.ts";
import { GROUP_HEADER, Group, NodeType, type Signal } from "./tape.ts";

const KNOWN_REQUEST = 0b0010;
const KNOWN_OUTER = 0b1110; // ResourceLogs, ScopeLogs and their kin
const KNOWN_RESOURCE = 0b1110;
const KNOWN_SCOPE = 0b1_1110;

/** The export request [0, end) → nodes of `s.tape`. False: not canonical, or bad, or `s.isTooLarge`. */
export function request(s: Scan, signal: Signal, end: number): boolean {
  let ordinal = 0;
  let p = 0;
  while (p < end) {
    if (s.bytes[p] === 0x0a) {
      // ExportLogsServiceRequest.resource_logs
      let n = s.bytes[p + 1]!;
      p += 2;
      if (n > 127) {
        n = s.long(p - 1);
        p = s.at;
      }
      if (n > end - p || !resourceItems(s, signal, p, p + n, ordinal++)) return false;
      p += n;
    } else {
      p = s.skip(p, end, KNOWN_REQUEST);
      if (p < 0) return false;
    }
  }
  return p === end;
}

/** ResourceLogs | ResourceSpans | ResourceMetrics [p, end). Canonical: one Resource, before the scopes. */
function resourceItems(s: Scan, signal: Signal, p: number, end: number, ordinal: number): boolean {
  const at = p;
  let resourceAt = -1;
  let resourceEnd = -1;
  let first = -1;
  while (p < end) {
    const tag = s.bytes[p]!;
    if (tag !== 0x0a && tag !== 0x12) {
      p = s.skip(p, end, tag === 0x1a ? 0 : KNOWN_OUTER);
      if (p < 0) return false;
      continue;
    }
    let n = s.bytes[p + 1]!;
    p += 2;
    if (n > 127) {
      n = s.long(p - 1);
      p = s.at;
    }
    if (n > end - p) return false;
    if (tag === 0x0a) {
      // ResourceLogs.resource
      if (resourceAt >= 0 || first >= 0) return false;
      resourceAt = p;
      resourceEnd = p + n;
      // A resource without scopes has no node, yet must be valid.
      const top = s.top;
      if (resource(s, p, p + n) < 0) return false;
      s.top = top;
    } else {
      // ResourceLogs.scope_logs
      const node = s.top;
      if (!s.room(GROUP_HEADER)) return false;
      s.top = node + GROUP_HEADER;
      s.group = node;
      header(s.tape, node, at, end, resourceAt, resourceEnd, ordinal);
      if (first < 0) {
        first = node;
        s.tape[node + Group.resourceEntries] = s.top;
        const count = resourceAt < 0 ? 0 : resource(s, resourceAt, resourceEnd);
        if (count < 0) return false;
        s.tape[node + Group.resourceCount] = count;
      } else {
        s.tape[node + Group.resourceEntries] = s.tape[first + Group.resourceEntries]!;
        s.tape[node + Group.resourceCount] = s.tape[first + Group.resourceCount]!;
      }
      if (!scopeItems(s, signal, node, p, p + n)) return false;
    }
    p += n;
  }
  return p === end;
}

function header(
  tape: Int32Array,
  node: number,
  at: number,
  end: number,
  resourceAt: number,
  resourceEnd: number,
  ordinal: number,
): void {
  tape.fill(-1, node, node + GROUP_HEADER);
  tape[node + Group.at] = at;
  tape[node + Group.end] = end;
  tape[node + Group.resourceAt] = resourceAt;
  tape[node + Group.resourceEnd] = resourceEnd;
  tape[node + Group.ordinal] = ordinal;
}

/** Number of entries that the Resource [p, end) put on the tape, or -1. */
function resource(s: Scan, p: number, end: number): number {
  const top = s.top;
  s.before = FIRST.resource;
  while (p < end) {
    const tag = s.bytes[p]!;
    if (tag === 0x0a)
      p = attributes(s, 0x0a, p, end); // Resource.attributes
    else p = s.skip(p, end, tag === 0x10 || tag === 0x1a ? 0 : KNOWN_RESOURCE);
    if (p < 0) return -1;
  }
  return p === end ? (s.top - top) >>> 2 : -1;
}

/** ScopeLogs | ScopeSpans | ScopeMetrics [p, end). Canonical: one scope, before the items. */
function scopeItems(s: Scan, signal: Signal, node: number, p: number, end: number): boolean {
  s.tape[node + Group.scopedAt] = p;
  s.tape[node + Group.scopedEnd] = end;
  s.tape[node + Group.scopeEntries] = s.top;
  s.tape[node + Group.scopeCount] = 0;
  s.tape[node] = ((s.top - node) << 2) | NodeType.group;
  let isOpen = true;
  while (p < end) {
    const tag = s.bytes[p]!;
    if (tag === 0x12 && signal === "logs") {
      isOpen = false;
      p = logRecords(s, p, end, end);
      if (p < 0) return false;
      continue;
    }
    if (tag !== 0x0a && tag !== 0x12) {
      p = s.skip(p, end, tag === 0x1a ? 0 : KNOWN_OUTER);
      if (p < 0) return false;
      continue;
    }
    let n = s.bytes[p + 1]!;
    p += 2;
    if (n > 127) {
      n = s.long(p - 1);
      p = s.at;
    }
    if (n > end - p) return false;
    if (tag === 0x12) {
      // ScopeLogs.log_records
      isOpen = false;
      if (!item(s, signal, p, p + n)) return false;
    } else {
      // ScopeLogs.scope
      if (!isOpen || !scope(s, node, p, p + n)) return false;
      isOpen = false;
    }
    p += n;
  }
  return p === end;
}

function item(s: Scan, signal: Signal, p: number, end: number): boolean {
  return signal === "traces" ? span(s, p, end) : metric(s, p, end);
}

function scope(s: Scan, node: number, p: number, end: number): boolean {
  s.tape[node + Group.scopeAt] = p;
  s.tape[node + Group.scopeEnd] = end;
  const top = s.top;
  s.before = FIRST.scope;
  while (p < end) {
    const tag = s.bytes[p]!;
    if (tag === 0x1a)
      p = attributes(s, 0x1a, p, end); // InstrumentationScope.attributes
    else if (tag === 0x0a || tag === 0x12) {
      // InstrumentationScope.name, version
      const at = p + 1;
      p = s.skip(p, end, 0);
      const from = s.bytes[at]! < 128 ? at + 1 : s.at;
      const slot = node + (tag === 0x0a ? Group.scopeNameAt : Group.scopeVersionAt);
      s.tape[slot] = from === p ? -1 : from;
      s.tape[slot + 1] = from === p ? -1 : p;
    } else p = s.skip(p, end, tag === 0x20 ? 0 : KNOWN_SCOPE);
    if (p < 0) return false;
  }
  s.tape[node + Group.scopeCount] = (s.top - top) >>> 2;
  s.tape[node] = ((s.top - node) << 2) | NodeType.group;
  return p === end;
}
