import fc from "fast-check";
import { expect, test } from "vitest";
import { plainLogs } from "../../bench/payloads.ts";
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
