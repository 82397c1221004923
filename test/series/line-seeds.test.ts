import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { compileLineWriter } from "../../src/series/plan.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { lineDoor } from "../support/line-door.ts";
import { batchOf, indexer, rangeOf, writeAll } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";
import { type Field, type Row, readRows } from "../support/rows.ts";

/** What the source systems really send (test/fixtures/seeds), as rows. */
const ARRIVAL_MS = 1_732_000_000_000;
const SEEDS = new URL("../fixtures/seeds/", import.meta.url);
const tables = shippedTables();
const throughDoor = lineDoor(tables);
const writer = compileLineWriter({ signal: "logs", tables, keys: indexer.keys, dialect: "v3" });
const seen = new Map<string, number>();

function rowsOf(suite: string, text: string | Uint8Array): Row[] {
  const batch = batchOf(throughDoor(text, ARRIVAL_MS));
  const rows = readRows(writeAll(writer, rangeOf([batch], ARRIVAL_MS)).text);
  expect(rows).toHaveLength(batch.items);
  seen.set(suite, (seen.get(suite) ?? 0) + rows.length);
  return rows;
}
const fileOf = (path: string) => readFileSync(new URL(path, SEEDS));
const text = (value: string): Field => ({ text: value });
const int = (value: number): Field => ({ integer: String(value) });

afterAll(() => console.table([...seen].map(([suite, rows]) => ({ suite, rows }))));

test("dart: the lines of the Dart Cloud logger, and the same point as JSON", () => {
  const rows = rowsOf("dart/udp-lines.lp", fileOf("dart/udp-lines.lp"));
  expect(rows.map(({ tags }) => tags["status"])).toEqual(["success", "timeout", "error"]);
  expect(rows.map(({ time }) => time)).toEqual([
    "1705314600000000000",
    "1705314660000000000",
    "1705314720000000000",
  ]);
  expect(rows.map(({ fields }) => fields["exit_code"])).toEqual([int(0), int(-1), int(1)]);
  expect(rows.map(({ fields }) => fields["duration_ms"])).toEqual([
    { float: 1234 },
    { float: 30_000 },
    { float: 12 },
  ]);
  const [first] = rows as [Row];
  const point = {
    measurement: first.table,
    tags: first.tags,
    fields: {
      duration_ms: 1234,
      memory_used_mb: 45,
      exit_code: 0,
      cpu_time_ms: 800,
      message: "Function executed successfully",
    },
    timestamp: "2024-01-15T10:30:00.000Z",
  };
  for (const json of [point, [point], [point, point]])
    for (const row of rowsOf("dart/JSON point", JSON.stringify(json))) expect(row).toEqual(first);
  const ndjson = `${JSON.stringify(point)}\n${JSON.stringify(point)}\n`;
  expect(rowsOf("dart/JSON point", ndjson)).toEqual([first, first]);
});

test("luna: requests and errors with every tag and field, also those that nobody declared", () => {
  const [request, error, handler] = rowsOf("luna/write.lp", fileOf("luna/write.lp")) as [
    Row,
    Row,
    Row,
  ];
  expect(request).toEqual({
    table: "requests",
    tags: {
      service: "luna-backport4",
      account_id: "6d071cca-fda5-4a03-84d5-5bea65904480",
      route: "POST:/extractor",
      status_code: "201",
    },
    fields: {
      request_id: text("1705314600,3f2b1c9e-0b7a-4a2e-9a55-0a4a2f6f6d10"),
      execution_time: { float: 0.123456 },
    },
    time: "1705314600123456768",
  });
  expect([error.table, error.tags["account_id"], error.tags["error_code"]]).toEqual([
    ...["errors", "none", "12010"],
  ]);
  expect(handler.tags["handler_id"]).toBe("0b7a4a2e-9a55-4a2f-8f6d-103f2b1c9e00");
  expect(handler.fields).toEqual({
    request_id: text("1705314601,x"),
    execution_time: { float: 1.5 },
    load_images_for_processing_time: { float: 0.01 },
    ok: { boolean: true },
    n: int(1),
    failed: { boolean: false },
  });
});

describe("a log record whose event_name names a table makes the row that the line makes", () => {
  const string = (stringValue: string) => ({ stringValue });
  const whole = (value: number) => ({ intValue: String(value) });
  test.each([
    [
      "DFF_func_call,func_id=a__b.c,origin=crontab,queue=8,script_id=a__b,script_set_id=a,task_status=skip run_cost=300i,total_cost=400i,wait_cost=100i",
      {
        func_id: string("a__b.c"),
        origin: string("crontab"),
        queue: whole(8),
        script_id: string("a__b"),
      },
      { script_set_id: string("a"), task_status: string("skip") },
      { run_cost: whole(300), total_cost: whole(400), wait_cost: { doubleValue: 100 } },
    ],
    [
      'DFF_task_record_func,func_id=f,id=t1,task_status=odd cron_expr="* * * * *",ignore_result=false,message="m"',
      { func_id: string("f"), id: string("t1"), task_status: string("odd"), message: string("m") },
      { cron_expr: string("* * * * *"), ignore_result: { boolValue: false } },
      {},
    ],
    [
      "DFF_db_table,name=t,target=127.0.0.1:\\ 3306/d rows=10i,total_length=200i",
      { name: string("t"), target: string("127.0.0.1: 3306/d"), rows: whole(10) },
      { total_length: string("200") },
      {},
    ],
    [
      'requests,account_id=none,route=POST:/x,service=luna,status_code=201 execution_time=0.5,request_id="r"',
      { account_id: string("none"), route: string("POST:/x"), service: string("luna") },
      { status_code: whole(201), execution_time: { doubleValue: 0.5 }, request_id: string("r") },
      {},
    ],
  ])("%.24s", (line, ...attributes) => {
    const time = "1705314600000000000";
    const [row] = rowsOf("event_name", `${line} ${time}`) as [Row];
    const record = {
      eventName: row.table,
      timeUnixNano: time,
      attributes: Object.entries(Object.assign({}, ...attributes)).map(([key, value]) => ({
        key,
        value,
      })),
    };
    const request = { resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] };
    const batch = batchOf(encodeRequest("logs", request));
    const rows = readRows(writeAll(writer, rangeOf([batch], ARRIVAL_MS)).text);
    expect(rows).toEqual([row]);
  });
});

describe("dff: what the DataFlux Func client puts into its requests", () => {
  const bodies = readdirSync(new URL("dff/", SEEDS)).filter((name) => name.endsWith(".body"));
  test.each(bodies)("%s", (name) => {
    const raw = fileOf(`dff/${name}`);
    const body = raw[0] === 0x1f ? gunzipSync(raw) : raw;
    const rows = rowsOf(`dff/${name}`, body);
    // As many as there are times at the ends of lines.
    expect(rows).toHaveLength(body.toString().match(/ \d{19}$/gm)?.length ?? 0);
    for (const { table, tags, fields } of rows) {
      expect(table).toMatch(/^DFF_/);
      const { task_status: taskStatus } = tags;
      if (taskStatus !== undefined) expect(tags["status"]).toBeDefined();
      if (tags["origin"] !== undefined) expect(fields["origin_normalized"]).toBeDefined();
      if (fields["cron_expr"] !== undefined) expect(fields["crontab"]).toEqual(fields["cron_expr"]);
      expect(Object.values({ ...tags, ...fields }).every((value) => value !== "")).toBe(true);
    }
    const keys = new Set(rows.map(({ table, tags, time }) => JSON.stringify([table, tags, time])));
    expect(keys.size).toBe(rows.length);
  });

  test("pages of a long message are rows of their own, told apart by the number in front", () => {
    const pages = [1, 2].flatMap((k) =>
      rowsOf("dff/pages", fileOf(`dff/logging-task_record_func-page${k}.body`)),
    );
    const messages = pages.map(({ fields }) => JSON.stringify(fields["message"]));
    expect(messages.map((message) => message.slice(9, 14))).toEqual(["[1/2]", "[2/2]"]);
    // Not in the order of the pages: the time of the first is a whole second, so it may be moved within that.
    expect(new Set(pages.map(({ time }) => time)).size).toBe(2);
  });
});
