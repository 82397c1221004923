import type { Column, IdForm, Source } from "./tables.ts";

/** Columns `trace_id` and `span_id`, which `ids: true` adds to a table: the record's own, else from attributes (mapping §1.5). */
export function idColumns(): Column[] {
  return [
    idColumn("trace_id", "The trace, 32 lower-case hex digits.", [
      attribute("trace_id", "trace_id"),
      attribute("traceId", "trace_id"),
      attribute("trace.id", "trace_id"),
      attribute("dd.trace_id", "datadog"),
      attribute("traceparent", "traceparent"),
      attribute("_X_AMZN_TRACE_ID", "xray"),
      attribute("X-Amzn-Trace-Id", "xray"),
    ]),
    // traceparent gives it only where it gave the trace id too.
    idColumn("span_id", "The span, 16 lower-case hex digits.", [
      attribute("span_id", "span_id"),
      attribute("spanId", "span_id"),
      attribute("span.id", "span_id"),
      attribute("traceparent", "traceparent"),
    ]),
  ];
}

function idColumn(name: "trace_id" | "span_id", doc: string, others: readonly Source[]): Column {
  return {
    name,
    kind: "text",
    unit: undefined,
    doc: `${doc} An id that is malformed or all zero counts as absent.`,
    sources: [{ of: "record", part: name }, ...others],
    lowerCase: false,
    words: new Map(),
    otherwise: [],
  };
}

function attribute(name: string, form: IdForm): Source {
  return {
    of: "attribute",
    name,
    place: "both",
    divideBy: undefined,
    form,
    firstOfList: false,
    spansOnly: false,
  };
}
