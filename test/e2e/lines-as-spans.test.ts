import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { httpSink } from "../support/http-sink.ts";
import { readRows } from "../support/rows.ts";
import type { Law } from "../support/service.ts";
import { Stand } from "./stand.ts";

const DURABLE = "sending_queue: { storage: file_storage, batch: { flush_timeout: 10ms } }";
const TIME = "1705314600000000000";
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const LINES = [
  `requests,service=luna,route=POST:/a,status_code=201,handler_id=h1 request_id="r",execution_time=0.125 ${TIME}`,
  `function_logs,function_id=f,execution_id=e,status=error,zone=a duration_ms=12.5,message="gone",n=7u,trace_id="${TRACE}" ${TIME}`,
  `DFF_func_call,func_id=a__b.c,task_status=failure run_cost=300i,total_cost=400i,wait_cost=100i ${TIME}`,
  `DFF_func_call,func_id=a__b.c,task_status=failure run_cost=300i,total_cost=400i,wait_cost=100i ${TIME}`,
  `plant,site=north t=21.5 ${TIME}`,
];
const SPANS = "spans: [requests, function_logs, DFF_func_call]";
const areDone = (laws: readonly Law[]) =>
  laws.length > 0 && laws.every(({ appended, queued }) => appended > 0 && queued === 0);
const sorted = (lines: string) =>
  readRows(lines)
    .map((row) => JSON.stringify(row))
    .sort();

test("lines of some tables go as spans, with ids and durations, and become the same rows, here and behind another service", async () => {
  await using sink = await httpSink({ status: 204 });
  await using backend = await httpSink({ status: 200 });
  await using second = await Stand.open(
    (it) => `${it.frame}
exporters:
  influxdb: { endpoint: "${sink.url}", database: d, ${DURABLE} }
${it.serviceWith("traces: { receivers: [otlp], exporters: [influxdb] }")}`,
  );
  const pipelines = `logs: { receivers: [line_protocol], exporters: [file] }
traces: { receivers: [line_protocol], exporters: [otlp_http, otlp_http/dash, file/traces] }`;
  await using first = await Stand.open(
    (it) => `${it.frame.replace("line_protocol: {", `line_protocol: { ${SPANS},`)}
exporters:
  otlp_http: { endpoint: "http://127.0.0.1:${second.ports.http}", keep_line_shape: true, ${DURABLE} }
  otlp_http/dash: { endpoint: "${backend.url}", encoding: json, compression: none, ${DURABLE} }
  file: { path: "${it.path("logs.lp")}", format: lines, ${DURABLE} }
  file/traces: { path: "${it.path("traces.lp")}", format: lines, ${DURABLE} }
${it.serviceWith(pipelines)}`,
  );
  await second.service.start();
  await first.service.start();
  await first.datagram(LINES.join("\n"));
  await first.until(areDone);
  await second.until(areDone);

  expect(await readFile(first.path("logs.lp"), "utf8")).toBe(`plant,site=north t=21.5 ${TIME}\n`);
  const here = await readFile(first.path("traces.lp"), "utf8");
  const there = Buffer.concat(sink.requests.map(({ body }) => body)).toString();
  expect(sorted(there)).toEqual(sorted(here));
  const rows = readRows(there);
  expect(rows.map(({ table }) => table).sort()).toEqual([
    ...["DFF_func_call", "DFF_func_call", "function_logs", "requests"],
  ]);
  expect(rows.find(({ table }) => table === "requests")).toMatchObject({
    tags: { service: "luna", handler_id: "h1" },
    time: TIME,
  });
  expect(there).toMatch(/^requests,.* request_id="r",execution_time=0\.125 /m);
  expect(new Set(rows.map(({ table, time }) => `${table} ${time}`)).size).toBe(4);

  const sent = Buffer.concat(backend.requests.map(({ body }) => body)).toString();
  expect(sent).not.toContain("weir.");
  expect(sent).toContain(`"traceId":"${TRACE}"`);
  expect(sent).toContain('"endTimeUnixNano":"1705314600012500000"');
});
