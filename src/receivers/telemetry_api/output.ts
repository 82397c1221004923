import { ProtoWriter } from "../../otlp/build.ts";
import {
  AnyValue,
  ExportLogsServiceRequest,
  ExportTraceServiceRequest,
  KeyValue,
  LogRecord,
  Resource,
  ResourceLogs,
  ResourceSpans,
  ScopeLogs,
  ScopeSpans,
  Span,
  Status,
} from "../../otlp/tags.gen.ts";
import { SLACK } from "../../wire/slack.ts";

/** Values of attributes: "" and undefined are left out, numbers are doubles. */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** A log record that is made here, not copied. */
export interface MadeRecord {
  readonly eventName: string;
  readonly timeNs: bigint;
  readonly observedNs: bigint;
  /** Of OpenTelemetry's severities. */
  readonly severity: number;
  readonly body: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly attributes: Attributes;
}

/** A span. Ids are lower-case hex; "" as a parent: none. */
export interface MadeSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly isParentRemote: boolean;
  readonly isSampled: boolean;
  readonly name: string;
  /** internal = 1, server = 2. */
  readonly kind: 1 | 2;
  readonly startNs: bigint;
  readonly endNs: bigint;
  /** Whether it failed, and what is said of it. */
  readonly error: string | undefined;
  readonly attributes: Attributes;
}

const ERROR = 2;
/** Flags of a span (opentelemetry.proto.trace.v1.SpanFlags): whether it is known where the parent is, and that it is elsewhere. */
const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;
/** Lengths up to 2 MiB fit without moving what is behind them. */
const WIDE = 3;
const SCOPE_NAME = "weir/telemetry_api";
/** InstrumentationScope.name */
const NAME = 0x0a;

/** Attributes as fields of a Resource, with SLACK behind them. */
export function encodeResource(attributes: Attributes): { bytes: Uint8Array; length: number } {
  const out = new ProtoWriter(256);
  putAttributes(out, Resource.attributes, attributes);
  return { bytes: out.take(), length: out.length };
}

/** Records as an OTLP logs request, without SLACK. `resource`: its encoded fields. */
export function encodeRecords(records: readonly MadeRecord[], resource: Uint8Array): Uint8Array {
  const out = new ProtoWriter();
  out.open(ExportLogsServiceRequest.resource_logs, WIDE);
  if (resource.length > 0) out.data(ResourceLogs.resource, resource);
  out.open(ResourceLogs.scope_logs, WIDE);
  putScope(out, ScopeLogs.scope);
  for (const record of records) putRecord(out, record);
  out.close();
  out.close();
  return out.bytes.subarray(0, out.length);
}

/** Spans as an OTLP trace request, with SLACK behind `length`. */
export function encodeSpans(
  spans: readonly MadeSpan[],
  resource: Uint8Array,
): { bytes: Uint8Array; length: number } {
  const out = new ProtoWriter();
  out.open(ExportTraceServiceRequest.resource_spans, WIDE);
  if (resource.length > 0) out.data(ResourceSpans.resource, resource);
  out.open(ResourceSpans.scope_spans, WIDE);
  putScope(out, ScopeSpans.scope);
  for (const span of spans) putSpan(out, span);
  out.close();
  out.close();
  return { bytes: out.take(), length: out.length };
}

/** One request of two: their resources stand one behind the other. SLACK is behind `length`. */
export function joined(
  a: { readonly bytes: Uint8Array; readonly length: number },
  b: Uint8Array,
): { bytes: Uint8Array; length: number } {
  const length = a.length + b.length;
  const bytes = new Uint8Array(length + SLACK);
  bytes.set(a.bytes.subarray(0, a.length));
  bytes.set(b, a.length);
  return { bytes, length };
}

function putScope(out: ProtoWriter, tag: number): void {
  out.open(tag);
  out.text(NAME, SCOPE_NAME);
  out.close();
}

function putRecord(out: ProtoWriter, record: MadeRecord): void {
  out.open(ScopeLogs.log_records, WIDE);
  out.fixed64(LogRecord.time_unix_nano, record.timeNs);
  out.uint(LogRecord.severity_number, record.severity);
  if (record.body !== "") {
    out.open(LogRecord.body, WIDE);
    out.text(AnyValue.string_value, record.body);
    out.close();
  }
  putAttributes(out, LogRecord.attributes, record.attributes);
  putId(out, LogRecord.trace_id, record.traceId);
  putId(out, LogRecord.span_id, record.spanId);
  out.fixed64(LogRecord.observed_time_unix_nano, record.observedNs);
  if (record.eventName !== "") out.text(LogRecord.event_name, record.eventName);
  out.close();
}

function putSpan(out: ProtoWriter, span: MadeSpan): void {
  out.open(ScopeSpans.spans, WIDE);
  putId(out, Span.trace_id, span.traceId);
  putId(out, Span.span_id, span.spanId);
  putId(out, Span.parent_span_id, span.parentSpanId);
  out.text(Span.name, span.name);
  out.uint(Span.kind, span.kind);
  out.fixed64(Span.start_time_unix_nano, span.startNs);
  out.fixed64(Span.end_time_unix_nano, span.endNs);
  putAttributes(out, Span.attributes, span.attributes);
  if (span.error !== undefined) {
    out.open(Span.status);
    if (span.error !== "") out.text(Status.message, span.error);
    out.uint(Status.code, ERROR);
    out.close();
  }
  const isKnown = span.parentSpanId !== "";
  const where = isKnown ? HAS_IS_REMOTE | (span.isParentRemote ? IS_REMOTE : 0) : 0;
  out.fixed32(Span.flags, where | (span.isSampled ? 1 : 0));
  out.close();
}

function putId(out: ProtoWriter, tag: number, hex: string): void {
  if (hex !== "") out.data(tag, Buffer.from(hex, "hex"));
}

function putAttributes(out: ProtoWriter, tag: number, attributes: Attributes): void {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === "") continue;
    out.open(tag, 2);
    out.text(KeyValue.key, key);
    out.open(KeyValue.value, 2);
    if (typeof value === "string") out.text(AnyValue.string_value, value);
    else if (typeof value === "boolean") out.uint(AnyValue.bool_value, value ? 1 : 0);
    else out.double(AnyValue.double_value, value);
    out.close();
    out.close();
  }
}
