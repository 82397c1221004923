import { isKeyValueTail, isList } from "./index-attributes.ts";
import { beginItem, endItem, endLog, logFields } from "./index-logs.ts";
import { isBuckets, isExemplar, isQuantile, isVarints } from "./index-parts.ts";
import {
  beginData,
  beginMetric,
  beginPoint,
  dataFields,
  metricFields,
  metricType,
  pointFields,
} from "./index-points.ts";
import { endSpan, isEvent, isLink, spanFields, statusFields } from "./index-spans.ts";
import { Check, type Scan } from "./scan.ts";
import { MetricType, type Signal } from "./tape.ts";

/** Messages of more bytes than this are indexed in steps. */
export const LARGE = 128 * 1024;
/** Bytes of a step; a field that is larger is a step of its own. */
const STEP = 64 * 1024;

/** Indexes one part in steps: yields where it is, returns whether the part is canonical. */
export type Steps = Generator<number, boolean>;

/**
 * An item or metric of any size, as `logRecord`, `span` and `metric` do it: the same functions for its fields, called for some
 * 64 KiB of them at a time. What has no fields to part it by and is large, is put off and then checked in steps too.
 */
export function* largeUnit(s: Scan, signal: Signal, p: number, end: number): Steps {
  if (signal === "metrics") return yield* largeMetric(s, p, end);
  const node = beginItem(s, p, end);
  if (node < 0) return false;
  if (signal === "logs") {
    if (!(yield* inSteps(s, p, end, (from, to) => logFields(s, node, from, to)))) return false;
    endLog(s, node);
  } else {
    if (!(yield* inSteps(s, p, end, (from, to) => spanFields(s, node, from, to)))) return false;
    endSpan(s, node);
  }
  return true;
}

/** Whole fields of [p, end), some at a time. */
export function* inSteps(
  s: Scan,
  p: number,
  end: number,
  take: (from: number, to: number) => boolean,
): Steps {
  while (p < end) {
    const to = stepEnd(s, p, end);
    if (to < 0 || !take(p, to)) return false;
    if (s.later.length > 0 && !(yield* latecomers(s))) return false;
    p = to;
    yield p;
  }
  return true;
}

function* largeMetric(s: Scan, p: number, end: number): Steps {
  const node = beginMetric(s, p, end);
  if (node < 0) return false;
  while (p < end) {
    const to = stepEnd(s, p, end);
    if (to < 0) return false;
    const type = to - p > LARGE ? metricType(s.bytes[p]!) : MetricType.none;
    if (type !== MetricType.none) {
      s.sized(p + 1, end);
      const at = s.at;
      if (!beginData(s, node, type, at) || !(yield* largeData(s, node, type, at, to))) return false;
    } else {
      if (!metricFields(s, node, p, to)) return false;
      if (s.later.length > 0 && !(yield* latecomers(s))) return false;
    }
    p = to;
    yield p;
  }
  return true;
}

function* largeData(s: Scan, node: number, type: number, p: number, end: number): Steps {
  while (p < end) {
    const to = stepEnd(s, p, end);
    if (to < 0) return false;
    if (to - p > LARGE && s.bytes[p] === 0x0a) {
      // Gauge.data_points
      s.sized(p + 1, end);
      if (!(yield* largePoint(s, type, s.at, to))) return false;
    } else if (!dataFields(s, node, type, p, to)) return false;
    p = to;
    yield p;
  }
  return true;
}

function* largePoint(s: Scan, type: number, p: number, end: number): Steps {
  const node = beginPoint(s, p, end);
  if (node < 0) return false;
  if (!(yield* inSteps(s, p, end, (from, to) => pointFields(s, node, type, from, to))))
    return false;
  endItem(s, node);
  return true;
}

/** Does what was put off, and what is put off meanwhile. */
function* latecomers(s: Scan): Steps {
  const { later } = s;
  for (let i = 0; i < later.length; i += 4) {
    const check = later[i] as Check;
    const end = later[i + 2]!;
    for (let p = later[i + 1]!; p < end; ) {
      const to = check === Check.varints ? varintsEnd(s, p, end) : stepEnd(s, p, end);
      if (to < 0 || !isFine(s, check, p, to, later[i + 3]!)) return false;
      p = to;
      yield p;
    }
  }
  later.length = 0;
  return true;
}

/** Whether [p, end), whole fields, is what `check` says. `extra`: what `putOff` was given. */
function isFine(s: Scan, check: Check, p: number, end: number, extra: number): boolean {
  switch (check) {
    case Check.list:
    case Check.map:
      return isList(s, p, end, check === Check.map, extra);
    case Check.keyValueTail:
      return isKeyValueTail(s, p, end);
    case Check.event:
      return isEvent(s, p, end);
    case Check.link:
      return isLink(s, p, end);
    case Check.status:
      return statusFields(s, p, end, extra);
    case Check.exemplar:
      return isExemplar(s, p, end);
    case Check.quantile:
      return isQuantile(s, p, end);
    case Check.buckets:
      return isBuckets(s, p, end);
    case Check.varints:
      return isVarints(s, p, end);
  }
}

/** End of the fields from `p` on that are one step; -1 when they are malformed. */
function stepEnd(s: Scan, p: number, end: number): number {
  const until = Math.min(p + STEP, end);
  let to = s.skip(p, end, 0);
  while (to >= 0 && to < until) {
    const next = s.skip(to, end, 0);
    if (next - to > LARGE) break; // a step of its own
    to = next;
  }
  return to;
}

/** End of the varints that are one step. */
function varintsEnd(s: Scan, p: number, end: number): number {
  let to = Math.min(p + STEP, end);
  while (to < end && s.bytes[to - 1]! > 127) to++;
  return to;
}
