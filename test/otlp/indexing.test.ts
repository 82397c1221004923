import fc from "fast-check";
import { expect, test } from "vitest";
import { createIndexer } from "../../src/otlp/indexing.ts";
import type { SIGNALS } from "../../src/otlp/tape.ts";
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
