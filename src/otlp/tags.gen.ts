// Generated from proto/ by tools/gen-tags.ts. Do not edit.

/** opentelemetry.proto.logs.v1.ResourceLogs */
export const ResourceLogs = {
  resource: 0x0a,
  scope_logs: 0x12,
  schema_url: 0x1a,
} as const;

/** opentelemetry.proto.logs.v1.ScopeLogs */
export const ScopeLogs = {
  scope: 0x0a,
  log_records: 0x12,
  schema_url: 0x1a,
} as const;

/** opentelemetry.proto.logs.v1.LogRecord */
export const LogRecord = {
  time_unix_nano: 0x09,
  severity_number: 0x10,
  severity_text: 0x1a,
  body: 0x2a,
  attributes: 0x32,
  dropped_attributes_count: 0x38,
  flags: 0x45,
  trace_id: 0x4a,
  span_id: 0x52,
  observed_time_unix_nano: 0x59,
  event_name: 0x62,
} as const;

/** opentelemetry.proto.common.v1.AnyValue */
export const AnyValue = {
  string_value: 0x0a,
  bool_value: 0x10,
  int_value: 0x18,
  double_value: 0x21,
  array_value: 0x2a,
  kvlist_value: 0x32,
  bytes_value: 0x3a,
  string_value_strindex: 0x40,
} as const;

/** opentelemetry.proto.common.v1.ArrayValue */
export const ArrayValue = {
  values: 0x0a,
} as const;

/** opentelemetry.proto.common.v1.KeyValueList */
export const KeyValueList = {
  values: 0x0a,
} as const;

/** opentelemetry.proto.common.v1.KeyValue */
export const KeyValue = {
  key: 0x0a,
  value: 0x12,
  key_strindex: 0x18,
} as const;

/** opentelemetry.proto.common.v1.InstrumentationScope */
export const InstrumentationScope = {
  name: 0x0a,
  version: 0x12,
  attributes: 0x1a,
  dropped_attributes_count: 0x20,
} as const;

/** opentelemetry.proto.common.v1.EntityRef */
export const EntityRef = {
  schema_url: 0x0a,
  type: 0x12,
  id_keys: 0x1a,
  description_keys: 0x22,
} as const;

/** opentelemetry.proto.resource.v1.Resource */
export const Resource = {
  attributes: 0x0a,
  dropped_attributes_count: 0x10,
  entity_refs: 0x1a,
} as const;

/** opentelemetry.proto.metrics.v1.ResourceMetrics */
export const ResourceMetrics = {
  resource: 0x0a,
  scope_metrics: 0x12,
  schema_url: 0x1a,
} as const;

/** opentelemetry.proto.metrics.v1.ScopeMetrics */
export const ScopeMetrics = {
  scope: 0x0a,
  metrics: 0x12,
  schema_url: 0x1a,
} as const;

/** opentelemetry.proto.metrics.v1.Metric */
export const Metric = {
  name: 0x0a,
  description: 0x12,
  unit: 0x1a,
  gauge: 0x2a,
  sum: 0x3a,
  histogram: 0x4a,
  exponential_histogram: 0x52,
  summary: 0x5a,
  metadata: 0x62,
} as const;

/** opentelemetry.proto.metrics.v1.Gauge */
export const Gauge = {
  data_points: 0x0a,
} as const;

/** opentelemetry.proto.metrics.v1.Sum */
export const Sum = {
  data_points: 0x0a,
  aggregation_temporality: 0x10,
  is_monotonic: 0x18,
} as const;

/** opentelemetry.proto.metrics.v1.Histogram */
export const Histogram = {
  data_points: 0x0a,
  aggregation_temporality: 0x10,
} as const;

/** opentelemetry.proto.metrics.v1.ExponentialHistogram */
export const ExponentialHistogram = {
  data_points: 0x0a,
  aggregation_temporality: 0x10,
} as const;

/** opentelemetry.proto.metrics.v1.Summary */
export const Summary = {
  data_points: 0x0a,
} as const;

/** opentelemetry.proto.metrics.v1.NumberDataPoint */
export const NumberDataPoint = {
  start_time_unix_nano: 0x11,
  time_unix_nano: 0x19,
  as_double: 0x21,
  exemplars: 0x2a,
  as_int: 0x31,
  attributes: 0x3a,
  flags: 0x40,
} as const;

/** opentelemetry.proto.metrics.v1.HistogramDataPoint */
export const HistogramDataPoint = {
  start_time_unix_nano: 0x11,
  time_unix_nano: 0x19,
  count: 0x21,
  sum: 0x29,
  bucket_counts: 0x32,
  explicit_bounds: 0x3a,
  exemplars: 0x42,
  attributes: 0x4a,
  flags: 0x50,
  min: 0x59,
  max: 0x61,
} as const;

/** opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint */
export const ExponentialHistogramDataPoint = {
  attributes: 0x0a,
  start_time_unix_nano: 0x11,
  time_unix_nano: 0x19,
  count: 0x21,
  sum: 0x29,
  scale: 0x30,
  zero_count: 0x39,
  positive: 0x42,
  negative: 0x4a,
  flags: 0x50,
  exemplars: 0x5a,
  min: 0x61,
  max: 0x69,
  zero_threshold: 0x71,
} as const;

/** opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint.Buckets */
export const ExponentialHistogramDataPointBuckets = {
  offset: 0x08,
  bucket_counts: 0x12,
} as const;

/** opentelemetry.proto.metrics.v1.SummaryDataPoint */
export const SummaryDataPoint = {
  start_time_unix_nano: 0x11,
  time_unix_nano: 0x19,
  count: 0x21,
  sum: 0x29,
  quantile_values: 0x32,
  attributes: 0x3a,
  flags: 0x40,
} as const;

/** opentelemetry.proto.metrics.v1.SummaryDataPoint.ValueAtQuantile */
export const SummaryDataPointValueAtQuantile = {
  quantile: 0x09,
  value: 0x11,
} as const;

/** opentelemetry.proto.metrics.v1.Exemplar */
export const Exemplar = {
  time_unix_nano: 0x11,
  as_double: 0x19,
  span_id: 0x22,
  trace_id: 0x2a,
  as_int: 0x31,
  filtered_attributes: 0x3a,
} as const;

/** opentelemetry.proto.trace.v1.ResourceSpans */
export const ResourceSpans = {
  resource: 0x0a,
  scope_spans: 0x12,
  schema_url: 0x1a,
} as const;

/** opentelemetry.proto.trace.v1.ScopeSpans */
export const ScopeSpans = {
  scope: 0x0a,
  spans: 0x12,
  schema_url: 0x1a,
} as const;

/** opentelemetry.proto.trace.v1.Span */
export const Span = {
  trace_id: 0x0a,
  span_id: 0x12,
  trace_state: 0x1a,
  parent_span_id: 0x22,
  name: 0x2a,
  kind: 0x30,
  start_time_unix_nano: 0x39,
  end_time_unix_nano: 0x41,
  attributes: 0x4a,
  dropped_attributes_count: 0x50,
  events: 0x5a,
  dropped_events_count: 0x60,
  links: 0x6a,
  dropped_links_count: 0x70,
  status: 0x7a,
  flags: 0x85,
} as const;

/** opentelemetry.proto.trace.v1.Span.Event */
export const SpanEvent = {
  time_unix_nano: 0x09,
  name: 0x12,
  attributes: 0x1a,
  dropped_attributes_count: 0x20,
} as const;

/** opentelemetry.proto.trace.v1.Span.Link */
export const SpanLink = {
  trace_id: 0x0a,
  span_id: 0x12,
  trace_state: 0x1a,
  attributes: 0x22,
  dropped_attributes_count: 0x28,
  flags: 0x35,
} as const;

/** opentelemetry.proto.trace.v1.Status */
export const Status = {
  message: 0x12,
  code: 0x18,
} as const;

/** opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest */
export const ExportLogsServiceRequest = {
  resource_logs: 0x0a,
} as const;

/** opentelemetry.proto.collector.logs.v1.ExportLogsServiceResponse */
export const ExportLogsServiceResponse = {
  partial_success: 0x0a,
} as const;

/** opentelemetry.proto.collector.logs.v1.ExportLogsPartialSuccess */
export const ExportLogsPartialSuccess = {
  rejected_log_records: 0x08,
  error_message: 0x12,
} as const;

/** opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest */
export const ExportMetricsServiceRequest = {
  resource_metrics: 0x0a,
} as const;

/** opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceResponse */
export const ExportMetricsServiceResponse = {
  partial_success: 0x0a,
} as const;

/** opentelemetry.proto.collector.metrics.v1.ExportMetricsPartialSuccess */
export const ExportMetricsPartialSuccess = {
  rejected_data_points: 0x08,
  error_message: 0x12,
} as const;

/** opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest */
export const ExportTraceServiceRequest = {
  resource_spans: 0x0a,
} as const;

/** opentelemetry.proto.collector.trace.v1.ExportTraceServiceResponse */
export const ExportTraceServiceResponse = {
  partial_success: 0x0a,
} as const;

/** opentelemetry.proto.collector.trace.v1.ExportTracePartialSuccess */
export const ExportTracePartialSuccess = {
  rejected_spans: 0x08,
  error_message: 0x12,
} as const;

/** google.protobuf.Any */
export const Any = {
  type_url: 0x0a,
  value: 0x12,
} as const;

/** google.protobuf.Duration */
export const Duration = {
  seconds: 0x08,
  nanos: 0x10,
} as const;

/** google.rpc.Status */
export const RpcStatus = {
  code: 0x08,
  message: 0x12,
  details: 0x1a,
} as const;

/** google.rpc.RetryInfo */
export const RetryInfo = {
  retry_delay: 0x0a,
} as const;
