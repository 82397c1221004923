import { afterEach, expect, test } from "vitest";
import type { Batch } from "../../../src/otlp/batch.ts";
import type { Signal } from "../../../src/otlp/tape.ts";
import { compileLineWriter } from "../../../src/series/plan.ts";
import { shippedTables } from "../../../src/series/tables/load.ts";
import { batchOfSignal, indexer, rangeOf, writeAll } from "../../support/line-writing.ts";
import { type Row, readRows } from "../../support/rows.ts";
import { at, ID, invocation, TRACE_ID } from "./events.ts";
import { fixture, type LambdaRig, post, start, stopAll } from "./rig.ts";

afterEach(stopAll);

const TABLES = shippedTables();

/** The rows that a destination gets, by the exporter's own writer. */
function rowsOf<S extends Signal>(rig: LambdaRig, signal: S): Row[] {
  const batches = rig.batches
    .filter((batch) => batch.signal === signal)
    .map(({ bytes, length }: Batch) => batchOfSignal(signal, bytes.subarray(0, length)));
  const writer = compileLineWriter({
    signal,
    tables: TABLES,
    declared: TABLES,
    keys: indexer.keys,
    dialect: "v3",
  });
  return readRows(writeAll(writer, rangeOf(batches, 0)).text);
}

const inTable = (rows: readonly Row[], name: string) => rows.filter(({ table }) => table === name);

test("an invocation is one row of function_logs, the same from its record and from its span, so that they are one", async () => {
  const { rig, url } = await start();
  await post(url, invocation(ID));
  const logs = rowsOf(rig, "logs");
  const [row] = inTable(logs, "function_logs");
  expect(inTable(logs, "function_logs").length).toBe(1);
  expect(row).toMatchObject({
    tags: { function_id: "resize", execution_id: ID, status: "success", version: "$LATEST" },
    fields: {
      duration_ms: { float: 80.25 },
      memory_used_mb: { float: 49 },
      cold_start: { boolean: false },
      function_name: { text: "resize" },
      message: { text: expect.stringContaining("REPORT RequestId") },
      trace_id: { text: TRACE_ID },
    },
    time: `${Date.UTC(2026, 10, 21, 12)}000000`,
  });
  expect(row?.fields["exit_code"]).toBeUndefined();
  const spans = rowsOf(rig, "traces");
  const [fromSpan] = inTable(spans, "function_logs");
  expect(inTable(spans, "function_logs").length).toBe(1);
  expect([fromSpan?.tags, fromSpan?.time]).toEqual([row?.tags, row?.time]);
  expect(row?.fields).toMatchObject(fromSpan?.fields ?? { none: {} });
  expect(inTable(spans, "spans").length).toBe(2);
});

test("a line is a row of logs with the execution's ids, also when it has a status", async () => {
  const { rig, url } = await start();
  const record = { level: "INFO", message: "done", status: 200 };
  await post(url, [...invocation(ID), { time: at(30), type: "function", record }]);
  const rows = rowsOf(rig, "logs");
  expect(inTable(rows, "function_logs").length).toBe(1);
  const lines = inTable(rows, "logs");
  expect(lines.map(({ fields }) => fields["message"])).toEqual([
    { text: `hello from ${ID}\n` },
    { text: "done" },
  ]);
  for (const { tags, fields } of lines) {
    expect(tags["service_name"]).toBe("resize");
    expect(fields).toMatchObject({ execution_id: { text: ID }, trace_id: { text: TRACE_ID } });
  }
});

test("the captured batches: four rows, one cold for each instance", async () => {
  const { rig, url } = await start();
  for (const name of ["webhook-1.json", "webhook-2.json", "webhook-3.json"])
    await post(url, fixture(name));
  const rows = inTable(rowsOf(rig, "logs"), "function_logs");
  expect(
    rows.map(({ fields: { duration_ms, cold_start } }) => ({ ...duration_ms, ...cold_start })),
  ).toEqual([
    { float: 77.829, boolean: true },
    { float: 8.984, boolean: false },
    { float: 9.613, boolean: false },
    { float: 273.537, boolean: true },
  ]);
});
