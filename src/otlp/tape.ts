/**
 * The tape: one Int32Array of positions over a batch's bytes. Every position indexes `Batch.bytes`; -1 is absent.
 *
 * Nodes stand in wire order. The first int of a node is `sizeInInts << 2 | NodeType`, so a walk is
 * `for (let at = 0; at < tape.length; at += tape[at] >>> 2)`.
 *
 * An attribute entry has four ints: `[keyId << 4 | kind, keyValueAt, valueAt, valueEnd]`.
 * - `keyId` 0 = not interned: read the key at `keyValueAt` (start of the KeyValue message's content).
 *   Key ids are bounded (4,096), belong to this process, and are never journaled or sent.
 * - `valueAt` … `valueEnd`: text and bytes: the payload; int: the varint; double: 8 bytes little endian; bool: the
 *   varint; array: the content of ArrayValue; map: the content of KeyValueList; none: both equal, nothing to read.
 */
export type Signal = "logs" | "metrics" | "traces";
export const SIGNALS: readonly Signal[] = ["logs", "metrics", "traces"];

export const NodeType = { group: 0, metric: 1, item: 2 } as const;

export const Kind = {
  none: 0,
  text: 1,
  bool: 2,
  int: 3,
  double: 4,
  bytes: 5,
  array: 6,
  map: 7,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** Ints per attribute entry, and the offsets inside one. */
export const ENTRY = 4;
export const Entry = { head: 0, keyValueAt: 1, valueAt: 2, valueEnd: 3 } as const;

/**
 * GROUP = resource × scope, 18 header ints, then the entries it introduces (its resource's, if it is the first group of
 * that resource, then its scope's). Groups of one resource share the resource's entries: `resourceEntries` is a tape index.
 */
export const Group = {
  size: 0,
  at: 1, // content of ResourceLogs | ResourceSpans | ResourceMetrics
  end: 2,
  resourceAt: 3, // content of Resource, or -1
  resourceEnd: 4,
  resourceEntries: 5, // tape index of the resource's first entry
  resourceCount: 6,
  scopedAt: 7, // content of ScopeLogs | ScopeSpans | ScopeMetrics
  scopedEnd: 8,
  scopeAt: 9, // content of InstrumentationScope, or -1
  scopeEnd: 10,
  scopeEntries: 11, // tape index of the scope's first entry
  scopeCount: 12,
  scopeNameAt: 13, // text, or -1
  scopeNameEnd: 14,
  scopeVersionAt: 15,
  scopeVersionEnd: 16,
  ordinal: 17, // 0, 1, 2 … of the resource in this batch: writers cache rendered resources by it
} as const;
export const GROUP_HEADER = 18;

/** METRIC, 12 header ints, no entries. Its items follow. */
export const Metric = {
  size: 0,
  group: 1, // tape index of its GROUP
  at: 2, // content of Metric
  end: 3,
  nameAt: 4, // text, or -1
  nameEnd: 5,
  unitAt: 6,
  unitEnd: 7,
  descriptionAt: 8,
  descriptionEnd: 9,
  dataAt: 10, // content of Gauge | Sum | Histogram | ExponentialHistogram | Summary
  flags: 11, // MetricType | temporality << 4 | monotonic << 8
} as const;
export const METRIC_HEADER = 12;
export const MetricType = {
  none: 0,
  gauge: 1,
  sum: 2,
  histogram: 3,
  exponentialHistogram: 4,
  summary: 5,
} as const;

/** ITEM, 16 header ints, then `attributes` entries. */
export const Item = {
  size: 0,
  group: 1, // tape index of its GROUP
  at: 2, // content of LogRecord | Span | *DataPoint
  end: 3,
  time: 4, // 8 bytes fixed64: log: time, else observed time; span: start; point: time. -1 when absent or 0
  flags: 5, // see LogFlags, SpanFlags, PointFlags
  attributes: 6, // number of entries
  trace: 7, // 16 bytes, or -1 (absent, empty, or all zero)
  span: 8, // 8 bytes, or -1
  a: 9,
  b: 10,
  c: 11,
  d: 12,
  e: 13,
  f: 14,
  g: 15,
} as const;
export const ITEM_HEADER = 16;

/** Log record: a…g of an ITEM. `flags` = bodyKind | severityNumber (0–255) << 4. */
export const Log = {
  bodyAt: Item.a,
  bodyEnd: Item.b,
  severityTextAt: Item.c,
  severityTextEnd: Item.d,
  eventNameAt: Item.e,
  eventNameEnd: Item.f,
  observed: Item.g, // 8 bytes, or -1
} as const;
export const LogFlags = { bodyKindMask: 15, severityShift: 4, severityMask: 255 } as const;

/** Span: a…g of an ITEM. `flags` = kind (0–5, else 15) | statusCode << 4 | hasEvents << 8 | hasLinks << 9 | hasTraceState << 10. */
export const Span = {
  endTime: Item.a, // 8 bytes, or -1
  nameAt: Item.b,
  nameEnd: Item.c,
  parent: Item.d, // 8 bytes, or -1
  statusMessageAt: Item.e,
  statusMessageEnd: Item.f,
  firstEvent: Item.g, // content of the first Span.Event, or -1
} as const;
export const SpanFlags = {
  kindMask: 15,
  statusShift: 4,
  statusMask: 15,
  hasEvents: 256,
  hasLinks: 512,
  hasTraceState: 1024,
} as const;

/** Data point: a…g of an ITEM; the other fields are found by walking `at`…`end`. `flags` = PointFlags bits. */
export const Point = {
  metric: Item.a, // tape index of its METRIC
  startTime: Item.b, // 8 bytes, or -1
  value: Item.c, // number: 8 bytes; histograms and summary: the count's 8 bytes; -1 when absent
  sum: Item.d, // 8 bytes, or -1
  bucketsAt: Item.e, // histogram: bucket_counts payload (packed fixed64); exponential: positive Buckets; summary: first quantile
  boundsAt: Item.f, // histogram: explicit_bounds payload (packed double); exponential: negative Buckets
  exemplar: Item.g, // content of the last Exemplar, or -1
} as const;
export const PointFlags = {
  noRecordedValue: 1,
  valueIsInt: 2, // Number point with as_int; else as_double
  hasMin: 4,
  hasMax: 8,
} as const;
