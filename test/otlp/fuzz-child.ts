/**
 * Runs in a child process of its own, so that a hang is killed and not waited for: damages requests and compares the indexer with its
 * slow twin. Arguments: seed, rounds. Prints one JSON line.
 */

import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { SLACK } from "../../src/wire/slack.ts";
import { encodeRequest, root } from "../support/otlp.ts";
import { arbitraryRequest } from "./requests.ts";
import { slowIndex } from "./slow-index.ts";
import { viewBatch, viewRequest } from "./views.ts";

const [seed = 1, rounds = 500] = process.argv.slice(2).map(Number);
const indexer = createIndexer();
let state = seed >>> 0;
const below = (count: number) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * count);
};
const tally = { accepted: 0, cut: 0, refused: 0, noncanonical: 0 };
const failures: unknown[] = [];
if (root === undefined) throw new Error("no proto");

for (const { signal, request } of fc.sample(arbitraryRequest, { seed, numRuns: rounds })) {
  const whole = encodeRequest(signal, request);
  for (let i = 0; i < 12; i++) compare(signal, i === 0 ? whole : damage(whole));
  if (whole.length < 400)
    for (let cut = 0; cut < whole.length; cut++) compare(signal, whole.slice(0, cut));
  if (failures.length > 5) break;
}
console.log(JSON.stringify({ tally, failures }));

function isSameTape(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((int, i) => int === b[i]);
}

function damage(whole: Uint8Array): Uint8Array {
  const bytes = whole.slice();
  if (bytes.length === 0) return bytes;
  for (let n = 1 + below(3); n > 0; n--) {
    const at = below(bytes.length);
    const byte = bytes[at] as number;
    const kind = below(6);
    if (kind === 0) bytes[at] = byte ^ (1 << below(8));
    else if (kind === 1) bytes[at] = below(256);
    else if (kind === 2)
      bytes[at] = (byte & 0xf8) | below(8); // another wire type
    else if (kind === 5) {
      // a group, mostly of a number that nobody knows
      const number = 1 + below(31);
      const end = Math.min(bytes.length - 1, at + 1 + below(12));
      bytes[at] = (number << 3) | 3;
      bytes[end] = (number << 3) | 4;
    } else if (kind === 3)
      bytes[at] = byte + 1 - below(3); // a length that lies
    else {
      const to = below(bytes.length); // fields in another order, twice, or torn
      bytes.copyWithin(to, at, at + 1 + below(20));
    }
  }
  return below(4) === 0 ? bytes.slice(0, below(bytes.length)) : bytes;
}

function compare(signal: "logs" | "metrics" | "traces", bytes: Uint8Array): void {
  // Behind the bytes: what would look like more of them to whoever reads too far.
  const memory = new Uint8Array(bytes.length + SLACK).fill(0x0a);
  memory.set(bytes);
  const slow = slowIndex(signal, bytes);
  const fail = (why: string) =>
    failures.push({ why, signal, hex: Buffer.from(bytes).toString("hex") });
  try {
    const fast = indexer.index(signal, memory, bytes.length);
    if ("refused" in fast) {
      tally.refused++;
      if (!("refused" in slow)) fail(`refused: ${fast.why}`);
      return;
    }
    if ("refused" in slow) return void fail(`accepted, but ${slow.refused}`);
    tally.accepted++;
    if (fast.rejected > 0) tally.cut++;
    if (fast.batch.bytes !== memory) tally.noncanonical++;
    if (fast.rejected !== slow.rejected || fast.batch.items !== slow.items)
      return void fail(`${fast.batch.items}+${fast.rejected}, not ${slow.items}+${slow.rejected}`);
    if (!isDeepStrictEqual(viewBatch(fast.batch, indexer.keys), viewRequest(slow.request)))
      fail("other values");
    const again = indexer.index(signal, fast.batch.bytes, fast.batch.length);
    if ("refused" in again || !isSameTape(again.batch.tape, fast.batch.tape))
      fail("another tape from the batch's own bytes");
  } catch (error) {
    fail(error instanceof Error ? `${error.stack}` : String(error));
  }
}
