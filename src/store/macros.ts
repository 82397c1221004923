/** What InfluxDB's SQL has and DuckDB's has not, as far as a macro can give it. Each entry follows CREATE MACRO. */
export const MACROS: readonly string[] = [
  // Shadows the built-in, whose TIMESTAMPTZ does not compare with TIMESTAMP_NS.
  "now() AS (get_current_timestamp()::TIMESTAMP::TIMESTAMP_NS)",
  "date_bin(i, t) AS time_bucket(i, t, TIMESTAMP '1970-01-01'), (i, t, o) AS time_bucket(i, t, o)",
  "to_timestamp_nanos(x) AS make_timestamp_ns(x::BIGINT)",
  "to_timestamp_micros(x) AS make_timestamp(x::BIGINT)",
  "to_timestamp_millis(x) AS make_timestamp(x::BIGINT * 1000)",
  "to_timestamp_seconds(x) AS make_timestamp(x::BIGINT * 1000000)",
  "to_unixtime(x) AS epoch(x)::BIGINT",
  "selector_first(v, t) AS {'value': arg_min(v, t), 'time': min(t)}",
  "selector_last(v, t) AS {'value': arg_max(v, t), 'time': max(t)}",
  "selector_min(v, t) AS {'value': min(v), 'time': arg_min(t, v)}",
  "selector_max(v, t) AS {'value': max(v), 'time': arg_max(t, v)}",
  "approx_percentile_cont(v, p) AS approx_quantile(v, p)",
  "approx_median(v) AS approx_quantile(v, 0.5)",
  "approx_distinct(v) AS approx_count_distinct(v)",
  "regexp_like(s, r) AS regexp_matches(s, r)",
  "nvl(a, b) AS coalesce(a, b)",
  "nvl2(a, b, c) AS CASE WHEN a IS NOT NULL THEN b ELSE c END",
  "btrim(s) AS trim(s)",
  "nanvl(a, b) AS CASE WHEN isnan(a) THEN b ELSE a END",
];
