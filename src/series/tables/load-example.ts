import { EXAMPLE, EXAMPLE_LOG, EXAMPLE_POINT, EXAMPLE_SPAN } from "./grammar.ts";
import {
  type Example,
  type ExampleItem,
  type Scalar,
  SPAN_KINDS,
  SPAN_STATUSES,
} from "./tables.ts";
import type { Place } from "./yaml-place.ts";

/** The example of a table: one line or item, and a query. */
export function readExample(place: Place): Example | undefined {
  const at = place.members(EXAMPLE);
  const items = [at.line, at.log, at.span, at.point].filter((one) => one !== undefined);
  if (items.length !== 1)
    return place.wrong(`${place.what} must have exactly one of line, log, span, point`);
  if (at.line !== undefined && at.resource !== undefined)
    at.resource.wrong("a line has no resource");
  const query = at.query?.text();
  const of = readItem(at);
  if (of === undefined || query === undefined) return undefined;
  return { of, resource: scalars(at.resource), query };
}

function readItem({
  line,
  log,
  span,
  point,
}: Partial<Record<keyof typeof EXAMPLE, Place>>): ExampleItem | undefined {
  if (log !== undefined) return readLog(log);
  if (span !== undefined) return readSpan(span);
  if (point !== undefined) return readPoint(point);
  const text = line?.text();
  return text === undefined ? undefined : { is: "line", text };
}

function readLog(place: Place): ExampleItem {
  const at = place.members(EXAMPLE_LOG);
  return {
    is: "log",
    body: at.body?.text(),
    severityText: at.severity_text?.text(),
    severityNumber: at.severity_number?.number(),
    eventName: at.event_name?.text(),
    attributes: scalars(at.attributes),
  };
}

function readSpan(place: Place): ExampleItem {
  const at = place.members(EXAMPLE_SPAN);
  return {
    is: "span",
    name: at.name?.text() ?? "",
    kind: at.kind?.word(SPAN_KINDS) ?? "unspecified",
    durationMs: at.duration_ms?.number() ?? 0,
    status: at.status?.word(SPAN_STATUSES),
    statusMessage: at.status_message?.text(),
    attributes: scalars(at.attributes),
    exception: scalars(at.exception),
  };
}

function readPoint(place: Place): ExampleItem {
  const at = place.members(EXAMPLE_POINT);
  return {
    is: "point",
    metric: at.metric?.text() ?? "",
    unit: at.unit?.text(),
    gauge: at.gauge?.number() ?? 0,
    attributes: scalars(at.attributes),
  };
}

function scalars(place: Place | undefined): Map<string, Scalar> {
  const values = new Map<string, Scalar>();
  for (const { name, value } of place?.entries() ?? []) {
    const one = value.scalar();
    if (one !== undefined) values.set(name, one);
  }
  return values;
}
