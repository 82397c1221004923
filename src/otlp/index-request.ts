import { attributes } from "./index-attributes.ts";
import { inSteps, largeUnit, type Steps } from "./index-large.ts";
import { logRecord } from "./index-logs.ts";
import { metric } from "./index-points.ts";
import { span } from "./index-spans.ts";
import { FIRST } from "./key-table.ts";
import type { Scan } from "./scan.ts";
import { GROUP_HEADER, Group, NodeType, type Signal } from "./tape.ts";

const KNOWN_REQUEST = 0b0010;
const KNOWN_OUTER = 0b1110; // ResourceLogs, ScopeLogs and their kin
const KNOWN_RESOURCE = 0b1110;
const KNOWN_SCOPE = 0b1_1110;

/** How far a pass over a request came; BAD: it is not canonical, or bad, or `isTooLarge`. */
export const Progress = { paused: 0, done: 1, bad: 2 } as const;
export type Progress = (typeof Progress)[keyof typeof Progress];

/**
 * One pass over the export request [0, end) → nodes of `s.tape`. It may pause between any two items, and within parts larger than
 * `s.largest`; so its place in the three outer messages is kept here.
 */
export class RequestPass {
  readonly #scan: Scan;
  readonly #signal: Signal;
  readonly #end: number;
  #position = 0;
  /** The large part before `#position` that is not done, and how far it is. */
  #steps: Steps | undefined;
  #reached = 0;
  #ordinal = 0;
  /** ResourceLogs and its kin; end -1: not in one. */
  #outerAt = 0;
  #outerEnd = -1;
  #resourceAt = -1;
  #resourceEnd = -1;
  /** Tape index of the first GROUP of the resource, or -1; where it will be, once the resource's entries are behind its header. */
  #first = -1;
  #next = -1;
  /** ScopeLogs and its kin; end -1: not in one. */
  #scopedEnd = -1;
  /** Nothing of the scope but unknown fields has been seen. */
  #isOpen = true;

  constructor(scan: Scan, signal: Signal, end: number) {
    this.#scan = scan;
    this.#signal = signal;
    this.#end = end;
  }

  /** How far it is. */
  get position(): number {
    return this.#steps === undefined ? this.#position : this.#reached;
  }

  /** Goes on to the end, or to the first item behind `pause`, or by one step of a large part. */
  run(pause: number): Progress {
    const s = this.#scan;
    const end = this.#end;
    for (;;) {
      if (this.#steps !== undefined) {
        const progress = this.#step(this.#steps);
        if (progress !== Progress.done) return progress;
      }
      if (this.#scopedEnd >= 0 && !this.#scoped(pause)) return Progress.bad;
      if (this.#steps !== undefined) continue;
      if (this.#scopedEnd < 0 && this.#outerEnd >= 0 && !this.#outer(pause)) return Progress.bad;
      if (this.#steps !== undefined) continue;
      const p = this.#position;
      if (p >= pause && p < end) return Progress.paused;
      if (this.#outerEnd >= 0) continue;
      if (p >= end) return p === end ? Progress.done : Progress.bad;
      if (s.bytes[p] === 0x0a) {
        // ExportLogsServiceRequest.resource_logs
        const stop = s.sized(p + 1, end);
        if (stop < 0) return Progress.bad;
        this.#position = s.at;
        this.#outerAt = s.at;
        this.#outerEnd = stop;
        this.#resourceAt = -1;
        this.#resourceEnd = -1;
        this.#first = -1;
        this.#next = -1;
      } else {
        this.#position = s.skip(p, end, KNOWN_REQUEST);
        if (this.#position < 0) return Progress.bad;
      }
    }
  }

  /** Goes on with a large part; done when that is. */
  #step(steps: Steps): Progress {
    const step = steps.next();
    if (!step.done) {
      this.#reached = step.value;
      return Progress.paused;
    }
    this.#steps = undefined;
    return step.value ? Progress.done : Progress.bad;
  }

  /** ResourceLogs | ResourceSpans | ResourceMetrics, up to the items of its next scope. Canonical: one Resource, before the scopes. */
  #outer(pause: number): boolean {
    const s = this.#scan;
    const end = this.#outerEnd;
    const until = Math.min(pause, end);
    let p = this.#position;
    while (p < until) {
      const tag = s.bytes[p]!;
      if (tag !== 0x0a && tag !== 0x12) {
        p = s.skip(p, end, tag === 0x1a ? 0 : KNOWN_OUTER);
        if (p < 0) return false;
        continue;
      }
      const stop = s.sized(p + 1, end);
      if (stop < 0) return false;
      p = s.at;
      if (tag === 0x12) {
        this.#position = p; // ResourceLogs.scope_logs
        return this.#group(p, stop);
      }
      // ResourceLogs.resource
      if (this.#resourceAt >= 0 || this.#first >= 0) return false;
      this.#resourceAt = p;
      this.#resourceEnd = stop;
      this.#next = s.top;
      if (!s.room(GROUP_HEADER)) return false;
      s.top += GROUP_HEADER;
      s.before = FIRST.resource;
      if (stop - p > s.largest) {
        this.#position = stop;
        this.#steps = inSteps(s, p, stop, (from, to) => resourceFields(s, from, to));
        return true;
      }
      if (!resourceFields(s, p, stop)) return false;
      p = stop;
    }
    this.#position = p;
    if (p < end) return true;
    // A resource without scopes has no node; yet it was to be valid.
    if (this.#next >= 0 && this.#first < 0) s.top = this.#next;
    this.#outerEnd = -1;
    this.#ordinal++;
    return p === end;
  }

  /** A GROUP for the scope [p, end), with the entries of the resource if it is its first. */
  #group(p: number, end: number): boolean {
    const s = this.#scan;
    const first = this.#first;
    const isPrepared = first < 0 && this.#next >= 0;
    const node = isPrepared ? this.#next : s.top;
    if (!isPrepared) {
      if (!s.room(GROUP_HEADER)) return false;
      s.top = node + GROUP_HEADER;
    }
    s.group = node;
    s.tape.fill(-1, node, node + GROUP_HEADER);
    s.tape[node + Group.at] = this.#outerAt;
    s.tape[node + Group.end] = this.#outerEnd;
    s.tape[node + Group.resourceAt] = this.#resourceAt;
    s.tape[node + Group.resourceEnd] = this.#resourceEnd;
    s.tape[node + Group.ordinal] = this.#ordinal;
    if (first < 0) {
      this.#first = node;
      s.tape[node + Group.resourceEntries] = node + GROUP_HEADER;
      s.tape[node + Group.resourceCount] = (s.top - node - GROUP_HEADER) >>> 2;
    } else {
      s.tape[node + Group.resourceEntries] = s.tape[first + Group.resourceEntries]!;
      s.tape[node + Group.resourceCount] = s.tape[first + Group.resourceCount]!;
    }
    s.tape[node + Group.scopedAt] = p;
    s.tape[node + Group.scopedEnd] = end;
    s.tape[node + Group.scopeEntries] = s.top;
    s.tape[node + Group.scopeCount] = 0;
    s.tape[node] = ((s.top - node) << 2) | NodeType.group;
    this.#scopedEnd = end;
    this.#isOpen = true;
    return true;
  }

  /** ScopeLogs | ScopeSpans | ScopeMetrics, up to `pause`. Canonical: one scope, before the items. */
  #scoped(pause: number): boolean {
    const s = this.#scan;
    const bytes = s.bytes;
    const end = this.#scopedEnd;
    const until = Math.min(pause, end);
    const signal = this.#signal;
    let p = this.#position;
    while (p < until && this.#steps === undefined) {
      const tag = bytes[p]!;
      if (tag !== 0x0a && tag !== 0x12) {
        p = s.skip(p, end, tag === 0x1a ? 0 : KNOWN_OUTER);
        if (p < 0) return false;
        continue;
      }
      const stop = s.sized(p + 1, end);
      if (stop < 0) return false;
      p = s.at;
      if (tag === 0x0a && !this.#isOpen) return false;
      if (stop - p > s.largest) {
        this.#steps = tag === 0x0a ? this.#largeScope(p, stop) : largeUnit(s, signal, p, stop);
      } else if (tag === 0x0a) {
        // ScopeLogs.scope
        beginScope(s, s.group, p, stop);
        if (!scopeFields(s, s.group, p, stop)) return false;
      } else if (signal === "logs") {
        if (!logRecord(s, p, stop)) return false; // ScopeLogs.log_records
      } else if (signal === "traces") {
        if (!span(s, p, stop)) return false; // ScopeSpans.spans
      } else if (!metric(s, p, stop)) return false; // ScopeMetrics.metrics
      this.#isOpen = false;
      p = stop;
    }
    this.#position = p;
    if (p >= end) this.#scopedEnd = -1;
    return p <= end;
  }

  #largeScope(p: number, end: number): Steps {
    const s = this.#scan;
    const node = s.group;
    beginScope(s, node, p, end);
    return inSteps(s, p, end, (from, to) => scopeFields(s, node, from, to));
  }
}

/** Whole fields [p, end) of a Resource. */
function resourceFields(s: Scan, p: number, end: number): boolean {
  while (p < end) {
    const tag = s.bytes[p]!;
    if (tag === 0x0a)
      p = attributes(s, 0x0a, p, end); // Resource.attributes
    else p = s.skip(p, end, tag === 0x10 || tag === 0x1a ? 0 : KNOWN_RESOURCE);
    if (p < 0) return false;
  }
  return p === end;
}

function beginScope(s: Scan, node: number, p: number, end: number): void {
  s.tape[node + Group.scopeAt] = p;
  s.tape[node + Group.scopeEnd] = end;
  s.before = FIRST.scope;
}

/** Whole fields [p, end) of the InstrumentationScope of the GROUP at `node`. */
function scopeFields(s: Scan, node: number, p: number, end: number): boolean {
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
  s.tape[node + Group.scopeCount] = (s.top - s.tape[node + Group.scopeEntries]!) >>> 2;
  s.tape[node] = ((s.top - node) << 2) | NodeType.group;
  return p === end;
}
