import { expect, test } from "vitest";
import { Catalog, MAX_TABLES } from "../../src/store/catalog.ts";
import { timeText } from "../../src/store/cells.ts";
import { toDuckSql } from "../../src/store/dialect.ts";
import { LineRows } from "../../src/store/line-rows.ts";

test("the limit of tables costs the lines that would break it", () => {
  const rows = new LineRows(new Catalog([]));
  const lines = Array.from({ length: MAX_TABLES + 1 }, (_, i) => `m${i} a=1 1`);
  const errors = rows.add("db", Buffer.from(`${lines.join("\n")}\nm0 a=2 2`), "ns", 0n);
  expect(errors).toEqual([
    {
      message: `Update to schema would exceed number of tables limit of ${MAX_TABLES} tables`,
      lineNumber: MAX_TABLES + 1,
      original: `m${MAX_TABLES} a=1 1`,
    },
  ]);
  expect(rows.tables.size).toBe(MAX_TABLES);
});

test("a refused line leaves no trace in the schema", () => {
  const catalog = new Catalog([]);
  const errors = new LineRows(catalog).add("db", Buffer.from("m fresh=1,time=2 1"), "ns", 0n);
  expect(errors.length).toBe(1);
  expect(catalog.find("db", "m")).toBeUndefined();
});

test("original_line ends after 20 bytes, also inside a character", () => {
  const rows = new LineRows(new Catalog([]));
  const [error] = rows.add("db", Buffer.from("äöüäöüäöüäöü bad"), "ns", 0n);
  expect(error?.original).toBe("äöüäöüäöüä");
});

test.each([
  [0n, "1970-01-01T00:00:00"],
  [-1n, "1969-12-31T23:59:59.999999999"],
  [1_500_000_000n, "1970-01-01T00:00:01.500"],
  [1_000_001_000n, "1970-01-01T00:00:01.000001"],
  [9_223_372_036_854_775_806n, "2262-04-11T23:47:16.854775806"],
])("%s ns is %s", (nanos, text) => {
  expect(timeText(nanos)).toBe(text);
});

test("GROUP BY time(…) becomes a bucket; text in quotes and comments stays", () => {
  expect(toDuckSql("SELECT time, avg(a) FROM m GROUP BY time(5m)")).toBe(
    `SELECT date_bin(INTERVAL '5 minutes', "time") AS "time", avg(a) FROM m GROUP BY date_bin(INTERVAL '5 minutes', "time")`,
  );
  const bucket = `date_bin(INTERVAL '1 hours', "time")`;
  for (const [sql, expected] of [
    [
      'SELECT "time", a FROM m GROUP BY time(1h)',
      `SELECT ${bucket} AS "time", a FROM m GROUP BY ${bucket}`,
    ],
    [
      'select a, "time" as t from m group by a, time( 1H )',
      `select a, ${bucket} as t from m group by a, ${bucket}`,
    ],
    [
      "SELECT time AS t, max(time) FROM m GROUP BY time(1h) ORDER BY t",
      `SELECT ${bucket} AS t, max(time) FROM m GROUP BY ${bucket} ORDER BY t`,
    ],
    ["SELECT avg(a) FROM m GROUP BY time(1h)", `SELECT avg(a) FROM m GROUP BY ${bucket}`],
  ] as const)
    expect(toDuckSql(sql)).toBe(expected);
  for (const sql of [
    "SELECT 'GROUP BY time(1h)' FROM m",
    'SELECT "GROUP BY time(1h)" FROM m',
    "SELECT 1 -- GROUP BY time(1h)",
    "SELECT 1 /* GROUP BY time(1h) */",
    "SELECT 'unclosed GROUP BY tim",
    "SELECT /* unclosed GROUP BY time(1h)",
    "SELECT time FROM m GROUP BY time(1x)",
    "SELECT 5 - 3 / 2",
  ])
    expect(toDuckSql(sql)).toBe(sql);
});
