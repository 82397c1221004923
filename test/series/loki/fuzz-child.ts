import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { encodeRequest } from "../../support/otlp.ts";
import { anyLogs } from "../any-logs.ts";
import { decodePush, encodePush } from "./push-proto.ts";
import { slowPush } from "./slow-push.ts";
import { LIMITS, NOW_MS, pushes, tables } from "./writing.ts";

/** Compares the writer with its slow twin over `count` seeded requests; prints the first difference and ends with 1. */
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
}
