import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { compileLineWriter } from "../../src/series/plan.ts";
import { loadTables, shippedTables } from "../../src/series/tables/load.ts";
import { batchOfSignal, indexer, rangeOf, writeAll } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";
import { anyLogs } from "./any-logs.ts";
import { anySpans } from "./any-spans.ts";
import { anyTables } from "./any-tables.ts";
import { slowLines } from "./slow-writer.ts";

/** Compares the writer with its slow twin over `count` seeded requests, each with tables of its own beside the shipped ones; ends with 1 at a difference. */
const [seedText, countText, signalText] = process.argv.slice(2);
const signal = signalText === "traces" ? "traces" : "logs";
const ARRIVAL_MS = 1_732_000_000_123;
const shipped = shippedTables();
const requests: fc.Arbitrary<object> = signal === "logs" ? anyLogs : anySpans;

function compare(files: readonly { name: string; text: string }[], json: object) {
  const tables = [...shipped, ...loadTables(files, shipped)];
  const bytes = encodeRequest(signal, json);
  const writer = compileLineWriter({ signal, tables, keys: indexer.keys, dialect: "v3" });
  return {
    fast: writeAll(writer, rangeOf([batchOfSignal(signal, bytes)], ARRIVAL_MS)),
    slow: slowLines(bytes, tables, "v3", ARRIVAL_MS, signal),
  };
}

const result = fc.check(
  fc.property(anyTables, requests, (files, json) => {
    const { fast, slow } = compare(files, json);
    return isDeepStrictEqual(fast, slow);
  }),
  { numRuns: Number(countText), seed: Number(seedText) },
);
if (result.failed) {
  const [files, json] = result.counterexample ?? [[], {}];
  console.error(
    files.map(({ text }) => text).join("\n"),
    JSON.stringify(json),
    result.errorInstance,
  );
  console.dir(compare(files, json));
  process.exit(1);
}
