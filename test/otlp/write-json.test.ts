import fc from "fast-check";
import { expect, test } from "vitest";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { writeRequestJson } from "../../src/otlp/write-json.ts";
import { decodeRequest, encodeRequest } from "../support/otlp.ts";
import { arbitraryRequest } from "./requests.ts";

const indexer = createIndexer();

test("OTLP/JSON of any batch is the request itself", () => {
  fc.assert(
    fc.property(arbitraryRequest, ({ signal, request }) => {
      const bytes = encodeRequest(signal, request);
      const result = indexer.index(signal, bytes, bytes.length);
      if ("refused" in result) throw new Error(result.why);
      const json = writeRequestJson(result.batch);
      const again = encodeRequest(signal, JSON.parse(json));
      expect(decodeRequest(signal, again)).toEqual(decodeRequest(signal, bytes));
    }),
    { numRuns: 200, seed: 3 },
  );
});
