import { expect, test } from "vitest";
import type { Dialect } from "../../src/line/writer.ts";
import { compileLineWriter } from "../../src/series/plan.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { batchOfSignal, indexer, rangeOf, writeAll } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";
import { slowLines } from "./slow-writer.ts";

const ARRIVAL_MS = 1_732_000_000_123;
const tables = shippedTables().filter(({ measurement }) => measurement === "requests");
const METHODS = [
  "GET",
  "get",
  "M SEARCH",
  "a,b=c",
  "A\\",
  "\\",
  "A\\ ",
  "A\u0001",
  "A \\\u0001",
  "\n",
  "日",
];
const ROUTES = ["/", "/a/{id}", "/a b,c=d", "/\\", "\\/a", "a/b", "/a\u0001", "/日\n", "\u0001"];

test.each<Dialect>(["v3", "v2", "v1"])("any method before any route, in %s", (dialect) => {
  const spans = METHODS.flatMap((method) =>
    ROUTES.map((route, i) => ({
      kind: 2,
      startTimeUnixNano: String(1_705_314_600_123_456_789n + BigInt(i)),
      attributes: [
        { key: "http.request.method", value: { stringValue: method } },
        { key: "http.route", value: { stringValue: route } },
      ],
    })),
  );
  const bytes = encodeRequest("traces", { resourceSpans: [{ scopeSpans: [{ spans }] }] });
  const dropped = new Map<string, number>();
  const writer = compileLineWriter({
    signal: "traces",
    tables,
    keys: indexer.keys,
    dialect,
    onFieldDropped: (_table, _column, reason, n) => dropped.set(reason, n),
  });
  const written = writeAll(writer, rangeOf([batchOfSignal("traces", bytes)], ARRIVAL_MS));
  expect(written).toEqual(slowLines(bytes, tables, dialect, ARRIVAL_MS, "traces"));
  expect(written.rows).toBe(METHODS.length * ROUTES.length);
  expect(dropped.get("characters")).toBe(charactersLeftOut());
});

/** Control characters, and backslashes with nothing behind them but such. */
function charactersLeftOut(): number {
  let count = 0;
  for (const method of METHODS)
    for (const route of ROUTES) {
      const text = `${method}:${route.startsWith("/") ? "" : "/"}${route}`;
      const kept = text.replaceAll("\u0001", "").replace(/\\+$/, "");
      count += text.length - kept.length;
    }
  return count;
}
