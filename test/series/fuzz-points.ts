import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { shippedTables } from "../../src/series/load.ts";
import { compileLineWriter } from "../../src/series/plan.ts";
import { batchOfSignal, indexer, rangeOf, slabOf } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";
import { anyMetrics } from "./any-metrics.ts";
import { type Points, writePoints } from "./point-writing.ts";
import { slowPoints } from "./slow-points.ts";

/** As fuzz-child.ts, for data points. */
const [seedText, countText] = process.argv.slice(2);
const ARRIVAL_MS = 1_732_000_000_123;
const DIALECTS = ["v3", "v2", "v1"] as const;
const tables = shippedTables();
const options = { signal: "metrics", tables, keys: indexer.keys } as const;
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
  const indexed = indexer.index("metrics", room, broken.length);
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

const requests = fc.sample(anyMetrics, { numRuns: Number(countText), seed: Number(seedText) });
for (const [i, json] of requests.entries()) {
  const bytes = encodeRequest("metrics", json);
  const d = i % DIALECTS.length;
  const range = rangeOf([batchOfSignal("metrics", bytes)], ARRIVAL_MS);
  const fast: Points = writePoints(writers[d] as (typeof writers)[0], range);
  const slow: Points = slowPoints(
    bytes,
    tables,
    DIALECTS[d] as (typeof DIALECTS)[number],
    ARRIVAL_MS,
  );
  if (!isDeepStrictEqual(fast, slow)) {
    console.error({ i, seed: seedText, dialect: DIALECTS[d], input: JSON.stringify(json) });
    const [ours, theirs] = [fast.text.split("\n"), slow.text.split("\n")];
    const line = ours.findIndex((one, n) => one !== theirs[n]);
    console.dir({ fast: ours[line], slow: theirs[line], dropped: [fast.dropped, slow.dropped] });
    process.exit(1);
  }
  damaged(bytes);
}
