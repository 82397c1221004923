import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createComponents } from "../../src/components.ts";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";

test("a configuration that was written for the Collector's influxdb exporter loads with one warning", async () => {
  const cwd = await mkdtemp(join(tmpdir(), "weir-collector-"));
  onTestFinished(() => rm(cwd, { recursive: true }));
  await writeFile(
    join(cwd, "c.yaml"),
    `receivers: { otlp: { protocols: { grpc: } } }
exporters:
  influxdb:
    endpoint: http://localhost:8080
    timeout: 500ms
    org: my-org
    bucket: my-bucket
    token: my-token
    span_dimensions: [service.name, span.name]
    log_record_dimensions: [service.name]
    payload_max_lines: 72
    payload_max_bytes: 27000
    metrics_schema: telegraf-prometheus-v1
    headers: { User-Agent: "OpenTelemetry -> Influx" }
    sending_queue: { enabled: true, num_consumers: 3, queue_size: 10 }
    retry_on_failure: { enabled: true, initial_interval: 1s, max_interval: 3s, max_elapsed_time: 10s }
service: { pipelines: { logs: { receivers: [otlp], exporters: [influxdb] } } }
`,
  );
  const loaded = await loadConfig({
    sources: ["c.yaml"],
    sets: [],
    env: {},
    catalog: createComponents,
    cwd,
  });
  expect(loaded.ok ? [] : loaded.problems.map(formatProblem)).toEqual([]);
  expect(loaded.warnings.map(formatProblem)).toEqual([
    'c.yaml:3:3: influxdb: options of the Collector\'s influxdb exporter: they stand for api: v2, database: "my-bucket", max_items: 72, max_body_size: 27000; please write these; span_dimensions, log_record_dimensions, metrics_schema have no effect, as the series tables say what is a tag and what a field',
  ]);
});
