import { afterEach, expect, test } from "vitest";
import { fluentStatus } from "../../src/extensions/fluent_status/index.ts";
import type { ExtensionContext } from "../../src/pipeline/factory.ts";
import { Metrics } from "../../src/service/metrics.ts";
import { ReceiverRig } from "../support/receiver-rig.ts";

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function start(given: Partial<ExtensionContext> = {}) {
  const metrics = new Metrics();
  const count = (name: string, labels: Record<string, string>, n: number) =>
    metrics.counter(name, "", labels).add(n);
  count("otelcol_receiver_accepted_log_records", { receiver: "http_logs", transport: "http" }, 7);
  count("otelcol_receiver_accepted_spans", { receiver: "otlp", transport: "http" }, 2);
  count("otelcol_receiver_accepted_spans", { receiver: "otlp", transport: "grpc" }, 3);
  count("otelcol_exporter_sent_log_records", { exporter: "influxdb" }, 6);
  count("otelcol_exporter_send_failed_log_records", { exporter: "influxdb" }, 1);
  count("weir_exporter_resent_items_total", { exporter: "influxdb", data_type: "logs" }, 4);
  metrics.observe("weir_journal_segments", "", { storage: "file_storage" }, "gauge", () => 3);
  metrics.observe("weir_journal_segments", "", { storage: "memory" }, "gauge", () => 1);
  let nowMs = Date.UTC(2026, 0, 1);
  const pipeline = { receivers: ["http_logs"], processors: ["batch"], exporters: ["influxdb"] };
  const context: ExtensionContext = {
    ...new ReceiverRig("fluent_status").context,
    isReady: () => true,
    self: [],
    nowMs: () => nowMs,
    running: {
      version: "1.2.3",
      pipelines: new Map([["logs", pipeline]]),
      figures: () => metrics.figures(),
    },
    ...given,
  };
  const server = fluentStatus.create(
    fluentStatus.schema.parse({ endpoint: "127.0.0.1:0" }),
    context,
  );
  await server.start();
  stops.push(() => server.stop(AbortSignal.timeout(1_000)));
  nowMs += 93_784_000;
  return async (path: string, method = "GET") => {
    const answer = await fetch(`http://${server.address()}${path}`, { method });
    return [answer.status, await answer.text()] as const;
  };
}

const INFLUXDB = { proc_records: 6, dropped_records: 1, retried_records: 4 };
const PLUGINS = { receivers: ["http_logs"], processors: ["batch"], exporters: ["influxdb"] };

test.each<[string, unknown]>([
  [
    "/api/v1/metrics",
    { input: { http_logs: { records: 7 }, otlp: { records: 5 } }, output: { influxdb: INFLUXDB } },
  ],
  [
    "/api/v1/uptime",
    {
      uptime_sec: 93_784,
      uptime_hr: "weir has been running: 1 days, 2 hours, 3 minutes and 4 seconds",
    },
  ],
  ["/", { "fluent-bit": { version: "1.2.3", edition: "weir", flags: [] } }],
  ["/api/v1/plugins", { inputs: ["http_logs"], filters: ["batch"], outputs: ["influxdb"] }],
  ["/api/v1/config/", { version: "1.2.3", pipelines: { logs: PLUGINS } }],
  ["/api/v2/reload", { hot_reload_count: 0 }],
  [
    "/api/v1/storage",
    {
      storage_layer: {
        chunks: {
          total_chunks: 4,
          mem_chunks: 1,
          fs_chunks: 3,
          fs_chunks_up: 0,
          fs_chunks_down: 3,
        },
      },
      input_chunks: {},
    },
  ],
])("GET %s", async (path, expected) => {
  const [status, text] = await (await start())(path);
  expect(status).toBe(200);
  expect(JSON.parse(text)).toEqual(expected);
});

test.each(["/api/v1/metrics/prometheus", "/api/v2/metrics/prometheus"])("GET %s", async (path) => {
  const [status, text] = await (await start())(path);
  expect(status).toBe(200);
  expect(text).toContain('\nfluentbit_input_records_total{name="otlp"} 5\n');
  expect(text).toContain('\nfluentbit_output_dropped_records_total{name="influxdb"} 1\n');
  expect(text).toContain("\nfluentbit_uptime 93784\n");
});

test("GET /api/v2/metrics", async () => {
  const [status, text] = await (await start())("/api/v2/metrics");
  expect(status).toBe(200);
  expect(text.split("\n")[0]).toBe(
    '2026-01-02T02:03:04.000Z fluentbit_input_records_total{name="http_logs"} = 7',
  );
});

test("health: ok when ready, else 500 error, as Fluent Bit words it", async () => {
  for (const path of ["/api/v1/health", "/api/v2/health"]) {
    expect(await (await start())(path)).toEqual([200, "ok\n"]);
    expect(await (await start({ isReady: () => false }))(path)).toEqual([500, "error\n"]);
  }
});

test("other paths are 404 and name the pages, other methods 405; a reload is told that it is not enabled", async () => {
  const ask = await start();
  const [status, text] = await ask("/api/v1/nothing");
  expect([status, text.includes("/api/v1/metrics/prometheus")]).toEqual([404, true]);
  expect((await ask("/api/v1/health", "DELETE"))[0]).toBe(405);
  expect(await ask("/api/v2/reload", "POST")).toEqual([
    200,
    '{"reload":"not enabled","status":-1}',
  ]);
});
