import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { shippedTables } from "../../src/series/load.ts";
import { compileLineWriter } from "../../src/series/plan.ts";
import { batchOfSignal, indexer, rangeOf, slabOf, writeAll } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";
import { anyLogs } from "./any-logs.ts";
import { anySpans } from "./any-spans.ts";
import { slowLines } from "./slow-writer.ts";

/** Compares the writer with its slow twin over `count` seeded requests, and feeds it damaged ones; prints the first difference and ends with 1. */
const [seedText, countText, signalText] = process.argv.slice(2);
const signal = signalText === "traces" ? "traces" : "logs";
const ARRIVAL_MS = 1_732_000_000_123;
const DIALECTS = ["v3", "v2", "v1"] as const;
const tables = shippedTables();
const options = { signal, tables, keys: indexer.keys } as const;
const writers = DIALECTS.map((dialect) => compileLineWriter({ ...options, dialect }));
let state = Number(seedText) | 0;
function random(below: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
  return Math.floor(((state >>> 8) / (1 << 24)) * below);
}

/** What the indexer takes of a damaged request is written without an error, and never more than fits. */
function damaged(bytes: Uint8Array): void {
  const broken = Uint8Array.from(bytes);
  for (let i = 1 + random(4); i > 0 && broken.length > 0; i--)
    broken[random(broken.length)] = random(256);
  const room = new Uint8Array(broken.length + 16);
  room.set(broken);
  const indexed = indexer.index(signal, room, broken.length);
  if ("refused" in indexed || indexed.batch.items === 0) return;
  const range = rangeOf([indexed.batch], ARRIVAL_MS);
  const slab = slabOf(300 + random(1 << 18));
  for (let item = 0; item < range.items; ) {
    slab.length = 0;
    const { to } = (writers[0] as (typeof writers)[0]).write(range, item, range.items, slab);
    if (slab.length > slab.bytes.length) throw new Error("more was written than fits");
    if (to === item) break;
    item = to;
  }
}

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
  damaged(bytes);
}
