import fc from "fast-check";
import { expect, test } from "vitest";
import { compileLineWriter } from "../../src/series/plan.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { batchOf, indexer, rangeOf, writeAll } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";
import { readRows } from "../support/rows.ts";
import { slowLines } from "./slow-writer.ts";

const ARRIVAL_MS = 1_732_000_000_123;
const RUNS = Number(process.env["WEIR_FUZZ"] ?? 150);
const tables = shippedTables();
const writerOf = () =>
  compileLineWriter({ signal: "logs", tables, keys: indexer.keys, dialect: "v3" });

/** Values of one kind: what a line of one shape changes from record to record. */
const VALUES = {
  text: fc
    .constantFrom(
      "",
      "a",
      "OK",
      "failure",
      "crontab",
      "skip",
      "x\ny",
      "12",
      "\u0001",
      "a\\",
      "t".repeat(200),
    )
    .map((stringValue) => ({ stringValue })),
  int: fc
    .constantFrom("0", "127", "128", "16383", "16384", "-1", "9223372036854775807")
    .map((intValue) => ({ intValue })),
  double: fc.constantFrom(0.5, -3, 1e300, Number.NaN).map((doubleValue) => ({ doubleValue })),
  bool: fc.boolean().map((boolValue) => ({ boolValue })),
  array: fc.constant({ arrayValue: { values: [{ intValue: "1" }] } }),
  none: fc.constant({}),
} as const;
const kind = fc.constantFrom(...(Object.keys(VALUES) as (keyof typeof VALUES)[]));
const key = fc.constantFrom(
  ...["task_status", "origin", "crontab", "cron_expr", "run_cost", "end_time_iso", "handler_id"],
  ...["status", "duration_ms", "exit_code", "message", "cold_start", "function_id", "level"],
  ...[
    "k",
    "k_",
    "k\u0001",
    "time",
    "time_",
    "trace_id",
    "span_id",
    "\u0001",
    "a b",
    "long.".repeat(9),
  ],
);
const names = fc.array(key, { maxLength: 3 });
const shape = fc.record({
  eventName: fc.constantFrom(
    ...["function_logs", "logs", "some_line", "other line", "requests", "errors"],
    ...["DFF_func_call", "DFF_task_record", "DFF_task_record_func", "DFF_db_table"],
  ),
  attributes: fc.array(fc.tuple(key, kind), { maxLength: 7 }),
  tags: names,
  uints: names,
  body: kind,
  traceId: fc.constantFrom("", "0af7651916cd43dd8448eb211c80319c"),
  spanId: fc.constantFrom("", "b7ad6b7169203331"),
});
const listOf = (texts: readonly string[]) => ({
  arrayValue: { values: texts.map((stringValue) => ({ stringValue })) },
});
type Shape = typeof shape extends fc.Arbitrary<infer T> ? T : never;

function recordOf({ attributes, tags, uints, body, ...rest }: Shape) {
  return fc
    .tuple(VALUES[body], fc.tuple(...attributes.map(([, k]) => VALUES[k] as fc.Arbitrary<object>)))
    .map(([value, values]) => ({
      ...rest,
      timeUnixNano: "1705314600000000000",
      body: value,
      attributes: [
        ...attributes.map(([name], i) => ({ key: name, value: values[i] ?? {} })),
        { key: "weir.tags", value: listOf(tags) },
        ...(uints.length > 0 ? [{ key: "weir.uint", value: listOf(uints) }] : []),
      ],
    }));
}

test("lines of shapes that were met before become the rows that the slow twin makes", () => {
  const writer = writerOf();
  const requests = fc
    .array(shape, { minLength: 1, maxLength: 4 })
    .chain((shapes) =>
      fc.array(fc.oneof(...shapes.map(recordOf)), { minLength: 4, maxLength: 24 }),
    );
  fc.assert(
    fc.property(requests, (logRecords) => {
      const bytes = encodeRequest("logs", { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
      const written = writeAll(writer, rangeOf([batchOf(bytes)], ARRIVAL_MS));
      expect(written).toEqual(slowLines(bytes, tables, "v3", ARRIVAL_MS));
    }),
    { numRuns: RUNS },
  );
});

test("what is left out is counted for every record of a shape", () => {
  const drops = new Map<string, number>();
  const writer = compileLineWriter({
    signal: "logs",
    tables,
    keys: indexer.keys,
    dialect: "v3",
    onFieldDropped: (table, column, reason, n) => {
      const what = `${table}.${column} ${reason}`;
      drops.set(what, (drops.get(what) ?? 0) + n);
    },
  });
  const logRecords = Array.from({ length: 30 }, (_, i) => ({
    eventName: "function_logs",
    timeUnixNano: String(i + 1),
    attributes: [
      { key: "exit_code", value: { stringValue: "none" } },
      { key: "\u0001", value: { boolValue: true } },
      { key: "ok", value: { boolValue: true } },
      { key: "weir.tags", value: listOf([]) },
    ],
  }));
  const bytes = encodeRequest("logs", { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
  expect(writeAll(writer, rangeOf([batchOf(bytes)], ARRIVAL_MS)).rows).toBe(30);
  expect(Object.fromEntries(drops)).toEqual({
    "function_logs.exit_code type": 30,
    ". empty": 30,
    ". characters": 30,
  });
});

test.each([
  ["some_line", 498, 499],
  ["some_line", 499, 499],
  ["some_line", 500, 499],
  ["some_line", 501, 499],
  ["function_logs", 501, 499],
])(
  "a line named %s with %i fields and 1 tag: what InfluxDB 3 has no column for is left out and counted",
  (eventName, fields, most) => {
    const drops: string[] = [];
    const onFieldDropped = (...drop: unknown[]) => drops.push(drop.join(" "));
    const logRecords = [
      {
        eventName,
        timeUnixNano: "1",
        traceId: "0af7651916cd43dd8448eb211c80319c",
        attributes: [
          { key: "host", value: { stringValue: "h" } },
          ...Array.from({ length: fields - 2 }, (_, i) => ({
            key: `f${i}`,
            value: { intValue: i },
          })),
          // Declared, so it is kept although it comes last.
          { key: "exit_code", value: { intValue: "3" } },
          { key: "weir.tags", value: listOf(["host"]) },
        ],
      },
    ];
    const bytes = encodeRequest("logs", { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
    for (const dialect of ["v3", "v2"] as const) {
      const writer = compileLineWriter({
        ...{ signal: "logs", tables, keys: indexer.keys, dialect, onFieldDropped },
      });
      drops.length = 0;
      const { text } = writeAll(writer, rangeOf([batchOf(bytes)], ARRIVAL_MS));
      const [row] = readRows(text);
      const written = Object.keys(row?.fields ?? {});
      const isLimited = dialect === "v3" && fields > most - 1;
      expect(written).toHaveLength(isLimited ? most - 1 : fields);
      expect(written).toContain("trace_id");
      if (eventName === "function_logs") expect(written).toContain("exit_code");
      const table = eventName === "function_logs" ? eventName : "";
      expect(drops).toEqual(isLimited ? [`${table}  over_limit ${fields - most + 1}`] : []);
    }
  },
);
