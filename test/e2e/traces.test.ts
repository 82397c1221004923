import { readFile, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { httpSink } from "../support/http-sink.ts";
import { encodeRequest } from "../support/otlp.ts";
import { isBalanced } from "../support/service.ts";
import { Stand } from "./stand.ts";

const DURABLE = "sending_queue: { storage: file_storage, batch: { flush_timeout: 10ms } }";
const TIME = "1705314600100000001";
const TRACE = "5b8efff798038103d269b633813fc60c";
const text = (stringValue: string) => ({ stringValue });
const SPAN = {
  traceId: TRACE,
  spanId: "eee19b7ec3c1b174",
  name: "POST /extractor",
  kind: 2,
  startTimeUnixNano: TIME,
  endTimeUnixNano: "1705314600101000001",
  attributes: [
    { key: "http.route", value: text("/extractor") },
    { key: "http.response.status_code", value: { intValue: "400" } },
    { key: "request_id", value: text("r-3") },
    { key: "shop.basket", value: text("b-1") },
  ],
};
const TRACES = encodeRequest("traces", {
  resourceSpans: [
    {
      resource: { attributes: [{ key: "service.name", value: text("luna") }] },
      scopeSpans: [{ spans: [SPAN, { ...SPAN, kind: 3, spanId: "eee19b7ec3c1b175" }] }],
    },
  ],
});
const BASKETS = `measurement: baskets
doc: One row for each basket.
identity: exact
match: { spans: { record_has_one_of_each: [[shop.basket]], kind: [server] } }
attributes: false
columns:
  basket: { kind: tag, doc: The basket., from: [shop.basket] }
  ms: { kind: float, doc: How long it took., from: [{ span: duration_ms }] }
`;

test("spans go from a socket to InfluxDB and to a file as rows, by shipped tables and a user's, and the law balances", async () => {
  await using sink = await httpSink({ status: 204 });
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  influxdb: { endpoint: "${sink.url}", database: d, tables: [requests, errors, baskets, "./baskets.yaml"], ${DURABLE} }
  file: { path: "${it.path("out.lp")}", format: lines, tables: [spans], ${DURABLE} }
${it.serviceWith("traces: { receivers: [otlp], exporters: [influxdb, file] }")}`,
  );
  await writeFile(stand.path("baskets.yaml"), BASKETS);
  await stand.service.start();
  const answer = await fetch(`http://127.0.0.1:${stand.ports.http}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body: Uint8Array.from(TRACES),
  });
  expect(answer.status).toBe(200);
  const laws = await stand.until(
    (all) =>
      all.length === 2 && all.every(({ appended, queued }) => appended === 2 && queued === 0),
  );
  expect(laws.every(isBalanced)).toBe(true);
  const delivered = Object.fromEntries(laws.map((law) => [law.exporter, law.delivered]));
  // The client span is no request, and counted as dropped.
  expect(delivered).toEqual({ influxdb: 1, file: 2 });
  const ids = `trace_id="${TRACE}",span_id="eee19b7ec3c1b174"`;
  const rest = `attributes="{\\"http.route\\":\\"/extractor\\",\\"shop.basket\\":\\"b-1\\"}"`;
  const request = "service=luna,account_id=none,route=_OTHER:/extractor,status_code=400";
  const [sent] = sink.requests;
  expect(sent?.body.toString().split("\n").sort()).toEqual([
    "",
    `baskets,basket=b-1 ms=1 ${TIME}`,
    `errors,${request},error_code=400 request_id="r-3",${ids},${rest} ${TIME}`,
    `requests,${request} request_id="r-3",execution_time=0.001,${ids},${rest} ${TIME}`,
  ]);
  const rows = (await readFile(stand.path("out.lp"), "utf8")).trim().split("\n");
  expect(rows).toHaveLength(2);
  expect(rows[1]).toContain("spans,service_name=luna,span_kind=client,status_code=unset ");
  expect(await stand.service.kill("SIGTERM")).toBe(0);
});

test("a mistake in a user's table stops the start, and says where it is", async () => {
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  file: { path: "${it.path("out.lp")}", format: lines, tables: ["./bad.yaml"] }
${it.serviceWith("traces: { receivers: [otlp], exporters: [file] }")}`,
  );
  const path = stand.path("bad.yaml");
  await writeFile(path, BASKETS.replace("kind: float", "kind: flaot"));
  await expect(stand.service.start()).rejects.toThrow("the service ended with 1");
  const mistake = `${path}:8:15: kind "flaot" is unknown; did you mean "float"?`;
  await expect.poll(() => stand.service.log).toContain(`: ${mistake}`);
  expect(stand.service.log).toMatch(/config\.yaml:10:\d+: /);
});
