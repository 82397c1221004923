import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { httpSink } from "../support/http-sink.ts";
import { readRows } from "../support/rows.ts";
import type { Law } from "../support/service.ts";
import { Stand } from "./stand.ts";

const DURABLE = "sending_queue: { storage: file_storage, batch: { flush_timeout: 10ms } }";
const SECOND = "1705314600000000000";
const CALL =
  "DFF_func_call,func_id=demo__test.run,origin=authLink,queue=8,script_id=demo__test,site_name=Func\\ for\\ testing,task_status=failure,my_tag=u\\,1";
/** Twins, extra tags and fields of every type, a list, and lines of other tables. */
const LINES = [
  `${CALL} run_cost=300i,total_cost=400i,wait_cost=100i ${SECOND}`,
  `${CALL} run_cost=300i,total_cost=400i,wait_cost=100i ${SECOND}`,
  `${CALL} run_cost=5i,my_u=18446744073709551615u,my_f=2.5,my_b=true,my_s="a \\"b\\"\nc",my_l=[1i,2i],trace_id="0af7651916cd43dd8448eb211c80319c" ${SECOND}`,
  `DFF_worker_queue,queue=8,redis_key=q@8,site_name=s length=10i ${SECOND}`,
  `requests,service=luna-backport4,account_id=none,route=POST:/extractor,status_code=201,handler_id=h1 request_id="r",execution_time=0.125,ok=True ${SECOND}`,
  `plant,site=north\\ wing t=21.5,u=7u ${SECOND}`,
];
const JSON_POINT =
  '{"measurement":"function_logs","tags":{"function_id":"f","execution_id":"e","status":"success","my_tag":"x"},"fields":{"duration_ms":12,"exit_code":0,"message":"done"},"timestamp":"2024-01-15T10:30:00Z"}';
const isDone = (laws: readonly Law[]) =>
  laws.length > 0 && laws.every(({ appended, queued }) => appended === 7 && queued === 0);

test("lines and JSON points that go through another service as OTLP are the same rows there", async () => {
  await using sink = await httpSink({ status: 204 });
  await using second = await Stand.open(
    (it) => `${it.frame}
exporters:
  influxdb: { endpoint: "${sink.url}", database: d, ${DURABLE} }
${it.serviceWith("logs: { receivers: [otlp], exporters: [influxdb] }")}`,
  );
  await using first = await Stand.open(
    (it) => `${it.frame}
exporters:
  otlp_http: { endpoint: "http://127.0.0.1:${second.ports.http}", keep_line_shape: true, ${DURABLE} }
  file: { path: "${it.path("out.lp")}", format: lines, ${DURABLE} }
${it.serviceWith("logs: { receivers: [line_protocol], exporters: [otlp_http, file] }")}`,
  );
  await second.service.start();
  await first.service.start();
  await first.datagram(LINES.join("\n"));
  await first.datagram(JSON_POINT);
  await first.until(isDone);
  await second.until(isDone);
  const there = Buffer.concat(sink.requests.map(({ body }) => body)).toString();
  const here = await readFile(first.path("out.lp"), "utf8");
  const sorted = (lines: string) =>
    readRows(lines)
      .map((row) => JSON.stringify(row))
      .sort();
  expect(sorted(there)).toEqual(sorted(here));
  const rows = readRows(there);
  expect(rows).toHaveLength(7);
  const calls = rows.filter(({ table }) => table === "DFF_func_call");
  expect(new Set(calls.map(({ tags, time }) => JSON.stringify([tags, time]))).size).toBe(3);
  expect(calls.find(({ fields }) => "my_u" in fields)).toMatchObject({
    tags: { my_tag: "u,1", status: "critical", site_name: "Func for testing" },
    fields: {
      run_cost: { integer: "5" },
      my_u: { uinteger: "18446744073709551615" },
      my_f: { float: 2.5 },
      my_b: { boolean: true },
      my_s: { text: 'a "b"\nc' },
      my_l: { text: "[1,2]" },
      origin_normalized: { text: "syncAPI" },
      trace_id: { text: "0af7651916cd43dd8448eb211c80319c" },
    },
  });
});
