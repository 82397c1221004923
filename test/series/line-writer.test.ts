import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mixedLogs, plainLogs } from "../../bench/payloads.ts";
import { compileLineWriter } from "../../src/series/plan.ts";
import { loadTables, shippedTables } from "../../src/series/tables/load.ts";
import { cpuMs } from "../support/cpu.ts";
import { lineDoor } from "../support/line-door.ts";
import { batchOf, indexer, rangeOf, slabOf, writeAll } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";
import { readRows } from "../support/rows.ts";
import { anyLogs } from "./any-logs.ts";
import type { Dialect } from "./slow-values.ts";
import { slowLines } from "./slow-writer.ts";

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
      fc.property(anyLogs, fc.constantFrom<Dialect>("v3", "v2", "v1"), (json, dialect) => {
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
      fc.property(fc.array(anyLogs, { minLength: 1, maxLength: 2 }), (requests) => {
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

const own = loadTables([
  {
    name: "own.yaml",
    text: `measurement: own
doc: d
identity: exact
match: { logs: { record_has_one_of_each: [[own]] } }
extra_tags: [handler_id, "a b", region]
extra_fields: [rows, ratio, note, ok]
columns:
  own: { kind: float, doc: d, from: [own] }
`,
  },
]);

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

  test.each([
    ["errors", '"a body"', ["errors", "logs"]],
    ["requests", '"a body"', ["requests", "logs"]],
    ["requests", '""', ["requests"]],
    ["logs", '"a body"', ["logs"]],
    // No log record has what the columns of every span are filled from.
    ["spans", '"a body"', ["logs"]],
    ["metrics", '"a body"', ["logs"]],
    ["spans", undefined, ["logs"]],
  ])(
    "a record whose event_name is %s, with the body %s, makes rows of %j and keeps its body",
    (eventName, body, expected) => {
      const stringValue = body && JSON.parse(body);
      const attributes = [{ key: "request_id", value: { stringValue: "r-1" } }];
      const record = {
        eventName,
        attributes,
        ...(body !== undefined && { body: { stringValue } }),
      };
      const request = { resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] };
      const bytes = encodeRequest("logs", request);
      const written = writeAll(writerOf(), rangeOf([batchOf(bytes)], ARRIVAL_MS));
      const rows = readRows(written.text);
      expect(rows.map(({ table }) => table).sort()).toEqual([...expected].sort());
      expect(written.text.includes("a body")).toBe(body === '"a body"');
    },
  );

  test("a record whose event_name is a table that it has no field for goes to logs; a line, which stays in its table, is counted", () => {
    const record = (attributes: Record<string, string>) => ({
      timeUnixNano: "1705314600000000000",
      eventName: "errors",
      attributes: Object.entries(attributes).map(([key, stringValue]) => ({
        key,
        value: { stringValue },
      })),
    });
    const logRecords = [
      record({ service: "s", status_code: "500" }),
      record({ service: "s", status_code: "500", more: "x" }),
    ];
    const bytes = encodeRequest("logs", { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
    const written = writeAll(writerOf(), rangeOf([batchOf(bytes)], ARRIVAL_MS));
    expect(readRows(written.text).map(({ table, fields }) => [table, fields])).toEqual([
      ["logs", { event_name: { text: "errors" }, attributes: { text: '{"status_code":"500"}' } }],
      ["errors", { attributes: { text: '{"more":"x"}' } }],
    ]);
    const line = lineDoor(tables)("DFF_worker_queue,queue=8 length=5.5 1705314600", ARRIVAL_MS);
    const range = rangeOf([batchOf(line)], ARRIVAL_MS);
    expect(writerOf().write(range, 0, 1, slabOf(4096))).toEqual({
      to: 1,
      rows: 0,
      dropped: new Map([["no_value", 1]]),
    });
  });

  test("20,000 equal records stay 20,000 rows, quickly, however they are cut", async () => {
    const bytes = logRecords(20_000, () => ({
      timeUnixNano: "1705314600123456789",
      body: { stringValue: "tick" },
    }));
    const range = rangeOf([batchOf(bytes)], ARRIVAL_MS);
    let text = "";
    const write = () => {
      text = writeAll(writerOf(), range, 100_000).text;
    };
    expect(await cpuMs(write)).toBeLessThan(5_000);
    const times = new Set(text.split("\n").map((line) => line.slice(line.lastIndexOf(" "))));
    expect(times.size).toBe(20_001); // and the empty text behind the last newline
  });

  test("undeclared attributes come in the order of their keys' bytes, few and many, short and long", () => {
    const keys = [
      "k",
      "job_id",
      "j",
      "",
      "abcd",
      "abce",
      "abcdX",
      "abc",
      "ab\u0000",
      "ab",
      "abcd\u00ff",
    ];
    const more = ["aaaa\u0001", "aaaa\u00ff", "aaaazzzz", "custom.attr.1", "custom.attr.12"];
    const all = [
      ...keys,
      ...more,
      ...more.map((key) => `${key}!`),
      ...keys.map((key) => `${key}?`),
    ];
    for (const names of [keys, more, [...more].reverse(), all]) {
      const attributes = names.map((key) => ({ key, value: { intValue: "1" } }));
      const bytes = logRecords(1, () => ({ attributes }));
      const written = writeAll(writerOf(), rangeOf([batchOf(bytes)], ARRIVAL_MS));
      expect(written).toEqual(slowLines(bytes, tables, "v3", ARRIVAL_MS));
    }
  });

  test("names that become equal get underscores, and the ninth is left out and counted", () => {
    const told: unknown[] = [];
    const onFieldDropped = (...drop: unknown[]) => told.push(drop);
    const writer = compileLineWriter({
      signal: "logs",
      tables,
      keys: indexer.keys,
      dialect: "v3",
      onFieldDropped,
    });
    const line = (tags: string[], keys: string[]) =>
      logRecords(1, () => ({
        eventName: "m",
        timeUnixNano: "1",
        attributes: [
          {
            key: "weir.tags",
            value: { arrayValue: { values: tags.map((stringValue) => ({ stringValue })) } },
          },
          ...keys.map((key) => ({ key, value: { stringValue: "x" } })),
        ],
      }));
    const written = (bytes: Uint8Array) => {
      const { text } = writeAll(writer, rangeOf([batchOf(bytes)], ARRIVAL_MS));
      expect(text).toBe(slowLines(bytes, tables, "v3", ARRIVAL_MS).text);
      return text;
    };
    expect(written(line([], ["time", "time_"]))).toBe('m time_="x",time__="x" 1\n');
    expect(written(line([], ["time_", "time"]))).toBe('m time_="x",time__="x" 1\n');
    expect(written(line(["a\u0001"], ["a", "a\u0001", "a\u0002"]))).toBe(
      'm,a=x a_="x",a__="x" 1\n',
    );
    expect(told.splice(0)).toEqual([["", "", "characters", 2]]);
    const twelve = Array.from({ length: 12 }, (_, i) => `b${String.fromCharCode(i + 14)}`);
    expect(written(line([], twelve)).match(/b_*=/g)).toHaveLength(9);
    expect(told).toEqual([
      ["", "", "repeated", 3],
      ["", "", "characters", 12],
    ]);
  });

  test("extra tags and fields become columns of their own, whatever their type", () => {
    const writer = compileLineWriter({
      signal: "logs",
      tables: own,
      keys: indexer.keys,
      dialect: "v3",
    });
    const bytes = logRecords(2, (i) => ({
      timeUnixNano: "1",
      attributes: [
        { key: "note", value: { stringValue: 'say "x"' } },
        { key: "own", value: { intValue: "20000" } },
        { key: "a b", value: { stringValue: "c,d" } },
        { key: "rows", value: { intValue: "-7" } },
        { key: "rest", value: { stringValue: "r" } },
        { key: "ratio", value: { doubleValue: 0.5 } },
        { key: "ok", value: { boolValue: true } },
        { key: "handler_id", value: i === 0 ? { intValue: "12" } : { stringValue: "" } },
      ],
    }));
    const { text } = writeAll(writer, rangeOf([batchOf(bytes)], ARRIVAL_MS));
    expect(text.split("\n")[0]).toBe(
      'own,handler_id=12,a\\ b=c\\,d own=20000,rows=-7i,ratio=0.5,note="say \\"x\\"",ok=true,attributes="{\\"rest\\":\\"r\\"}" 1',
    );
    expect(text).toBe(slowLines(bytes, own, "v3", ARRIVAL_MS).text);
  });

  test("extra tags and fields of a line are what they are declared as", () => {
    const writer = compileLineWriter({
      signal: "logs",
      tables: own,
      keys: indexer.keys,
      dialect: "v3",
    });
    const bytes = logRecords(1, () => ({
      eventName: "own",
      timeUnixNano: "1",
      attributes: [
        { key: "weir.tags", value: { arrayValue: { values: [{ stringValue: "note" }] } } },
        { key: "rows", value: { intValue: "-7" } },
        { key: "handler_id", value: { stringValue: "h" } },
        { key: "note", value: { stringValue: "n" } },
        { key: "other", value: { boolValue: false } },
        { key: "weir.uint", value: { arrayValue: { values: [{ stringValue: "rows" }] } } },
      ],
    }));
    const { text } = writeAll(writer, rangeOf([batchOf(bytes)], ARRIVAL_MS));
    expect(text).toBe("own,handler_id=h,note=n rows=18446744073709551609u,other=false 1\n");
    expect(text).toBe(slowLines(bytes, own, "v3", ARRIVAL_MS).text);
  });

  test("minus zero stays minus zero in floats and is 0 in integers", () => {
    const value = { doubleValue: -0 };
    const attributes = [
      { key: "processing_time_ms", value },
      { key: "output_size_bytes", value },
      { key: "other", value },
    ];
    const bytes = logRecords(1, () => ({ timeUnixNano: "1", attributes }));
    const { text } = writeAll(writerOf(), rangeOf([batchOf(bytes)], ARRIVAL_MS));
    expect(text).toContain(
      'processing_time_ms=-0,output_size_bytes=0i,attributes="{\\"other\\":-0}"',
    );
    expect(text).toBe(slowLines(bytes, tables, "v3", ARRIVAL_MS).text);
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
});
