/**
 * Kinds of a slot beside those of AnyValue. `nanos` to `wholeMillis` are a duration, given as the halves of its nanoseconds; `constant`
 * is a text in the plan's constants; `events` and `links` are those of the span at this place.
 */
export const SlotKind = {
  hex: 8,
  small: 9,
  uint: 10,
  nanos: 11,
  millis: 12,
  seconds: 13,
  wholeMillis: 14,
  constant: 15,
  events: 16,
  links: 17,
} as const;

/** Slots of what a record itself has: a log record's, what both have, a span's. */
export const Part = {
  body: 0,
  severity_text: 1,
  severity_number: 2,
  event_name: 3,
  trace_id: 4,
  span_id: 5,
  scope_name: 6,
  name: 7,
  kind: 8,
  status: 9,
  status_message: 10,
  parent_span_id: 11,
  trace_state: 12,
  duration_ms: 13,
  duration_s: 14,
  duration_ns: 15,
  duration_whole_ms: 16,
  events: 17,
  links: 18,
} as const;
/** Number of parts. */
export const PARTS = 19;

/** Kinds of columns as numbers. */
export const Code = {
  tag: 0,
  float: 1,
  integer: 2,
  boolean: 3,
  text: 4,
  any: 5,
  hidden: 6,
} as const;
