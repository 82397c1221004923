import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { pushJson } from "../../../src/exporters/loki/push-json.ts";
import { SLACK, withSlack } from "../../../src/wire/slack.ts";
import { indexer, rangeOf, slabOf } from "../../support/line-writing.ts";
import { encodeRequest } from "../../support/otlp.ts";
import { damagedCopy, seeded } from "../../support/seeded.ts";
import { anyLogs } from "../any-logs.ts";
import { decodePush, encodePush } from "./push-proto.ts";
import { slowPush } from "./slow-push.ts";
import { LIMITS, lokiWriter, NOW_MS, pushes, tables } from "./writing.ts";

/** Compares the writer with its slow twin over `count` seeded requests; and feeds it damaged ones; prints the first difference and ends with 1. */
const [seedText, countText] = process.argv.slice(2);
const ARRIVAL_MS = NOW_MS - 5_000;
const DAY_MS = 86_400_000;
const VARIANTS = [
  {},
  { lineBytes: 9 },
  { bytes: 60, pairs: 128 },
  { bytes: 1 << 16, pairs: 4 },
  { maxAgeMs: 300 * DAY_MS, maxAheadMs: 1 },
];

const random = seeded(Number(seedText));

/** What the indexer takes of a damaged request is written without an error, never more than fits, and is a push request. */
function damaged(bytes: Uint8Array, limits: typeof LIMITS): void {
  const broken = damagedCopy(bytes, random);
  const indexed = indexer.index("logs", withSlack(broken), broken.length);
  if ("refused" in indexed) return;
  const range = rangeOf([indexed.batch], ARRIVAL_MS);
  const { writer } = lokiWriter({ limits });
  const slab = slabOf(200 + random(1 << 12));
  const behind = slab.bytes.length - SLACK;
  for (let item = 0; item < range.items; item++) {
    slab.length = 0;
    const { to } = writer.write(range, item, range.items, slab);
    if (slab.length > behind) throw new Error("more was written than fits");
    pushJson(slab.bytes.subarray(0, slab.length));
    if (to > item) item = to - 1;
  }
}

const requests = fc.sample<object>(anyLogs, { numRuns: Number(countText), seed: Number(seedText) });
for (const [i, json] of requests.entries()) {
  const bytes = encodeRequest("logs", json);
  const limits = { ...LIMITS, ...VARIANTS[i % VARIANTS.length] };
  const labels = i % 3 === 0 ? ["status", "k"] : [];
  const fast = pushes([bytes], { limits, labels, arrivalMs: ARRIVAL_MS });
  const slow = slowPush(bytes, { tables, labels, limits, nowMs: NOW_MS, arrivalMs: ARRIVAL_MS });
  const { streams, ...counts } = slow;
  const body = Buffer.concat(fast.bodies);
  const isEqual =
    Buffer.from(encodePush(streams)).equals(body) &&
    isDeepStrictEqual(counts, {
      dropped: fast.dropped,
      leftOut: fast.leftOut,
      splits: fast.splits,
    });
  if (!isEqual) {
    console.error({ i, seed: seedText, limits, labels, input: JSON.stringify(json) });
    console.dir({ fast: decodePush(body), slow: streams }, { depth: 9 });
    console.dir({ counts, fast: { ...fast, bodies: 0 } }, { depth: 9 });
    process.exit(1);
  }
  damaged(bytes, limits);
}
