import fc from "fast-check";
import { expect, test } from "vitest";
import { mixedLogs, plainLogs } from "../../bench/payloads.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { NodeType, type SIGNALS } from "../../src/otlp/tape.ts";
import { decodeRequest, encodeRequest } from "../support/otlp.ts";
import { arbitraryRequest } from "./requests.ts";
import { slowIndex } from "./slow-index.ts";
import { viewBatch, viewRequest } from "./views.ts";

const indexer = createIndexer();

/** The batch of bytes that must be accepted whole. */
function indexed(signal: (typeof SIGNALS)[number], bytes: Uint8Array) {
  const result = indexer.index(signal, bytes, bytes.length);
  if ("refused" in result) throw new Error(result.why);
  return result;
}

test("every value of any request is where the tape says", () => {
  fc.assert(
    fc.property(arbitraryRequest, ({ signal, request }) => {
      const bytes = encodeRequest(signal, request);
      const { batch, rejected } = indexed(signal, bytes);
      expect(rejected).toBe(0);
      const slow = slowIndex(signal, bytes);
      if ("refused" in slow) throw new Error(slow.refused);
      const views = viewBatch(batch, indexer.keys);
      expect(views).toEqual(viewRequest(slow.request));
      expect(views).toEqual(viewRequest(decodeRequest(signal, bytes)));
    }),
    { numRuns: 300, seed: 7 },
  );
});

test("names that come in any order are looked up instead of predicted: the tape is the same, of damaged requests too", () => {
  const shuffled = Array.from({ length: 8 }, (_, seed) => mixedLogs(30, seed));
  const used = createIndexer();
  /** An indexer that has seen no order, with the same ids. */
  const unused = () => createIndexer(used.keys);
  const tapeOf = (result: ReturnType<typeof used.index>) =>
    "refused" in result ? result.refused : [result.rejected, ...result.batch.tape];
  for (const payload of [...shuffled, ...shuffled])
    expect(tapeOf(used.index("logs", payload, payload.length))).toEqual(
      tapeOf(unused().index("logs", payload, payload.length)),
    );
  fc.assert(
    fc.property(fc.nat(7), fc.nat(9_999), fc.nat(255), fc.boolean(), (seed, where, byte, isCut) => {
      const payload = mixedLogs(8, seed);
      const at = Math.floor((where / 10_000) * payload.length);
      payload[at] = byte;
      const length = isCut ? at : payload.length;
      const result = tapeOf(used.index("logs", payload.slice(), length));
      expect(result).toEqual(tapeOf(unused().index("logs", payload.slice(), length)));
      for (const sound of shuffled.slice(0, 2)) used.index("logs", sound, sound.length);
    }),
    { numRuns: 300, seed: 11 },
  );
});

test("a tape does not depend on the requests before it", () => {
  const long = encodeRequest("logs", {
    resourceLogs: [
      { scopeLogs: [{ logRecords: [{ body: { stringValue: "x".repeat(300_000) } }] }] },
    ],
  });
  const empty = Buffer.alloc(200_000, Buffer.from([0x12, 0x00]));
  // Lengths 200,000 + 4 and 200,000.
  const dense = Buffer.concat([Buffer.from("0ac49a0c12c09a0c", "hex"), empty]);
  const payloads = [dense, long, plainLogs(2_000), dense, plainLogs(3), long, dense];
  const used = createIndexer();
  for (const payload of payloads) {
    const result = used.index("logs", payload.slice(), payload.length);
    const fresh = createIndexer().index("logs", payload.slice(), payload.length);
    if ("refused" in result || "refused" in fresh) throw new Error("refused");
    expect(result.batch.tape.length).toBe(fresh.batch.tape.length);
    const { tape } = result.batch;
    let items = 0;
    for (let at = 0; at < tape.length; at += (tape[at] as number) >>> 2)
      if (((tape[at] as number) & 3) === NodeType.item) items++;
    expect(items).toBe(result.batch.items);
  }
});
