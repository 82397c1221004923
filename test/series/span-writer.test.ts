import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { plainSpans } from "../../bench/payloads.ts";
import { compileLineWriter } from "../../src/series/plan.ts";
import { loadTables, shippedTables } from "../../src/series/tables/load.ts";
import type { Table } from "../../src/series/tables/tables.ts";
import { batchOfSignal, indexer, rangeOf, slabOf, writeAll } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";
import { readRows } from "../support/rows.ts";
import { anySpans } from "./any-spans.ts";
import type { Dialect } from "./slow-values.ts";
import { slowLines } from "./slow-writer.ts";

const ARRIVAL_MS = 1_732_000_000_123;
const START = 1_705_314_600_123_456_789n;
const tables = shippedTables();
const RUNS = Number(process.env["WEIR_FUZZ"] ?? 200);
const DIALECTS: readonly Dialect[] = ["v3", "v2", "v1"];

function writerOf(dialect: Dialect = "v3", chosen = tables, declared = tables) {
  return compileLineWriter({
    signal: "traces",
    tables: chosen,
    declared,
    keys: indexer.keys,
    dialect,
  });
}

const batchOf = (request: object) => batchOfSignal("traces", encodeRequest("traces", request));
const named = (...names: string[]) => tables.filter((t) => names.includes(t.measurement));
const str = (key: string, stringValue: string) => ({ key, value: { stringValue } });

interface Given {
  readonly attributes?: object[];
  readonly resource?: object[];
  readonly [field: string]: unknown;
}

function requestOf(...spans: Given[]): object {
  return {
    resourceSpans: spans.map(({ resource = [], ...span }) => ({
      resource: { attributes: resource },
      scopeSpans: [
        {
          spans: [
            {
              name: "n",
              kind: 2,
              startTimeUnixNano: String(START),
              endTimeUnixNano: String(START + 1_500_000n),
              ...span,
            },
          ],
        },
      ],
    })),
  };
}

/** Members of the field `attributes`. */
function attributesOf(row: ReturnType<typeof readRows>[number] | undefined) {
  const field = row?.fields["attributes"];
  return JSON.parse(field !== undefined && "text" in field ? field.text : "null");
}

function rowsOf(request: object, chosen: readonly Table[] = tables, declared = tables) {
  return readRows(
    writeAll(writerOf("v3", [...chosen], declared), rangeOf([batchOf(request)], ARRIVAL_MS)).text,
  );
}

describe("the writer of spans", () => {
  test("agrees with its slow twin on the payload of the benches", () => {
    const bytes = plainSpans(300);
    for (const chosen of [tables, named("requests", "errors"), named("spans")]) {
      const range = rangeOf([batchOfSignal("traces", bytes)], ARRIVAL_MS);
      const written = writeAll(writerOf("v3", chosen, chosen), range);
      expect(written).toEqual(slowLines(bytes, chosen, "v3", ARRIVAL_MS, "traces"));
      expect(written.rows).toBeGreaterThan(299);
    }
  });

  test("agrees with its slow twin on any spans, in every dialect", () => {
    const writers = { v3: writerOf("v3"), v2: writerOf("v2"), v1: writerOf("v1") };
    fc.assert(
      fc.property(anySpans, fc.constantFrom(...DIALECTS), (json, dialect) => {
        const bytes = encodeRequest("traces", json);
        const range = rangeOf([batchOfSignal("traces", bytes)], ARRIVAL_MS);
        const written = writeAll(writers[dialect], range);
        expect(written).toEqual(slowLines(bytes, tables, dialect, ARRIVAL_MS, "traces"));
        if (dialect === "v3") expect(readRows(written.text)).toHaveLength(written.rows);
      }),
      { numRuns: RUNS },
    );
  });

  test("gives the same bytes however the items are cut, and names the item of each row", () => {
    const writer = writerOf();
    fc.assert(
      fc.property(anySpans, (request) => {
        const range = rangeOf([batchOf(request)], ARRIVAL_MS);
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
      }),
      { numRuns: Math.ceil(RUNS / 8) },
    );
  });

  test("a table that is only asked whether it matches is not written", () => {
    const failed = [str("http.route", "/a"), str("http.response.status_code", "500")];
    const rows = rowsOf(requestOf({ attributes: failed }), named("errors"));
    expect(rows.map((row) => row.table)).toEqual(["errors"]);
    expect(rows[0]?.tags["route"]).toBe("_OTHER:/a");
  });

  test("a span that no chosen table takes is counted", () => {
    const range = rangeOf([batchOf(requestOf({ kind: 3 }))], ARRIVAL_MS);
    const written = writerOf("v3", named("requests")).write(range, 0, 1, slabOf(1 << 12));
    expect(written.rows).toBe(0);
    expect([...written.dropped]).toEqual([["no_table", 1]]);
  });

  test("an attribute of the item with the prefix of the resource's goes before the resource's", () => {
    const [row] = rowsOf(
      requestOf({
        attributes: [str("resource.b", "own"), str("a", "1"), str("z", "2")],
        resource: [str("b", "theirs"), str("c", "3"), str("service.x", "4")],
      }),
      named("spans"),
    );
    expect(row?.fields["attributes"]).toEqual({
      text: '{"a":"1","resource.b":"own","resource.c":"3","z":"2"}',
    });
  });
});

test("words hold for numbers, booleans and what the span says itself too, and for what is made of it", () => {
  const text = `measurement: own
doc: d
identity: exact
match: { spans: {} }
columns:
  result: { kind: tag, doc: d, from: [{ span: status }], words: { error: bad } }
  code: { kind: tag, doc: d, from: [code], words: { "404": missing } }
  flag: { kind: text, doc: d, from: [flag], words: { "true": "yes" } }
  how: { kind: text, doc: d, from: [{ span: kind }], words: { server: served } }
  again: { kind: text, doc: d, from: [], otherwise: [{ column: result, words: { bad: worse } }] }
`;
  const own = loadTables([{ name: "own.yaml", text }], tables);
  const attributes = [
    { key: "code", value: { intValue: "404" } },
    { key: "flag", value: { boolValue: true } },
  ];
  const span = requestOf({ kind: 2, status: { code: 2 }, attributes });
  const [row] = rowsOf(span, own, [...tables, ...own]);
  expect(row?.tags).toEqual({ result: "bad", code: "missing" });
  expect(row?.fields).toMatchObject({
    how: { text: "served" },
    flag: { text: "yes" },
    again: { text: "worse" },
  });
});

describe("routes of requests", () => {
  const routeOf = (name: string, ...attributes: object[]) =>
    rowsOf(requestOf({ name, attributes }), named("requests"))[0]?.tags["route"];
  const method = str("http.request.method", "GET");
  test.each([
    ["the route as it was sent", routeOf("n", method, str("route", "PUT:/x")), "PUT:/x"],
    ["a route without the form", routeOf("GET /n", method, str("route", "x")), "GET:/n"],
    ["a route without a slash", routeOf("n", method, str("http.route", "a/{b}")), "GET:/a/{b}"],
    ["no method", routeOf("n", str("http.route", "/a")), "_OTHER:/a"],
    ["a name with a query", routeOf("GET /a?b=1", method), "GET:/a"],
    ["a name in small letters", routeOf("get /a", method, str("url.path", "/p/7")), "GET:/p/{id}"],
    [
      "15 hex digits",
      routeOf("n", method, str("url.path", "/a23456789abcdef")),
      "GET:/a23456789abcdef",
    ],
    ["16 hex digits", routeOf("n", method, str("url.path", "/A23456789abcdef0/")), "GET:/{id}/"],
    ["nothing at all", routeOf("n", method), undefined],
    ["RPC by name", routeOf("acme.U/Get", str("rpc.system", "grpc")), "RPC:/acme.U/Get"],
    [
      "RPC with its service in the method",
      routeOf("n", str("rpc.system", "grpc"), str("rpc.method", "/acme.U/Get")),
      "RPC:/acme.U/Get",
    ],
  ])("%s", (_what, route, expected) => {
    expect(route).toBe(expected);
  });

  test("RPC status OK is no error, another is one, also without a number", () => {
    const tablesOf = (code: string) =>
      rowsOf(
        requestOf({ attributes: [str("rpc.system", "x"), str("rpc.response.status_code", code)] }),
        named("requests", "errors"),
      ).map((row) => row.table);
    expect(tablesOf("OK")).toEqual(["requests"]);
    expect(tablesOf("0")).toEqual(["requests"]);
    expect(tablesOf("NOT_FOUND")).toEqual(["errors", "requests"]);
  });
});

describe("bad input", () => {
  test("a value of 1 MB is written whole, in every row that has it", () => {
    const big = 'x"'.repeat(1 << 19);
    const attributes = [str("http.route", "/a"), str("request_id", big), str("other", big)];
    const range = rangeOf([batchOf(requestOf({ attributes, status: { code: 2 } }))], ARRIVAL_MS);
    const { text } = writeAll(writerOf(), range, 32 << 20);
    const rows = readRows(text);
    expect(rows.map((row) => row.table)).toEqual(["errors", "requests", "spans"]);
    for (const row of rows.slice(0, 2)) expect(row.fields["request_id"]).toEqual({ text: big });
    for (const row of rows) expect(attributesOf(row).other).toBe(big);
  });

  test("10,000 attributes on one span are all in attributes, sorted", () => {
    const attributes = Array.from({ length: 10_000 }, (_, i) =>
      str(`k${(i * 7919) % 10_000}`, "v"),
    );
    const [row] = rowsOf(requestOf({ attributes }), named("spans"));
    const keys = Object.keys(attributesOf(row));
    expect(keys).toHaveLength(10_000);
    expect(keys).toEqual(keys.toSorted());
  });

  test("columns by the end of their names stop at 400: the others stay in attributes", () => {
    const text = `measurement: wide\ndoc: d\nidentity: exact\nmatch: { spans: { record_has_one_of_each: [] } }\nextra_fields: ["*_cost"]\ncolumns:\n  f: { kind: text, doc: d, from: [f] }\n`;
    const wide = loadTables([{ name: "wide.yaml", text }], tables);
    const attributes = Array.from({ length: 600 }, (_, i) => str(`k${i}_cost`, "v"));
    const [row] = rowsOf(requestOf({ attributes }), wide, [...tables, ...wide]);
    const { attributes: rest, ...columns } = row?.fields ?? {};
    expect(Object.keys(columns)).toHaveLength(400);
    expect(Object.keys(JSON.parse((rest as { text: string }).text))).toHaveLength(200);
  });

  test("names that are empty, reserved or hold control characters stay in attributes as they are", () => {
    const names = ["", "time", "a\u0001b", "c\nd_cost", "\\"];
    const [row] = rowsOf(requestOf({ attributes: names.map((n) => str(n, "v")) }), named("spans"));
    const json = attributesOf(row);
    expect(Object.keys(json).sort()).toEqual(names.toSorted());
  });

  test("invalid UTF-8 goes through as the bytes that came, and costs nothing else", () => {
    const bytes = encodeRequest("traces", requestOf({ attributes: [str("k", "QQQQ")] }));
    const at = Buffer.from(bytes).indexOf("QQQQ");
    bytes.set([0xff, 0xc3, 0x28, 0xed], at);
    const range = rangeOf([batchOfSignal("traces", bytes)], ARRIVAL_MS);
    const slab = slabOf(1 << 14);
    expect(writerOf("v3", named("spans")).write(range, 0, 1, slab).rows).toBe(1);
    const line = Buffer.from(slab.bytes.subarray(0, slab.length));
    expect(line.includes(Buffer.from([0xff, 0xc3, 0x28, 0xed]))).toBe(true);
  });

  test("times that no int64 holds become the arrival, counted; an end before the start gives no duration", () => {
    const dropped: string[] = [];
    const writer = compileLineWriter({
      signal: "traces",
      tables: named("spans"),
      declared: tables,
      keys: indexer.keys,
      dialect: "v3",
      onFieldDropped: (...args) => dropped.push(args.join(" ")),
    });
    const spans = [
      { startTimeUnixNano: String(2n ** 64n - 1n) },
      { endTimeUnixNano: String(START - 1n) },
    ];
    const rows = readRows(
      writeAll(writer, rangeOf([batchOf(requestOf(...spans))], ARRIVAL_MS)).text,
    );
    expect(rows[0]?.time.slice(0, 13)).toBe(String(ARRIVAL_MS));
    expect(rows[1]?.fields["duration_ms"]).toBeUndefined();
    expect(dropped).toEqual([" time range 1"]);
  });
});

describe("many tables", () => {
  test("50 tables of a user beside the shipped ones change nothing for spans that they do not match", () => {
    const files = Array.from({ length: 50 }, (_, i) => ({
      name: `user-${i}.yaml`,
      text: `measurement: user_${i}\ndoc: d\nidentity: exact\nids: true\nmatch: { spans: { record_has_one_of_each: [[user.key.${i}]] } }\ncolumns:\n  service: { kind: tag, doc: d, from: [service.name] }\n  v: { kind: text, doc: d, from: [user.key.${i}, http.route] }\n`,
    }));
    const all = [...tables, ...loadTables(files, tables)];
    const range = rangeOf([batchOfSignal("traces", plainSpans(50))], ARRIVAL_MS);
    expect(writeAll(writerOf("v3", all, all), range)).toEqual(writeAll(writerOf(), range));
    const rows = rowsOf(
      requestOf({ attributes: [str("user.key.49", "x"), str("b", "y")] }),
      all,
      all,
    );
    expect(rows.map((row) => row.table)).toEqual(["spans", "user_49"]);
    expect(rows[1]?.fields).toEqual({ v: { text: "x" }, attributes: { text: '{"b":"y"}' } });
  });
});
