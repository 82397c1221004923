import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compileLineWriter } from "../../src/series/plan.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { batchOfSignal, indexer, rangeOf, writeAll } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";

/** test/golden/<table>/<case>/{in.otlp.json, out.lp}; `UPDATE=1` writes out.lp anew. */
const root = join(import.meta.dirname, "..", "golden");
const tables = shippedTables();
const MEMBERS = {
  resourceLogs: "logs",
  resourceSpans: "traces",
  resourceMetrics: "metrics",
} as const;
const cases = tables
  .map((table) => table.measurement)
  .filter((table) => existsSync(join(root, table)))
  .flatMap((table) => readdirSync(join(root, table)).map((name) => `${table}/${name}`))
  .filter((name) => existsSync(join(root, name, "in.otlp.json")));

test.each(cases)("%s", (name) => {
  const folder = join(root, name);
  const request = JSON.parse(readFileSync(join(folder, "in.otlp.json"), "utf8")) as object;
  const [member] = Object.keys(request);
  const signal = MEMBERS[member as keyof typeof MEMBERS];
  const writer = compileLineWriter({ signal, tables, keys: indexer.keys, dialect: "v3" });
  const batch = batchOfSignal(signal, encodeRequest(signal, request));
  const { text } = writeAll(writer, rangeOf([batch], 1_705_314_600_000));
  if (process.env["UPDATE"] === "1") writeFileSync(join(folder, "out.lp"), text);
  expect(text).toBe(readFileSync(join(folder, "out.lp"), "utf8"));
});
