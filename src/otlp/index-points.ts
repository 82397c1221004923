import { attributes } from "./index-attributes.ts";
import { beginItem, endItem } from "./index-logs.ts";
import { buckets, exemplar, isQuantile, payload } from "./index-parts.ts";
import { keyValueEnd } from "./index-spans.ts";
import { Check, nonZero, type Scan } from "./scan.ts";
import { Item, METRIC_HEADER, Metric, MetricType, NodeType, Point, PointFlags } from "./tape.ts";

const KNOWN_METRIC = 0b1_1110_1010_1110; // 1–3, 5, 7, 9–12
const KNOWN_NUMBER = 0b1_1111_1100;
const KNOWN_HISTOGRAM = 0b1_1111_1111_1100;
const KNOWN_EXPONENTIAL = 0b111_1111_1111_1110;
const KNOWN_SUMMARY = 0b1_1111_1100;
const NO_RECORDED_VALUE = 1;

/** The Metric [p, end): a METRIC and its ITEMs. False: not canonical, or bad. Names stand before the data in canonical wire. */
export function metric(s: Scan, p: number, end: number): boolean {
  const node = beginMetric(s, p, end);
  return node >= 0 && metricFields(s, node, p, end);
}

/** The METRIC, whose fields come next: its tape index, or -1 when there is no room. */
export function beginMetric(s: Scan, p: number, end: number): number {
  const node = s.top;
  if (!s.room(METRIC_HEADER)) return -1;
  s.top = node + METRIC_HEADER;
  s.metric = node;
  const head = s.tape;
  head[node] = (METRIC_HEADER << 2) | NodeType.metric;
  head[node + Metric.group] = s.group;
  head[node + Metric.at] = p;
  head[node + Metric.end] = end;
  for (let i = Metric.nameAt; i <= Metric.dataAt; i++) head[node + i] = -1;
  head[node + Metric.flags] = MetricType.none;
  return node;
}

/** Whole fields [p, end) of a Metric. */
export function metricFields(s: Scan, node: number, p: number, end: number): boolean {
  while (p < end) {
    const tag = s.bytes[p]!;
    if ((tag & 7) !== 2 || tag > 127) {
      p = s.skip(p, end, KNOWN_METRIC);
      if (p < 0) return false;
      continue;
    }
    if (tag === 0x62) {
      // Metric.metadata
      p = keyValueEnd(s, p, end);
      if (p < 0) return false;
      continue;
    }
    let n = s.bytes[p + 1]!;
    p += 2;
    if (n > 127) {
      n = s.long(p - 1);
      p = s.at;
    }
    if (n > end - p || !metricField(s, node, tag, p, p + n)) return false;
    p += n;
  }
  return p === end;
}

function metricField(s: Scan, node: number, tag: number, p: number, end: number): boolean {
  const type = metricType(tag);
  if (type !== MetricType.none)
    return beginData(s, node, type, p) && dataFields(s, node, type, p, end);
  const tape = s.tape;
  let at: number;
  if (tag === 0x0a)
    at = Metric.nameAt; // Metric.name
  else if (tag === 0x12)
    at = Metric.descriptionAt; // Metric.description
  else if (tag === 0x1a)
    at = Metric.unitAt; // Metric.unit
  else return tag > 7 && ((KNOWN_METRIC >>> (tag >>> 3)) & 1) === 0;
  if (tape[node + Metric.dataAt]! >= 0) return false;
  tape[node + at] = p === end ? -1 : p;
  tape[node + at + 1] = p === end ? -1 : end;
  return true;
}

/** The type of the metric whose data has the one-byte tag `tag`. */
export function metricType(tag: number): number {
  switch (tag) {
    case 0x2a: // Metric.gauge
      return MetricType.gauge;
    case 0x3a: // Metric.sum
      return MetricType.sum;
    case 0x4a: // Metric.histogram
      return MetricType.histogram;
    case 0x52: // Metric.exponential_histogram
      return MetricType.exponentialHistogram;
    case 0x5a: // Metric.summary
      return MetricType.summary;
    default:
      return MetricType.none;
  }
}

/** The data of a METRIC stand at `p`. Canonical: once. */
export function beginData(s: Scan, node: number, type: number, p: number): boolean {
  if (s.tape[node + Metric.dataAt]! >= 0) return false;
  s.tape[node + Metric.dataAt] = p;
  s.tape[node + Metric.flags] = type;
  return true;
}

/** Whole fields [p, end) of a Gauge | Sum | Histogram | ExponentialHistogram | Summary. */
export function dataFields(s: Scan, node: number, type: number, p: number, end: number): boolean {
  const hasTemporality = type !== MetricType.gauge && type !== MetricType.summary;
  const known = hasTemporality ? (type === MetricType.sum ? 0b1110 : 0b0110) : 0b0010;
  while (p < end) {
    const tag = s.bytes[p]!;
    if (tag === 0x0a) {
      // Gauge.data_points
      let n = s.bytes[p + 1]!;
      p += 2;
      if (n > 127) {
        n = s.long(p - 1);
        p = s.at;
      }
      if (n > end - p || !point(s, type, p, p + n)) return false;
      p += n;
    } else if (tag === 0x10 && hasTemporality) {
      // Sum.aggregation_temporality
      const flags = s.tape[node + Metric.flags]! & ~0xf0;
      s.tape[node + Metric.flags] = flags | (s.smallEnum(p + 1, 2) << 4);
      p = s.varintEnd(p + 1, end);
    } else if (tag === 0x18 && type === MetricType.sum) {
      // Sum.is_monotonic
      const flags = s.tape[node + Metric.flags]! & 0xff;
      const stop = s.varintEnd(p + 1, end);
      s.tape[node + Metric.flags] = flags | (isZero(s, p + 1, stop) ? 0 : 256);
      p = stop;
    } else p = s.skip(p, end, known);
    if (p < 0) return false;
  }
  return p === end;
}

function isZero(s: Scan, p: number, end: number): boolean {
  for (; p < end; p++) if (s.bytes[p]! & 127) return false;
  return true;
}

/** The point [p, end) of a metric of this type as an ITEM. False: not canonical, or bad. */
export function point(s: Scan, type: number, p: number, end: number): boolean {
  const node = beginPoint(s, p, end);
  if (node < 0 || !pointFields(s, node, type, p, end)) return false;
  endItem(s, node);
  return true;
}

/** The ITEM of a point, whose fields come next: its tape index, or -1 when there is no room. */
export function beginPoint(s: Scan, p: number, end: number): number {
  const node = beginItem(s, p, end);
  if (node >= 0) s.tape[node + Point.metric] = s.metric;
  return node;
}

/** Whole fields [p, end) of a point of a metric of this type. */
export function pointFields(s: Scan, node: number, type: number, p: number, end: number): boolean {
  if (type <= MetricType.sum) return numberPoint(s, node, p, end);
  if (type === MetricType.histogram) return histogramPoint(s, node, p, end);
  if (type === MetricType.summary) return summaryPoint(s, node, p, end);
  return exponentialPoint(s, node, p, end);
}

function numberPoint(s: Scan, node: number, p: number, end: number): boolean {
  while (p < end) {
    switch (s.bytes[p]) {
      case 0x3a: // NumberDataPoint.attributes
        p = attributes(s, 0x3a, p, end);
        break;
      case 0x11: // NumberDataPoint.start_time_unix_nano
      case 0x19: // NumberDataPoint.time_unix_nano
        p = time(s, node, p);
        break;
      case 0x21: // NumberDataPoint.as_double
        s.tape[node + Point.value] = p + 1;
        s.tape[node + Item.flags]! &= ~PointFlags.valueIsInt;
        p += 9;
        break;
      case 0x31: // NumberDataPoint.as_int
        s.tape[node + Point.value] = p + 1;
        s.tape[node + Item.flags]! |= PointFlags.valueIsInt;
        p += 9;
        break;
      case 0x40: // NumberDataPoint.flags
        p = flags(s, node, p, end);
        break;
      case 0x2a: // NumberDataPoint.exemplars
        p = exemplar(s, node, p, end);
        break;
      default:
        p = s.skip(p, end, KNOWN_NUMBER);
    }
    if (p < 0) return false;
  }
  return p === end;
}

function histogramPoint(s: Scan, node: number, p: number, end: number): boolean {
  while (p < end) {
    switch (s.bytes[p]) {
      case 0x4a: // HistogramDataPoint.attributes
        p = attributes(s, 0x4a, p, end);
        break;
      case 0x11: // HistogramDataPoint.start_time_unix_nano
      case 0x19: // HistogramDataPoint.time_unix_nano
        p = time(s, node, p);
        break;
      case 0x21: // HistogramDataPoint.count
        s.tape[node + Point.value] = p + 1;
        p += 9;
        break;
      case 0x29: // HistogramDataPoint.sum
        s.tape[node + Point.sum] = p + 1;
        p += 9;
        break;
      case 0x32: // HistogramDataPoint.bucket_counts
        p = payload(s, node + Point.bucketsAt, p, end, true);
        break;
      case 0x3a: // HistogramDataPoint.explicit_bounds
        p = payload(s, node + Point.boundsAt, p, end, true);
        break;
      case 0x42: // HistogramDataPoint.exemplars
        p = exemplar(s, node, p, end);
        break;
      case 0x50: // HistogramDataPoint.flags
        p = flags(s, node, p, end);
        break;
      case 0x59: // HistogramDataPoint.min
        s.tape[node + Item.flags]! |= PointFlags.hasMin;
        p += 9;
        break;
      case 0x61: // HistogramDataPoint.max
        s.tape[node + Item.flags]! |= PointFlags.hasMax;
        p += 9;
        break;
      default:
        p = s.skip(p, end, KNOWN_HISTOGRAM);
    }
    if (p < 0) return false;
  }
  return p === end;
}

function exponentialPoint(s: Scan, node: number, p: number, end: number): boolean {
  while (p < end) {
    switch (s.bytes[p]) {
      case 0x0a: // ExponentialHistogramDataPoint.attributes
        p = attributes(s, 0x0a, p, end);
        break;
      case 0x11: // ExponentialHistogramDataPoint.start_time_unix_nano
      case 0x19: // ExponentialHistogramDataPoint.time_unix_nano
        p = time(s, node, p);
        break;
      case 0x21: // ExponentialHistogramDataPoint.count
        s.tape[node + Point.value] = p + 1;
        p += 9;
        break;
      case 0x29: // ExponentialHistogramDataPoint.sum
        s.tape[node + Point.sum] = p + 1;
        p += 9;
        break;
      case 0x30: // ExponentialHistogramDataPoint.scale
        p = s.varintEnd(p + 1, end);
        break;
      case 0x39: // ExponentialHistogramDataPoint.zero_count
      case 0x71: // ExponentialHistogramDataPoint.zero_threshold
        p += 9;
        break;
      case 0x42: // ExponentialHistogramDataPoint.positive
        p = buckets(s, node + Point.bucketsAt, p, end);
        break;
      case 0x4a: // ExponentialHistogramDataPoint.negative
        p = buckets(s, node + Point.boundsAt, p, end);
        break;
      case 0x50: // ExponentialHistogramDataPoint.flags
        p = flags(s, node, p, end);
        break;
      case 0x5a: // ExponentialHistogramDataPoint.exemplars
        p = exemplar(s, node, p, end);
        break;
      case 0x61: // ExponentialHistogramDataPoint.min
        s.tape[node + Item.flags]! |= PointFlags.hasMin;
        p += 9;
        break;
      case 0x69: // ExponentialHistogramDataPoint.max
        s.tape[node + Item.flags]! |= PointFlags.hasMax;
        p += 9;
        break;
      default:
        p = s.skip(p, end, KNOWN_EXPONENTIAL);
    }
    if (p < 0) return false;
  }
  return p === end;
}

function summaryPoint(s: Scan, node: number, p: number, end: number): boolean {
  while (p < end) {
    switch (s.bytes[p]) {
      case 0x3a: // SummaryDataPoint.attributes
        p = attributes(s, 0x3a, p, end);
        break;
      case 0x11: // SummaryDataPoint.start_time_unix_nano
      case 0x19: // SummaryDataPoint.time_unix_nano
        p = time(s, node, p);
        break;
      case 0x21: // SummaryDataPoint.count
        s.tape[node + Point.value] = p + 1;
        p += 9;
        break;
      case 0x29: // SummaryDataPoint.sum
        s.tape[node + Point.sum] = p + 1;
        p += 9;
        break;
      case 0x32: {
        // SummaryDataPoint.quantile_values
        const isFirst = s.tape[node + Point.bucketsAt]! < 0;
        const stop = s.skip(p, end, 0);
        const from = s.bytes[p + 1]! < 128 ? p + 2 : s.at;
        if (stop < 0) return false;
        if (!s.putOff(Check.quantile, from, stop) && !isQuantile(s, from, stop)) return false;
        if (isFirst) s.tape[node + Point.bucketsAt] = from;
        p = stop;
        break;
      }
      case 0x40: // SummaryDataPoint.flags
        p = flags(s, node, p, end);
        break;
      default:
        p = s.skip(p, end, KNOWN_SUMMARY);
    }
    if (p < 0) return false;
  }
  return p === end;
}

function time(s: Scan, node: number, p: number): number {
  const at = s.bytes[p] === 0x11 ? Point.startTime : Item.time;
  s.tape[node + at] = nonZero(s.view, p + 1);
  return p + 9;
}

function flags(s: Scan, node: number, p: number, end: number): number {
  const bit = s.bytes[p + 1]! & NO_RECORDED_VALUE;
  const rest = s.tape[node + Item.flags]! & ~PointFlags.noRecordedValue;
  s.tape[node + Item.flags] = rest | (bit ? PointFlags.noRecordedValue : 0);
  return s.varintEnd(p + 1, end);
}
