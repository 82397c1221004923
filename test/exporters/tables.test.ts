import { describe, expect, test } from "vitest";
import { createComponents } from "../../src/components.ts";
import { createFile } from "../../src/exporters/file/index.ts";
import { createInfluxdb } from "../../src/exporters/influxdb/index.ts";
import type { ExporterContext } from "../../src/kit/delivery/backend.ts";
import { pickItems } from "../../src/otlp/pick.ts";
import { compileLineWriter } from "../../src/series/plan.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { load, messages } from "../config/loading.ts";
import { recordingLog, recordingMeter } from "../support/export-rig.ts";
import { batchOf, indexer, rangeOf, writeAll } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";

/** What the exporters do with `tables` and with signals that have no tables yet. */
const tables = shippedTables();
const context: ExporterContext<"logs"> = {
  id: "x",
  route: "x/logs",
  signal: "logs",
  log: recordingLog(),
  meter: recordingMeter(),
  indexer,
  nowMs: Date.now,
  fail: () => {},
};
const text = (value: string) => ({ stringValue: value });
const log = (eventName: string, body: string) => ({
  timeUnixNano: "1732000000000000001",
  eventName,
  body: text(body),
  attributes: [
    { key: "execution_id", value: text("e-1") },
    { key: "function_id", value: text("f-1") },
    { key: "status", value: text("success") },
  ],
});
const request = {
  resourceLogs: [
    { scopeLogs: [{ logRecords: [log("function_logs", "named"), log("", "not named")] }] },
  ],
};

const WRITERS = {
  influxdb: (chosen?: readonly string[]) => {
    const factory = createInfluxdb(tables, compileLineWriter);
    const options = { endpoint: "http://127.0.0.1:1", database: "weir", tables: chosen };
    return factory.create(factory.schema.parse(options), context).writer;
  },
  file: (chosen?: readonly string[]) => {
    const factory = createFile(tables, compileLineWriter, pickItems, () => "");
    const options = { path: "/nowhere/rows.lp", format: "lines", tables: chosen };
    return factory.create(factory.schema.parse(options), context).writer;
  },
} as const;

describe.each(["influxdb", "file"] as const)("%s", (type) => {
  const written = (chosen?: readonly string[]) => {
    const range = rangeOf([batchOf(encodeRequest("logs", request))], 1_732_000_000_000);
    const { text, dropped } = writeAll(WRITERS[type](chosen), range);
    const rows = text.split("\n").filter((line) => line !== "");
    return { tables: rows.map((row) => row.replace(/,.*/s, "")).sort(), dropped };
  };

  test("an item that names a table is in that table only", () => {
    expect(written()).toEqual({ tables: ["function_logs", "function_logs", "logs"], dropped: 0 });
  });

  test("an item that names an excluded table makes no row, and is counted", () => {
    expect(written(["logs"])).toEqual({ tables: ["logs"], dropped: 1 });
    expect(written(["function_logs"])).toEqual({
      tables: ["function_logs", "function_logs"],
      dropped: 0,
    });
  });
});

const configured = (exporter: string, options: string, signals: readonly string[]) =>
  load(
    [
      `receivers: { otlp: { protocols: { http: } } }
exporters: { ${exporter}: ${options} }
service:
  pipelines:
${signals.map((signal) => `    ${signal}: { receivers: [otlp], exporters: [${exporter}] }`).join("\n")}
`,
    ],
    { catalog: createComponents },
  );

test("series rows of every signal are taken", async () => {
  const all = ["logs", "traces", "metrics"];
  const influx = "{ endpoint: 'http://127.0.0.1:1', database: d, metric_tags: [host.name] }";
  expect(messages(await configured("influxdb/eu", influx, all))).toEqual([]);
  expect(messages(await configured("file/x", "{ path: x, format: lines }", all))).toEqual([]);
  expect(messages(await configured("file/x", "{ path: x }", all))).toEqual([]);
});
