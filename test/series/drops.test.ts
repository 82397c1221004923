import { expect, test } from "vitest";
import type { Signal } from "../../src/otlp/tape.ts";
import { compileLineWriter } from "../../src/series/plan.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { batchOfSignal, indexer, rangeOf, slabOf } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";

const ARRIVAL_MS = 1_732_000_000_123;
const TIME = "1705314600000000000";
const tables = shippedTables();
const text = (key: string, stringValue: string) => ({ key, value: { stringValue } });

/** What a writer tells of the items of a request, which it writes twice. */
function told(signal: Signal, request: object, times = 2): { text: string; drops: string[] } {
  const drops: string[] = [];
  const writer = compileLineWriter({
    signal,
    tables,
    declared: tables,
    keys: indexer.keys,
    dialect: "v3",
    onFieldDropped: (...args) => drops.push(args.join(" ")),
  });
  const batch = batchOfSignal(signal, encodeRequest(signal, request));
  let out = "";
  for (let i = 0; i < times; i++) {
    const slab = slabOf(1 << 16);
    expect(writer.write(rangeOf([batch], ARRIVAL_MS), 0, batch.items, slab).to).toBe(batch.items);
    out = Buffer.from(slab.bytes.subarray(0, slab.length)).toString("latin1");
  }
  return { text: out, drops };
}

const logs = (...records: object[]) => ({
  resourceLogs: [{ scopeLogs: [{ logRecords: records }] }],
});
const gauge = (name: string, attributes: object[]) => ({
  name,
  gauge: { dataPoints: [{ timeUnixNano: TIME, asDouble: 1, attributes }] },
});

test("control characters and last backslashes of tags are counted, each time", () => {
  const record = {
    timeUnixNano: TIME,
    attributes: [text("worker_id", "w\u0001\u00027\\"), text("region", "\u0003")],
    body: { stringValue: "a\u0001\\" },
  };
  const { text: line, drops } = told("logs", logs(record, record));
  expect(line).toContain(',worker_id=w7 message="a\u0001\\\\"');
  // Of region nothing is left, which is another drop.
  const each = ["logs region empty 2", "  characters 8"];
  expect(drops).toEqual([...each, ...each]);
});

test("so are those of names in lines, though the shape of a line is worked out once", () => {
  const record = {
    timeUnixNano: TIME,
    eventName: "weather\u0001",
    attributes: [
      text("place\\", "here"),
      { key: "degrees\u0002", value: { doubleValue: 1.5 } },
      { key: "weir.tags", value: { arrayValue: { values: [{ stringValue: "place\\" }] } } },
    ],
  };
  const { text: lines, drops } = told("logs", logs(record, record, record));
  expect(lines).toBe(`weather,place=here degrees=1.5 ${TIME}\n`.repeat(3));
  expect(drops).toEqual(["  characters 9", "  characters 9"]);
});

test("and of points: names of metrics and attributes, tags of the resource", () => {
  const resourceMetrics = [
    {
      resource: { attributes: [text("service.name", "s\u0001")] },
      scopeMetrics: [{ metrics: [gauge("#m", [text("a\\", "b\u0002"), text("c", "d")])] }],
    },
  ];
  const { text: line, drops } = told("metrics", { resourceMetrics });
  expect(line).toBe(`m,service_name=s,a=b,c=d gauge=1 ${TIME}\n`);
  expect(drops).toEqual(["  characters 4", "  characters 4"]);
});

test("an item may drop any number of values: all are counted", () => {
  const attributes = Array.from({ length: 400 }, (_, i) => text(`k${i}`, "\u0001"));
  const resourceMetrics = [{ scopeMetrics: [{ metrics: [gauge("m", attributes)] }] }];
  const { drops } = told("metrics", { resourceMetrics }, 1);
  expect(drops).toEqual(["  characters 400", "metrics  empty 400"]);
});

test("a tag that the table declares as a field becomes that field, or costs itself", () => {
  const tags = ["trace_id", "duration_ms", "exit_code", "message", "mine"];
  const record = {
    timeUnixNano: TIME,
    eventName: "function_logs",
    body: { stringValue: "from the field" },
    attributes: [
      ...["t-1", "12.5", "none", "from the tag", "x"].map((value, i) =>
        text(String(tags[i]), value),
      ),
      {
        key: "weir.tags",
        value: { arrayValue: { values: tags.map((stringValue) => ({ stringValue })) } },
      },
    ],
  };
  const { text: line, drops } = told("logs", logs(record), 1);
  // The body is the field message, so the tag of this name stays one.
  expect(line).toBe(
    `function_logs,message=from\\ the\\ tag,mine=x duration_ms=12.5,message_="from the field",trace_id="t-1" ${TIME}\n`,
  );
  expect(drops).toEqual(["function_logs exit_code type 1"]);
});

test("ids among the attributes that are none are counted; absent ones, and those of all zeros, are not", () => {
  const of = (...attributes: object[]) => ({ timeUnixNano: TIME, attributes });
  const good = text("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  const drops = (...attributes: object[]) => told("logs", logs(of(...attributes)), 1).drops;
  expect(drops(text("trace_id", "nonsense"))).toEqual(["logs trace_id malformed 1"]);
  expect(drops({ key: "trace.id", value: { boolValue: true } })).toEqual([
    "logs trace_id malformed 1",
  ]);
  expect(drops(text("dd.trace_id", "9".repeat(1_000)))).toEqual(["logs trace_id malformed 1"]);
  expect(drops(text("spanId", "123"))).toEqual(["logs span_id malformed 1"]);
  expect(drops(text("X-Amzn-Trace-Id", "Root=2-x"))).toEqual(["logs trace_id malformed 1"]);
  // The column of the trace says it once for both ids.
  expect(drops(text("traceparent", "00-1-2-3"))).toEqual(["logs trace_id malformed 1"]);
  // Another source gives the id, but what one sent is lost all the same.
  expect(drops(text("trace_id", "nonsense"), good)).toEqual(["logs trace_id malformed 1"]);
  expect(drops(text("span_id", "nonsense"), good)).toEqual(["logs span_id malformed 1"]);
  expect(drops(good)).toEqual([]);
  expect(drops(text("trace_id", "0".repeat(32)), text("span_id", ""))).toEqual([]);
});

test("a sum of columns that no integer of the row holds is counted", () => {
  const span = (attributes: object[]) => ({
    resourceSpans: [
      { scopeSpans: [{ spans: [{ startTimeUnixNano: TIME, endTimeUnixNano: TIME, attributes }] }] },
    ],
  });
  const int = (key: string, intValue: string) => ({ key, value: { intValue } });
  const drops = (...costs: object[]) =>
    told("traces", span([text("func_id", "f"), ...costs]), 1).drops;
  const counted = ["DFF_func_call total_cost range 1"];
  expect(drops(int("wait_cost", "9223372036854775807"), int("run_cost", "1"))).toEqual(counted);
  expect(drops(int("wait_cost", "9007199254740991"), int("run_cost", "1"))).toEqual(counted);
  expect(drops(int("wait_cost", "9007199254740990"), int("run_cost", "1"))).toEqual([]);
});
