import fc from "fast-check";
import { odd, time, value } from "./any-logs.ts";

/** Names that mean something to the writer of data points, and others. */
const key = fc.oneof(
  {
    arbitrary: fc.constantFrom(
      "http.route",
      "host",
      "core",
      "queue",
      "redis_key",
      "target",
      "site_name",
      "service.name",
      "length",
      "trace_id",
    ),
    weight: 6,
  },
  fc.constantFrom("gauge", "gauge_", "count", "sum", "0.5", "0", "1", "+Inf", "max", "temporality"),
  fc.constantFrom(
    "time",
    "time_",
    "k",
    "k\u0001",
    "k_",
    "k\\",
    "k\n",
    "k\\n",
    "a b",
    "service_name",
  ),
  fc.constantFrom("host_name", "exemplar_value", "host_name_", ""),
  odd,
);
const attribute = fc.record({ key, value });
const attributes = fc.array(attribute, { maxLength: 7 });
const name = fc.oneof(
  {
    arbitrary: fc.constantFrom("process.memory.usage", "http.server.duration", "m", "a b,c=d"),
    weight: 4,
  },
  fc.constantFrom("", "#x", "\u0001", "logs", "#logs", "requests", "metrics", "logs.", "x\\"),
  {
    arbitrary: fc.constantFrom(
      "DFF_worker_queue.length",
      "DFF_worker_queue.queue",
      "DFF_db_table.rows",
      "DFF_db_table.data_length",
      "DFF_cron_job.trigger_count_per_day",
      "function_logs.exit_code",
      "function_logs.cold_start",
      "function_logs.message",
      "requests.execution_time",
    ),
    weight: 4,
  },
  odd,
);
const double = fc.oneof(
  fc.double(),
  fc.constantFrom(0, -0, 0.05, 0.1, 0.25, 1, 2.5, 10, 1e21, 5e-324),
  fc.integer({ min: -5, max: 5 }),
);
const int = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -3n, max: 300n }),
);
const count = fc.oneof(
  fc.integer({ min: 0, max: 300 }).map(String),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
);
const numberValue = fc.oneof(
  double.map((asDouble) => ({ asDouble })),
  int.map((asInt) => ({ asInt: String(asInt) })),
  fc.constant({}),
);
const exemplar = fc
  .tuple(
    fc.constantFrom("", "0af7651916cd43dd8448eb211c80319c", "0".repeat(32)),
    fc.constantFrom("", "b7ad6b7169203331", "0".repeat(16)),
    numberValue,
  )
  .map(([traceId, spanId, own]) => ({
    timeUnixNano: "1705314600000000000",
    traceId,
    spanId,
    filteredAttributes: [{ key: "a", value: { stringValue: "b" } }],
    ...own,
  }));
const common = {
  attributes,
  timeUnixNano: time,
  flags: fc.constantFrom(0, 0, 0, 0, 1, 2, 3),
};
const exemplars = fc.array(exemplar, { maxLength: 2 });
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

const numberPoint = fc
  .tuple(fc.record({ ...common, exemplars }), numberValue)
  .map(([point, own]) => ({ ...point, ...own }));
const bounds = fc.oneof(
  fc.constant([0.05, 0.1, 1, 10]),
  fc.array(fc.constantFrom(-1, -0, 0, 1, 2, Number.POSITIVE_INFINITY), { maxLength: 6 }),
  fc.array(fc.oneof(double, fc.double({ min: 0, max: 9, noNaN: true })), { maxLength: 6 }),
  fc.integer({ min: 480, max: 700 }).map((length) => Array.from({ length }, (_, i) => i / 8)),
);
const histogramPoint = fc
  .tuple(
    fc.record({
      ...common,
      exemplars,
      count,
      sum: maybe(double),
      min: maybe(double),
      max: maybe(double),
    }),
    bounds,
    fc.constantFrom(1, 1, 1, 0, 2, -1),
    fc.array(count, { minLength: 8, maxLength: 8 }),
  )
  .map(([point, explicitBounds, more, counts]) => {
    const length = Math.max(0, explicitBounds.length + more);
    const bucketCounts = Array.from({ length }, (_, i) => counts[i % 8] as string);
    return { ...point, explicitBounds, bucketCounts };
  });
const buckets = fc.record({
  offset: fc.oneof(
    fc.integer({ min: -200, max: 200 }),
    fc.constantFrom(-(2 ** 31), 2 ** 31 - 1, -1, 0),
  ),
  bucketCounts: fc.oneof(
    fc.array(count, { maxLength: 6 }),
    fc
      .integer({ min: 70, max: 400 })
      .map((length) => Array.from({ length }, (_, i) => String(i % 301))),
  ),
});
const exponentialPoint = fc.record({
  ...common,
  exemplars,
  count,
  sum: maybe(double),
  min: maybe(double),
  max: maybe(double),
  scale: fc.oneof(
    fc.integer({ min: -11, max: 21 }),
    fc.constantFrom(-(2 ** 31), 2 ** 31 - 1, -1100, 1100),
  ),
  zeroCount: count,
  positive: maybe(buckets),
  negative: maybe(buckets),
});
const summaryPoint = fc.record({
  ...common,
  count,
  sum: double,
  quantileValues: fc.array(
    fc.record({
      quantile: fc.oneof(fc.constantFrom(0, -0, 0.5, 0.9, 0.99, 1), double),
      value: double,
    }),
    { maxLength: 4 },
  ),
});
const few = <T>(point: fc.Arbitrary<T>) => fc.array(point, { minLength: 1, maxLength: 4 });
const temporality = fc.constantFrom(0, 1, 2, 2);
const metric = fc
  .tuple(
    name,
    fc.oneof(
      fc.record({ dataPoints: few(numberPoint) }).map((gauge) => ({ gauge })),
      fc
        .record({
          dataPoints: few(numberPoint),
          aggregationTemporality: temporality,
          isMonotonic: fc.boolean(),
        })
        .map((sum) => ({ sum })),
      fc
        .record({ dataPoints: few(histogramPoint), aggregationTemporality: temporality })
        .map((histogram) => ({ histogram })),
      fc
        .record({ dataPoints: few(exponentialPoint), aggregationTemporality: temporality })
        .map((exponentialHistogram) => ({ exponentialHistogram })),
      fc.record({ dataPoints: few(summaryPoint) }).map((summary) => ({ summary })),
      fc.constant({}),
    ),
  )
  .map(([own, data]) => ({ name: own, unit: "1", ...data }));
/** Metrics that are columns of tables, with so few attributes and times that points share rows. */
const text = (stringValue: string) => ({ stringValue });
const queue = [
  { key: "queue", value: text("1") },
  { key: "site_name", value: text("s") },
];
const sharedPoint = fc
  .tuple(
    fc.record({
      attributes: fc.constantFrom(
        queue,
        queue.toReversed(),
        [...queue, { key: "zone", value: text("a") }, { key: "area", value: text("b") }],
        [{ key: "area", value: text("b") }, ...queue, { key: "zone", value: text("a") }],
        [...queue, { key: "message", value: text("one") }],
        [...queue, { key: "trace.id", value: text("4BF92F3577B34DA6A3CE929D0E0E4736") }],
        [
          { key: "trace_id", value: text("0".repeat(32)) },
          { key: "traceId", value: text("x") },
        ],
        [{ key: "span_id", value: text("00f067aa0ba902b7") }, ...queue],
        [...queue, { key: "message", value: text("two") }],
        [],
      ),
      timeUnixNano: fc.constantFrom("1705314600000000000", "1705314600000000001", "0"),
      flags: fc.constantFrom(0, 0, 0, 1),
    }),
    numberValue,
  )
  .map(([point, own]) => ({ ...point, ...own }));
const sharedMetric = fc
  .tuple(
    fc.constantFrom(
      "DFF_worker_queue.length",
      "DFF_db_table.rows",
      "DFF_db_table.data_length",
      "DFF_cron_job.trigger_count_per_day",
      "DFF_cron_job.trigger_count_per_hour",
      "function_logs.exit_code",
      "function_logs.message",
    ),
    few(sharedPoint),
  )
  .map(([own, dataPoints]) => ({ name: own, gauge: { dataPoints } }));
const resourceAttribute = fc.record({
  key: fc.constantFrom(
    "service.name",
    "service",
    "service.namespace",
    "service.instance.id",
    "host.name",
    "site_name",
    "os.type",
  ),
  value,
});

/** Any request of metrics as OTLP/JSON. */
export const anyMetrics = fc.record({
  resourceMetrics: fc.array(
    fc.record({
      resource: fc.record({ attributes: fc.array(resourceAttribute, { maxLength: 4 }) }),
      scopeMetrics: fc.array(
        fc.record({
          scope: fc.record({ name: fc.constantFrom("", "meter") }),
          metrics: fc.array(fc.oneof({ arbitrary: metric, weight: 3 }, sharedMetric), {
            minLength: 1,
            maxLength: 5,
          }),
        }),
        { maxLength: 2 },
      ),
    }),
    { maxLength: 2 },
  ),
});
