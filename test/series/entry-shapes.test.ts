import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mixedLogs, plainLogs } from "../../bench/payloads.ts";
import type { Signal } from "../../src/otlp/tape.ts";
import { compileLineWriter } from "../../src/series/plan.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { batchOfSignal, indexer, rangeOf, writeAll } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";
import { slowLines } from "./slow-writer.ts";

const ARRIVAL_MS = 1_732_000_000_123;
const RUNS = Number(process.env["WEIR_FUZZ"] ?? 100);
const tables = shippedTables();
const { keys } = indexer;
type ItemSignal = Exclude<Signal, "metrics">;

function writerOf(signal: ItemSignal) {
  return compileLineWriter({ signal, tables, declared: tables, keys, dialect: "v3" });
}

function expectTwin(writer: ReturnType<typeof writerOf>, signal: ItemSignal, bytes: Uint8Array) {
  const written = writeAll(writer, rangeOf([batchOfSignal(signal, bytes)], ARRIVAL_MS));
  expect(written).toEqual(slowLines(bytes, tables, "v3", ARRIVAL_MS, signal));
}

const NAMES = [
  ...["http.request.method", "http.route", "http.response.status_code", "service", "execution.id"],
  ...["status", "duration_ms", "error.type", "exception.message", "trace_id", "resource.a"],
  ...["handler_id", "message", "account_id", "weir.tags", "weir.uint", "custom.a", "custom.b"],
];
/** Few values, so that the same list of names comes with values that are there, empty, none, of another kind. */
const VALUES = [
  ...[{ stringValue: "a" }, { stringValue: "GET" }, { stringValue: "" }, { intValue: "404" }],
  ...[{}, { doubleValue: 1.5 }, { boolValue: true }, { bytesValue: "AQI=" }],
  { arrayValue: { values: [{ stringValue: "handler_id" }] } },
];
const attribute = (key: string) => fc.constantFrom(...VALUES).map((value) => ({ key, value }));
const attributesOf = (names: readonly string[]) => fc.tuple(...names.map(attribute));
const anyResource = fc
  .constantFrom([], ["service.name"], ["service.name", "service.version", "http.route"])
  .chain(attributesOf);
const exception = [
  { name: "exception", attributes: [{ key: "exception.type", value: { stringValue: "E" } }] },
];

const span = (names: readonly string[]) =>
  fc.record(
    {
      name: fc.constantFrom("GET /a", ""),
      kind: fc.constantFrom(1, 2),
      startTimeUnixNano: fc.constant("1705314600123456789"),
      endTimeUnixNano: fc.constant("1705314600223456789"),
      attributes: attributesOf(names),
      parentSpanId: fc.constant("0102030405060708"),
      traceId: fc.constant("0102030405060708090a0b0c0d0e0f10"),
      status: fc.constantFrom({ code: 2 }, { code: 2, message: "m" }),
      events: fc.constantFrom([], exception),
    },
    { requiredKeys: ["name", "kind", "attributes", "startTimeUnixNano"] },
  );
const record = (names: readonly string[]) =>
  fc.record(
    {
      attributes: attributesOf(names),
      body: fc.constantFrom(...VALUES),
      severityNumber: fc.constantFrom(9, 17),
      eventName: fc.constantFrom("function_logs", "other"),
      traceId: fc.constant("0102030405060708090a0b0c0d0e0f10"),
    },
    { requiredKeys: ["attributes"] },
  );

/** Groups of items that are a few, again and again, in any order. */
const groupsOf = <T>(item: (names: readonly string[]) => fc.Arbitrary<T>) =>
  fc
    .subarray(NAMES, { maxLength: 6 })
    .chain((names) =>
      fc.tuple(
        fc.array(item(names), { minLength: 1, maxLength: 4 }),
        fc.array(fc.tuple(anyResource, fc.array(fc.nat(7), { minLength: 1, maxLength: 12 })), {
          minLength: 1,
          maxLength: 3,
        }),
      ),
    )
    .map(([few, groups]) =>
      groups.map(([attributes, turns]) => ({
        resource: { attributes },
        items: turns.map((turn) => few[turn % few.length]),
      })),
    );

describe("items of shapes that come again", () => {
  test("spans are written as their slow twin writes them", () => {
    fc.assert(
      fc.property(groupsOf(span), (groups) => {
        const resourceSpans = groups.map(({ resource, items }) => ({
          resource,
          scopeSpans: [{ spans: items }],
        }));
        expectTwin(writerOf("traces"), "traces", encodeRequest("traces", { resourceSpans }));
      }),
      { numRuns: RUNS },
    );
  });

  test("log records are written as their slow twin writes them", () => {
    fc.assert(
      fc.property(groupsOf(record), (groups) => {
        const resourceLogs = groups.map(({ resource, items }) => ({
          resource,
          scopeLogs: [{ logRecords: items }],
        }));
        expectTwin(writerOf("logs"), "logs", encodeRequest("logs", { resourceLogs }));
      }),
      { numRuns: RUNS },
    );
  });

  test("members of attributes are the same in the first item of a shape and in later ones", () => {
    const names = [...[1, 24, 25, 26, 119, 120, 121, 122, 300].map((n) => "n".repeat(n)), 'a"b\\c'];
    const values = [...VALUES, { stringValue: 'x"y\\z\u0001' }, { intValue: "20000" }];
    for (const value of values) {
      const attributes = [
        ...names.map((key, i) => ({ key, value: i % 2 === 0 ? value : { intValue: "7" } })),
        { key: "http.request.method", value: { stringValue: "GET" } },
      ];
      const start = { startTimeUnixNano: "1705314600123456789", kind: 2 };
      const spans = [1, 2, 3, 4].map(() => ({ ...start, attributes }));
      const resource = { attributes: [{ key: "host.name", value: { stringValue: "h" } }] };
      const resourceSpans = [{ resource, scopeSpans: [{ spans }] }];
      const bytes = encodeRequest("traces", { resourceSpans });
      expectTwin(writerOf("traces"), "traces", bytes);
      // One row of each item: its members are written from the list of the shape.
      for (const name of ["requests", "spans"]) {
        const chosen = tables.filter(({ measurement }) => measurement === name);
        const options = { signal: "traces", tables: chosen, keys, dialect: "v3" } as const;
        const range = rangeOf([batchOfSignal("traces", bytes)], ARRIVAL_MS);
        const written = writeAll(compileLineWriter(options), range);
        expect(written).toEqual(slowLines(bytes, chosen, "v3", ARRIVAL_MS, "traces"));
        expect(written.rows).toBe(4);
      }
    }
  });

  test("more shapes than are remembered, then few again", () => {
    const writer = writerOf("logs");
    for (let seed = 0; seed < 8; seed++) expectTwin(writer, "logs", mixedLogs(40, seed));
    expectTwin(writer, "logs", plainLogs(60));
    expectTwin(writer, "logs", mixedLogs(40, 9));
  });

  test("an empty value, and one that is none, make another shape", () => {
    const status = [{ stringValue: "failed" }, { stringValue: "" }, {}, { stringValue: "late" }];
    const logRecords = [...status, ...status, ...status].map((value, i) => ({
      eventName: "function_logs",
      attributes: [
        { key: "execution_id", value: { stringValue: `e${i}` } },
        { key: "status", value },
        ...(i % 3 === 0 ? [{ key: "custom", value: { intValue: "1" } }] : []),
      ],
    }));
    const bytes = encodeRequest("logs", { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
    expectTwin(writerOf("logs"), "logs", bytes);
  });

  test("items with more entries than are remembered", () => {
    const names = Array.from({ length: 40 }, (_, i) => `many.${i}`);
    const logRecords = [31, 32, 33, 40].flatMap((n) => {
      const attributes = names.slice(0, n).map((key) => ({ key, value: { intValue: "1" } }));
      return [{ attributes }, { attributes }];
    });
    const bytes = encodeRequest("logs", { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
    expectTwin(writerOf("logs"), "logs", bytes);
  });
});
