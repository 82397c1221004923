import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { compileLineWriter } from "../../src/series/plan.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { batchOfSignal, indexer, rangeOf } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";
import { seeded } from "../support/seeded.ts";
import { anyMetrics } from "./any-metrics.ts";
import { type Points, writePoints } from "./point-writing.ts";
import { slowPoints } from "./slow-points.ts";
import { writeDamaged } from "./write-damaged.ts";

/** As fuzz-child.ts, for data points. */
const [seedText, countText] = process.argv.slice(2);
const ARRIVAL_MS = 1_732_000_000_123;
const DIALECTS = ["v3", "v2", "v1"] as const;
const tables = shippedTables();
const options = { signal: "metrics", tables, keys: indexer.keys } as const;
const writers = DIALECTS.map((dialect) => compileLineWriter({ ...options, dialect }));
const random = seeded(Number(seedText));

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
  writeDamaged("metrics", bytes, writers[0] as (typeof writers)[0], ARRIVAL_MS, random);
}
