import fc from "fast-check";
import { expect, test } from "vitest";
import { lineShapeRemover } from "../../../src/kit/delivery/line-shape.ts";
import type { Indexer } from "../../../src/otlp/indexer.ts";
import { createIndexer } from "../../../src/otlp/indexing.ts";
import { withSlack } from "../../../src/wire/slack.ts";
import { lineDoor } from "../../support/line-door.ts";
import { decodeRequest, encodeRequest } from "../../support/otlp.ts";

const MARKS = ["weir.tags", "weir.uint", "weir.trace_id", "weir.span_id"];

function request(records: readonly (readonly string[])[]): Uint8Array {
  const logRecords = records.map((keys) => ({
    body: { stringValue: "x" },
    attributes: keys.map((key) => ({ key, value: { stringValue: "v" } })),
  }));
  return encodeRequest("logs", { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
}

function batchOf(indexer: Indexer, bytes: Uint8Array) {
  const indexed = indexer.index("logs", withSlack(bytes), bytes.length);
  if ("refused" in indexed) throw new Error(indexed.why);
  return indexed.batch;
}

test("what has no line shape keeps its batch, before and after a line was met", () => {
  const indexer = createIndexer();
  const strip = lineShapeRemover(indexer.keys);
  const plain = () => batchOf(indexer, request([["a", "b"], ["a"]]));
  const first = plain();
  expect(strip(first)).toBe(first);
  const line = batchOf(indexer, request([["weir.tags", "a"]]));
  expect(strip(line)).not.toBe(line);
  const later = plain();
  expect(strip(later)).toBe(later);
});

test("an unsigned value above int64 is text where its mark is taken away, and no negative number", () => {
  const indexer = createIndexer();
  const line = 'm big=18446744073709551615u,a"b=9223372036854775808u,u=7u,b=-1i 1';
  const bytes = lineDoor([])(line, 1_732_000_000_123);
  const { bytes: left, length } = lineShapeRemover(indexer.keys)(batchOf(indexer, bytes));
  expect(decodeRequest("logs", left.subarray(0, length))).toMatchObject({
    resourceLogs: [
      {
        scopeLogs: [
          {
            logRecords: [
              {
                attributes: [
                  { key: "big", value: { stringValue: "18446744073709551615" } },
                  { key: 'a"b', value: { stringValue: "9223372036854775808" } },
                  { key: "u", value: { intValue: "7" } },
                  { key: "b", value: { intValue: "-1" } },
                ],
              },
            ],
          },
        ],
      },
    ],
  });
  // Whoever sends such a mark may write anything.
  const forged = batchOf(indexer, request([["weir.uint", "a"]]));
  expect(lineShapeRemover(indexer.keys)(forged).items).toBe(1);
});

test("batch after batch of one process, what is left is what a filter over decoded records leaves", () => {
  // As at the door: an item that has another mark has the tags, too.
  const marks = fc
    .subarray(MARKS.slice(1))
    .map((others) => (others.length === 0 ? [] : ["weir.tags", ...others]));
  const keys = fc
    .tuple(fc.subarray(["a", "b", "weir.other", "weir.tag"]), marks)
    .map(([own, shape]) => [...shape, ...own]);
  const batches = fc.array(fc.array(keys, { minLength: 1, maxLength: 4 }), { maxLength: 4 });
  fc.assert(
    fc.property(batches, (all) => {
      const indexer = createIndexer();
      const strip = lineShapeRemover(indexer.keys);
      for (const records of all) {
        const { bytes, length } = strip(batchOf(indexer, request(records)));
        const expected = records.map((names) => names.filter((name) => !MARKS.includes(name)));
        const left = decodeRequest("logs", bytes.subarray(0, length));
        expect(left).toEqual(decodeRequest("logs", request(expected)));
      }
    }),
    { numRuns: 200 },
  );
});
