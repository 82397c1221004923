import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { httpSink } from "../support/http-sink.ts";
import { encodeRequest } from "../support/otlp.ts";
import { isBalanced } from "../support/service.ts";
import { Stand } from "./stand.ts";

const DURABLE = "sending_queue: { storage: file_storage, batch: { flush_timeout: 10ms } }";
const TIME = "1705314600123456789";
const text = (stringValue: string) => ({ stringValue });
const attributes = [{ key: "queue", value: text("mail") }];
const METRICS = encodeRequest("metrics", {
  resourceMetrics: [
    {
      resource: {
        attributes: [
          { key: "service.name", value: text("shop") },
          { key: "cloud.region", value: text("eu") },
        ],
      },
      scopeMetrics: [
        {
          metrics: [
            {
              name: "jobs",
              sum: {
                aggregationTemporality: 2,
                isMonotonic: true,
                dataPoints: [
                  { attributes, timeUnixNano: TIME, asInt: "7" },
                  { attributes, timeUnixNano: TIME, flags: 1 },
                ],
              },
            },
            {
              name: "DFF_worker_queue.length",
              gauge: { dataPoints: [{ attributes, timeUnixNano: TIME, asInt: "3" }] },
            },
          ],
        },
      ],
    },
  ],
});

/** Posts a request of metrics. */
function post(stand: Stand, metrics: Uint8Array): Promise<Response> {
  return fetch(`http://127.0.0.1:${stand.ports.http}/v1/metrics`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body: Uint8Array.from(metrics),
  });
}

test("data points go from a socket to InfluxDB and to a file as lines, and the law balances", async () => {
  await using sink = await httpSink({ status: 204 });
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  influxdb: { endpoint: "${sink.url}", database: d, metric_tags: [cloud.region], ${DURABLE} }
  file: { path: "${it.path("out.lp")}", format: lines, tables: [metrics], ${DURABLE} }
${it.serviceWith("metrics: { receivers: [otlp], exporters: [influxdb, file] }")}`,
  );
  await stand.service.start();
  const answer = await post(stand, METRICS);
  expect(answer.status).toBe(200);
  const laws = await stand.until(
    (all) =>
      all.length === 2 && all.every(({ appended, queued }) => appended === 3 && queued === 0),
  );
  expect(laws.every(isBalanced)).toBe(true);
  const delivered = Object.fromEntries(laws.map((law) => [law.exporter, law.delivered]));
  // One point has no recorded value; the file does not take the table of another.
  expect(delivered).toEqual({ influxdb: 2, file: 1 });
  const [sent] = sink.requests;
  expect(sent?.body.toString().split("\n").sort()).toEqual([
    "",
    `DFF_worker_queue,queue=mail length=3i ${TIME}`,
    `jobs,cloud_region=eu,queue=mail counter=7 ${TIME}`,
  ]);
  expect(await readFile(stand.path("out.lp"), "utf8")).toBe(
    `jobs,service_name=shop,queue=mail counter=7 ${TIME}\n`,
  );
  expect(await stand.service.kill("SIGTERM")).toBe(0);
});

test("of points that share a row, only the one that the server rejects is a dead letter", async () => {
  await using sink = await httpSink({ status: 204 });
  const bad = { error: "partial write of line protocol occurred", data: [{ line_number: 1 }] };
  sink.answer = ({ body }) =>
    body.includes("data_length=") ? { status: 400, body: JSON.stringify(bad) } : { status: 204 };
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  influxdb: { endpoint: "${sink.url}", database: d, ${DURABLE} }
${it.serviceWith("metrics: { receivers: [otlp], exporters: [influxdb] }")}`,
  );
  await stand.service.start();
  const dataPoints = [{ attributes, timeUnixNano: TIME, asInt: "1" }];
  const metrics = ["rows", "data_length", "index_length"].map((name) => ({
    name: `DFF_db_table.${name}`,
    gauge: { dataPoints },
  }));
  const body = encodeRequest("metrics", { resourceMetrics: [{ scopeMetrics: [{ metrics }] }] });
  expect((await post(stand, body)).status).toBe(200);
  const [law] = await stand.until((all) => all.some(({ queued, appended }) => appended > queued));
  expect(law).toMatchObject({ appended: 3, delivered: 2, dead_lettered: 1, queued: 0 });
  const [whole, ...parts] = sink.requests.map((request) => request.body.toString());
  const row = "DFF_db_table,queue=mail";
  expect(whole).toBe(`${row} data_length=1i,index_length=1i,rows=1i ${TIME}\n`);
  expect(parts).toContain(`${row} rows=1i ${TIME}\n`);
  expect(parts).toContain(`${row} index_length=1i ${TIME}\n`);
});
