import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mixedLogs, plainLogs } from "../../bench/payloads.ts";
import { shippedTables } from "../../src/series/load.ts";
import { compileLineWriter } from "../../src/series/plan.ts";
import { batchOf, indexer, rangeOf, slabOf, writeAll } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";
import { readRows } from "../support/rows.ts";
import { type Dialect, slowLines } from "./slow-writer.ts";

const ARRIVAL_MS = 1_732_000_000_123;
const tables = shippedTables();
const RUNS = Number(process.env["WEIR_FUZZ"] ?? 300);
const writerOf = (dialect: Dialect = "v3", only = tables) =>
  compileLineWriter({
    signal: "logs",
    tables: only,
    declared: tables,
    keys: indexer.keys,
    dialect,
  });

/** Names that mean something, and others. */
const NAMES = [
  ...new Set(
    tables.flatMap((table) =>
      table.columns.flatMap((c) => [
        c.name,
        ...c.sources.flatMap((s) => (s.of === "attribute" ? s.name : [])),
      ]),
    ),
  ),
];
const odd = fc.string({ unit: "binary", maxLength: 12 }).filter((s) => s.isWellFormed());
const text = fc.oneof(
  odd,
  fc.constantFrom(
    "",
    "OK",
    "Timed_Out",
    "failure",
    "true",
    "false",
    "12",
    "-3.5",
    "1e3",
    "9007199254740993",
    "9223372036854775808",
    "1e999",
    " a,b=c",
    "\\",
    "\\\\,",
    "a\\",
    "line\nline",
    '"q"',
    "\u0001\u007f",
    "time",
    "ÄÖ É",
    "𝕏😀",
    "ReadTIMEOUT",
    "4BF92F3577B34DA6A3CE929D0E0E4736",
    "00f067aa0ba902b7",
    "00000000000000000000000000000000",
    "12345678901234567890",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
  ),
);
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const scalar = fc.oneof(
  text.map((stringValue) => ({ stringValue })),
  fc.oneof(int64, fc.bigInt({ min: -2n, max: 300n })).map((n) => ({ intValue: String(n) })),
  fc.oneof(fc.double(), fc.integer({ min: -3, max: 3 })).map((doubleValue) => ({ doubleValue })),
  fc.boolean().map((boolValue) => ({ boolValue })),
  fc.uint8Array({ maxLength: 9 }).map((b) => ({ bytesValue: Buffer.from(b).toString("base64") })),
  fc.constant({}),
);
const { value } = fc.letrec<{ value: object }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    { arbitrary: scalar, weight: 6 },
    {
      arbitrary: fc
        .array(tie("value"), { maxLength: 3 })
        .map((values) => ({ arrayValue: { values } })),
      weight: 1,
    },
    {
      arbitrary: fc
        .array(fc.record({ key: odd, value: tie("value") }), { maxLength: 3 })
        .map((values) => ({ kvlistValue: { values } })),
      weight: 1,
    },
  ),
}));
const key = fc.oneof(
  { arbitrary: fc.constantFrom(...NAMES), weight: 6 },
  { arbitrary: odd, weight: 1 },
  fc.constantFrom("k", "k2", "time", "exception.x"),
);
const attribute = fc.record({ key, value });
const time = fc.oneof(
  fc.constantFrom(
    "0",
    "1705314600000000000",
    "1705314600001000000",
    "1705314600000001000",
    "1705314600123456789",
    "18446744073709551615",
    "9223372036854775807",
    "9223372036854775806",
  ),
  fc.bigInt({ min: 1705314600123456700n, max: 1705314600123456720n }).map(String),
);
const names = fc.array(
  fc.constantFrom("status", "k", "trace_id", "message", "time", "level", "a b"),
  {
    maxLength: 4,
  },
);
const lineMark = fc.option(fc.record({ tags: names, uints: names }), { freq: 3 });
const record = fc
  .record({
    timeUnixNano: time,
    observedTimeUnixNano: time,
    severityNumber: fc.integer({ min: 0, max: 26 }),
    severityText: fc.oneof(fc.constantFrom("", "INFO", "Warn"), odd),
    body: value,
    attributes: fc.array(attribute, { maxLength: 9 }),
    traceId: fc.constantFrom("", "0af7651916cd43dd8448eb211c80319c"),
    spanId: fc.constantFrom("", "b7ad6b7169203331"),
    eventName: fc.oneof(fc.constantFrom("", "", "function_logs", "logs", "some_line"), odd),
    mark: lineMark,
  })
  .map(({ mark, ...rest }) => {
    if (mark === null) return rest;
    const listOf = (texts: string[]) => ({
      arrayValue: { values: texts.map((stringValue) => ({ stringValue })) },
    });
    return {
      ...rest,
      attributes: [
        { key: "weir.tags", value: listOf(mark.tags) },
        ...rest.attributes,
        { key: "weir.uint", value: listOf(mark.uints) },
      ],
    };
  });
const request = fc.record({
  resourceLogs: fc.array(
    fc.record({
      resource: fc.record({ attributes: fc.array(attribute, { maxLength: 4 }) }),
      scopeLogs: fc.array(
        fc.record({
          scope: fc.record({ name: fc.constantFrom("", "emp.logger") }),
          logRecords: fc.array(record, { minLength: 1, maxLength: 4 }),
        }),
        { maxLength: 2 },
      ),
    }),
    { maxLength: 2 },
  ),
});

describe("the line writer", () => {
  test("agrees with its slow twin on the payloads of the benches", () => {
    for (const bytes of [plainLogs(300), ...[0, 1, 2, 3].map((seed) => mixedLogs(100, seed))]) {
      const written = writeAll(writerOf(), rangeOf([batchOf(bytes)], ARRIVAL_MS));
      expect(written).toEqual(slowLines(bytes, tables, "v3", ARRIVAL_MS));
    }
  });

  test("agrees with its slow twin on any log records, in every dialect", () => {
    const writers = { v3: writerOf("v3"), v2: writerOf("v2"), v1: writerOf("v1") };
    fc.assert(
      fc.property(request, fc.constantFrom<Dialect>("v3", "v2", "v1"), (json, dialect) => {
        const bytes = encodeRequest("logs", json);
        const written = writeAll(writers[dialect], rangeOf([batchOf(bytes)], ARRIVAL_MS));
        expect(written).toEqual(slowLines(bytes, tables, dialect, ARRIVAL_MS));
        if (dialect === "v3") expect(readRows(written.text)).toHaveLength(written.rows);
      }),
      { numRuns: RUNS },
    );
  });

  test("gives the same bytes however the items are cut, and names the item of each row", () => {
    const writer = writerOf();
    fc.assert(
      fc.property(fc.array(request, { minLength: 1, maxLength: 2 }), (requests) => {
        const range = rangeOf(
          requests.map((r) => batchOf(encodeRequest("logs", r))),
          ARRIVAL_MS,
        );
        const whole = writeAll(writer, range);
        const apart = [];
        const items = [];
        for (let item = 0; item < range.items; item++) {
          const slab = slabOf(1 << 18);
          const { to, rows } = writerOf().write(range, item, item + 1, slab);
          expect(to).toBe(item + 1);
          apart.push(Buffer.from(slab.bytes.subarray(0, slab.length)));
          for (let row = 0; row < rows; row++) items.push(item);
        }
        expect(Buffer.concat(apart).toString()).toBe(whole.text);
        for (const [row, item] of items.entries())
          expect(writer.itemOfRow(range, 0, row)).toBe(item);
        expect(() => writer.itemOfRow(range, 0, items.length)).toThrow(/was not written/);
      }),
      { numRuns: Math.ceil(RUNS / 6) },
    );
  });
});

const logRecords = (n: number, of: (i: number) => object) =>
  encodeRequest("logs", {
    resourceLogs: [{ scopeLogs: [{ logRecords: Array.from({ length: n }, (_, i) => of(i)) }] }],
  });

describe("limits of the line writer", () => {
  test("a full slab ends at an item, and what follows is the same as in one piece", () => {
    const range = rangeOf([batchOf(mixedLogs(200, 7)), batchOf(plainLogs(50))], ARRIVAL_MS);
    const whole = writeAll(writerOf(), range);
    expect(writeAll(writerOf(), range, 3000)).toEqual(whole);
    expect(writeAll(writerOf(), range, 40_000)).toEqual(whole);
  });

  test("an item that does not fit at all writes nothing and is not passed", () => {
    const slab = slabOf(40);
    const range = rangeOf([batchOf(plainLogs(2))], ARRIVAL_MS);
    expect(writerOf().write(range, 0, 2, slab)).toMatchObject({ to: 0, rows: 0 });
    expect(slab.length).toBe(0);
  });

  test("nothing is written behind the counted end and its slack", () => {
    const memory = new Uint8Array(8192).fill(0xaa);
    const bytes = memory.subarray(64, 64 + 3016);
    const slab = {
      bytes,
      view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
      length: 0,
    };
    writerOf().write(rangeOf([batchOf(mixedLogs(50, 9))], ARRIVAL_MS), 0, 50, slab);
    expect(slab.length).toBeGreaterThan(2000);
    expect(slab.length).toBeLessThanOrEqual(3000);
    expect(memory.subarray(0, 64).every((b) => b === 0xaa)).toBe(true);
    expect(memory.subarray(64 + 3016).every((b) => b === 0xaa)).toBe(true);
  });

  test("items whose table is not chosen are dropped as no_table", () => {
    const only = tables.filter((table) => table.measurement === "function_logs");
    const bytes = logRecords(3, (i) => ({ body: { stringValue: `line ${i}` } }));
    const range = rangeOf([batchOf(bytes)], ARRIVAL_MS);
    const written = writerOf("v3", only).write(range, 0, 3, slabOf(4096));
    expect(written).toEqual({ to: 3, rows: 0, dropped: new Map([["no_table", 3]]) });
  });

  test("20,000 equal records stay 20,000 rows, quickly, however they are cut", () => {
    const bytes = logRecords(20_000, () => ({
      timeUnixNano: "1705314600123456789",
      body: { stringValue: "tick" },
    }));
    const range = rangeOf([batchOf(bytes)], ARRIVAL_MS);
    const start = performance.now();
    const { text } = writeAll(writerOf(), range, 100_000);
    expect(performance.now() - start).toBeLessThan(5_000);
    const times = new Set(text.split("\n").map((line) => line.slice(line.lastIndexOf(" "))));
    expect(times.size).toBe(20_001); // and the empty text behind the last newline
  });

  test("a record with 20,000 undeclared attributes is sorted, not quadratic", () => {
    const attributes = Array.from({ length: 20_000 }, (_, i) => ({
      key: `k${(i * 7919) % 20_000}`,
      value: { intValue: String(i) },
    }));
    const bytes = logRecords(1, () => ({ attributes }));
    const written = writeAll(writerOf(), rangeOf([batchOf(bytes)], ARRIVAL_MS));
    expect(written).toEqual(slowLines(bytes, tables, "v3", ARRIVAL_MS));
  });

  test("what is left out is told, once per value that was written", () => {
    const told: unknown[] = [];
    const writer = compileLineWriter({
      signal: "logs",
      tables,
      keys: indexer.keys,
      dialect: "v3",
      onFieldDropped: (...drop) => told.push(drop),
    });
    const bytes = logRecords(2, () => ({
      timeUnixNano: "18446744073709551615",
      attributes: [
        { key: "processing_time_ms", value: { doubleValue: Number.NaN } },
        { key: "output_size_bytes", value: { stringValue: "many" } },
      ],
    }));
    const range = rangeOf([batchOf(bytes)], ARRIVAL_MS);
    writeAll(writer, range);
    expect(told).toEqual([
      ["logs", "processing_time_ms", "not_finite", 2],
      ["logs", "output_size_bytes", "type", 2],
      ["", "time", "range", 2],
    ]);
    told.length = 0;
    writer.itemOfRow(range, 0, 1);
    expect(told).toEqual([]);
  });

  test("other signals are refused for now", () => {
    const options = { tables, keys: indexer.keys, dialect: "v3" } as const;
    expect(() => compileLineWriter({ signal: "traces", ...options })).toThrow(/traces yet/);
  });
});
