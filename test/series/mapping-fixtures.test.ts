import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { compileLineWriter } from "../../src/series/plan.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { lineDoor } from "../support/line-door.ts";
import { batchOf, batchOfSignal, indexer, rangeOf, writeAll } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";
import { type Field, type Row, readRows } from "../support/rows.ts";

/** The cases of test/fixtures/mapping (its README says how to read them) that log records and lines are about. */
type Input = { kind: string; body?: object; text?: string; precision?: "auto" };
type TagWish = string | { one_of: string[] } | { present: true };
type FieldWish = Field | { number: number } | { json: string } | { json_has: string };
interface Wish {
  table: string;
  tags?: Record<string, TagWish>;
  fields: Record<string, FieldWish>;
  partial?: boolean;
  absent?: string[];
  time?: string;
}
interface Case {
  name: string;
  input: Input | Input[];
  expect: Wish[];
  expect_absent_tables?: string[];
  distinct?: Record<string, { once: number; twice: number }>;
}

const ARRIVAL_MS = 1_732_000_000_000;
const tables = shippedTables();
const casesOf = (file: string) =>
  JSON.parse(
    readFileSync(new URL(`../fixtures/mapping/${file}.json`, import.meta.url), "utf8"),
  ) as Case[];

function rowsOf(input: Input): Row[] {
  if (input.kind === "otlp_metrics") return rowsOfPoints(input.body ?? {});
  const options = { tables, keys: indexer.keys, dialect: "v3" } as const;
  if (input.kind === "otlp_traces") {
    const batch = batchOfSignal("traces", encodeRequest("traces", input.body ?? {}));
    const writer = compileLineWriter({ signal: "traces", ...options });
    return readRows(writeAll(writer, rangeOf([batch], ARRIVAL_MS)).text);
  }
  const writer = compileLineWriter({ signal: "logs", ...options });
  const bytes =
    input.kind === "line"
      ? lineDoor(tables, input.precision)(`${input.text}`, ARRIVAL_MS)
      : encodeRequest("logs", input.body ?? {});
  return readRows(writeAll(writer, rangeOf([batchOf(bytes)], ARRIVAL_MS)).text);
}

function rowsOfPoints(body: object): Row[] {
  const options = { signal: "metrics", tables, keys: indexer.keys, dialect: "v3" } as const;
  const batch = batchOfSignal("metrics", encodeRequest("metrics", body));
  return readRows(writeAll(compileLineWriter(options), rangeOf([batch], ARRIVAL_MS)).text);
}

/** JSON with integers as texts, so that all digits are compared. */
function exact(json: string): unknown {
  return JSON.parse(json, (_key, value: unknown, context?: { source?: string }) =>
    typeof value === "number" ? `number ${context?.source ?? value}` : value,
  );
}

function fits(row: Row, wish: Wish): boolean {
  try {
    check(row, wish);
    return true;
  } catch {
    return false;
  }
}

function check(row: Row, wish: Wish): void {
  expect(row.table).toBe(wish.table);
  if (wish.tags !== undefined) {
    expect(Object.keys(row.tags).sort()).toEqual(Object.keys(wish.tags).sort());
    for (const [name, wanted] of Object.entries(wish.tags)) {
      const tag = row.tags[name];
      if (typeof wanted === "string") expect(tag).toBe(wanted);
      else if ("one_of" in wanted) expect(wanted.one_of).toContain(tag);
      else expect(tag).toBeDefined();
    }
  }
  if (!wish.partial)
    expect(Object.keys(row.fields).sort()).toEqual(Object.keys(wish.fields).sort());
  for (const [name, wanted] of Object.entries(wish.fields)) checkField(row.fields[name], wanted);
  for (const name of wish.absent ?? []) expect(row.fields[name]).toBeUndefined();
  if (wish.time === undefined) return;
  if (wish.time === "arrival")
    expect(Math.abs(Number(row.time) / 1e6 - ARRIVAL_MS)).toBeLessThan(120_000);
  else if (wish.time.includes("+")) {
    const [from, width] = wish.time.split("+").map(BigInt) as [bigint, bigint];
    expect(BigInt(row.time) >= from && BigInt(row.time) < from + width).toBe(true);
  } else expect(row.time).toBe(wish.time);
}

function checkField(field: Field | undefined, wanted: FieldWish): void {
  if ("json" in wanted || "json_has" in wanted) {
    const text = field !== undefined && "text" in field ? field.text : "null";
    if ("json" in wanted) expect(exact(text)).toEqual(exact(wanted.json));
    else expect(exact(text)).toMatchObject(exact(wanted.json_has) as object);
    const keys = Object.keys(JSON.parse(text) as object);
    if ("json" in wanted && wanted.json.includes("alpha")) expect(keys).toEqual(keys.toSorted());
  } else if ("number" in wanted) expect(Number(Object.values(field ?? {})[0])).toBe(wanted.number);
  else expect(field).toEqual(wanted);
}

function runCase({ input, expect: wishes, expect_absent_tables: absent, distinct }: Case): void {
  const inputs = Array.isArray(input) ? input : [input];
  const rows = inputs.flatMap(rowsOf);
  const named = new Set(wishes.map((wish) => wish.table));
  const left = rows.filter((row) => named.has(row.table));
  for (const wish of wishes) {
    const found = left.findIndex((row) => fits(row, wish));
    if (found < 0) check(left[0] ?? (rows[0] as Row), wish);
    left.splice(found, 1);
  }
  expect(left, "rows too many").toEqual([]);
  const tablesSeen = rows.map((row) => row.table);
  for (const table of absent ?? []) expect(tablesSeen).not.toContain(table);
  for (const [table, { once, twice }] of Object.entries(distinct ?? {})) {
    const keys = (of: Row[]) =>
      new Set(
        of
          .filter((row) => row.table === table)
          .map((row) => JSON.stringify([Object.entries(row.tags).sort(), row.time])),
      ).size;
    expect(keys(rows)).toBe(once);
    expect(keys([...rows, ...inputs.flatMap(rowsOf)])).toBe(twice);
  }
}

const passed: Record<string, number> = {};
afterAll(() => console.table(passed));

const FILES = [
  "function-logs-from-logs",
  "function-logs-from-spans",
  "requests-errors",
  "spans",
  "logs",
  "lines",
  "dff",
  "metrics",
];

describe.each(FILES)("%s", (file) => {
  test.each(casesOf(file).map((one) => [one.name, one] as const))("%s", (_name, one) => {
    runCase(one);
    passed[file] = (passed[file] ?? 0) + 1;
  });
});
