import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { compileLineWriter } from "../../src/series/plan.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { batchOfSignal, indexer, rangeOf, writeAll } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";
import { seeded } from "../support/seeded.ts";
import { anyLogs } from "./any-logs.ts";
import { anySpans } from "./any-spans.ts";
import { slowLines } from "./slow-writer.ts";
import { writeDamaged } from "./write-damaged.ts";

/** Compares the writer with its slow twin over `count` seeded requests, and feeds it damaged ones; prints the first difference and ends with 1. */
const [seedText, countText, signalText] = process.argv.slice(2);
const signal = signalText === "traces" ? "traces" : "logs";
const ARRIVAL_MS = 1_732_000_000_123;
const DIALECTS = ["v3", "v2", "v1"] as const;
const tables = shippedTables();
const options = { signal, tables, keys: indexer.keys } as const;
const writers = DIALECTS.map((dialect) => compileLineWriter({ ...options, dialect }));
const random = seeded(Number(seedText));

const requests = fc.sample<object>(signal === "logs" ? anyLogs : anySpans, {
  numRuns: Number(countText),
  seed: Number(seedText),
});
for (const [i, json] of requests.entries()) {
  const bytes = encodeRequest(signal, json);
  const d = i % DIALECTS.length;
  const fast = writeAll(
    writers[d] as (typeof writers)[0],
    rangeOf([batchOfSignal(signal, bytes)], ARRIVAL_MS),
  );
  const dialect = DIALECTS[d] as (typeof DIALECTS)[number];
  const slow = slowLines(bytes, tables, dialect, ARRIVAL_MS, signal);
  if (!isDeepStrictEqual(fast, slow)) {
    console.error({ i, seed: seedText, dialect: DIALECTS[d], input: JSON.stringify(json) });
    console.dir({ fast, slow });
    process.exit(1);
  }
  writeDamaged(signal, bytes, writers[0] as (typeof writers)[0], ARRIVAL_MS, random);
}
