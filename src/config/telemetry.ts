import { z } from "zod";

const ignored = (what: string) =>
  z.unknown().describe(`Accepted for compatibility, without effect: ${what}`);

const level = z
  .string()
  .transform((text) => text.toLowerCase())
  .pipe(z.enum(["debug", "info", "warn", "error"]))
  .prefault("info")
  .describe("Least severe log line that is written.");

const prometheus = z
  .strictObject({
    host: z.string().min(1).default("127.0.0.1").describe("Address that Prometheus reads from."),
    port: z.int().min(0).max(65_535).default(8888).describe("Its port; 0 = any free one."),
    without_scope_info: z.boolean().optional().describe("Accepted: always so."),
    without_units: z.boolean().optional().describe("Accepted: always so."),
    without_type_suffix: z.boolean().optional().describe("Accepted: always so."),
    with_resource_constant_labels: ignored("labels on every metric."),
  })
  .partial({ with_resource_constant_labels: true })
  .prefault({})
  .describe("A page in Prometheus' text format, under /metrics.");

const reader = z.strictObject({
  pull: z
    .strictObject({
      exporter: z
        .strictObject({ prometheus })
        .prefault({})
        .describe("The one kind there is: prometheus."),
    })
    .describe("Metrics that others come and read."),
});

const logs = z
  .strictObject({
    level,
    encoding: z.enum(["console", "json"]).default("console").describe("Form of a log line."),
    development: ignored("the Collector's development mode.").optional(),
    disable_caller: ignored("log lines name no source file.").optional(),
    disable_stacktrace: ignored("log lines carry no stack trace.").optional(),
    sampling: ignored("repeated lines are not sampled.").optional(),
    output_paths: ignored("logs go to stderr.").optional(),
    error_output_paths: ignored("logs go to stderr.").optional(),
    initial_fields: ignored("fields on every line.").optional(),
  })
  .prefault({})
  .describe("The service's own log, on stderr.");

const metrics = z
  .strictObject({
    level: z
      .enum(["none", "basic", "normal", "detailed"])
      .default("normal")
      .describe("none: no metrics; all others are the same here."),
    readers: z
      .array(reader)
      .max(1)
      .prefault([{ pull: { exporter: { prometheus: {} } } }])
      .describe("Where the metrics can be read; [] = nowhere."),
    address: ignored("the Collector ignores it since 0.123; use readers.").optional(),
  })
  .prefault({})
  .describe("The service's own metrics.");

/** `service.telemetry`. */
export const telemetry = z
  .strictObject({
    logs,
    metrics,
    traces: ignored("the service makes no traces of itself.").optional(),
    resource: ignored("attributes of the service's own telemetry.").optional(),
  })
  .prefault({})
  .describe("What the service says about itself.");
