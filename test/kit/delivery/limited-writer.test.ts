import fc from "fast-check";
import { expect, test } from "vitest";
import type { AttributeLimits } from "../../../src/kit/delivery/attribute-limits.ts";
import { LimitedOtlpWriter } from "../../../src/kit/delivery/limited-writer.ts";
import { putProtobuf } from "../../../src/kit/delivery/otlp-writer.ts";
import { makeSlab } from "../../../src/kit/delivery/slabs.ts";
import { pickItems } from "../../../src/otlp/pick.ts";
import { batchOfSignal, indexer, rangeOf } from "../../support/line-writing.ts";
import { decodeRequest, encodeRequest, type Json } from "../../support/otlp.ts";

const LIMITS: AttributeLimits = {
  count: 3,
  keyBytes: 6,
  valueBytes: 8,
  totalBytes: 30,
  isFlat: false,
};

interface Pair {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: string };
}

/** The records of a request that one write makes of these attributes, and what was told of them. */
function written(records: readonly (readonly Pair[])[], limits: AttributeLimits) {
  const told = new Map<string, number>();
  const writer = new LimitedOtlpWriter<"logs">({
    indexer,
    pick: pickItems,
    put: putProtobuf,
    limits: { maxAgeMs: 0, maxAheadMs: 0, attributes: limits },
    nowMs: () => 0,
    leftOut: (reason, n) => told.set(reason, (told.get(reason) ?? 0) + n),
  });
  const logRecords = records.map((attributes) => ({ attributes, severityNumber: 9 }));
  const bytes = encodeRequest("logs", { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
  const slab = makeSlab(1 << 20);
  const range = rangeOf([batchOfSignal("logs", bytes)], 0);
  const ready = writer.ready(range, 0, records.length, 1 << 20);
  const result = writer.write(range, 0, records.length, slab);
  const out = slab.bytes.slice(0, slab.length);
  const { resourceLogs = [] } = decodeRequest("logs", out) as {
    resourceLogs?: { scopeLogs: { logRecords: Json[] }[] }[];
  };
  const got = resourceLogs
    .flatMap(({ scopeLogs }) => scopeLogs.flatMap((scope) => scope.logRecords))
    .map((record) => (record["attributes"] ?? []) as Pair[]);
  return { got, told, result, ready, bytes: Buffer.from(bytes), out: Buffer.from(out) };
}

/** The same, slowly. */
function slowly(pairs: readonly Pair[], limits: AttributeLimits) {
  const kept: Pair[] = [];
  let cut = 0;
  let { count, totalBytes } = limits;
  for (const { key, value } of pairs) {
    const name = Buffer.byteLength(key);
    if (name > limits.keyBytes) continue;
    const text = value.stringValue ?? String(value.intValue);
    const isText = value.stringValue !== undefined;
    let end = text;
    while (isText && Buffer.byteLength(end) > limits.valueBytes)
      end = [...end].slice(0, -1).join("");
    // What a text may take: it is cut between characters, which can be a few bytes earlier.
    const most = isText ? limits.valueBytes : Number.POSITIVE_INFINITY;
    const size = name + Math.min(Buffer.byteLength(text), most);
    if (count < 1 || size > totalBytes) continue;
    count -= 1;
    totalBytes -= size;
    if (end !== text) cut += 1;
    kept.push(end === text ? { key, value } : { key, value: { stringValue: end } });
  }
  return { kept, cut };
}

const pair = fc.record({
  key: fc.string({ unit: fc.constantFrom("a", "b", "é"), minLength: 1, maxLength: 5 }),
  value: fc.oneof(
    fc.record({
      stringValue: fc.string({ unit: fc.constantFrom("v", "w", "é", "𝄞"), maxLength: 12 }),
    }),
    fc.record({ intValue: fc.bigInt({ min: -(2n ** 40n), max: 2n ** 40n }).map(String) }),
  ),
});
const record = fc.uniqueArray(pair, { selector: ({ key }) => key, maxLength: 6 });

test("whatever attributes there are, those that fit are kept in their order, and each other one is told", () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 4 }), (records) => {
      const { got, told, result, ready, out } = written(records, LIMITS);
      // Only what is within all limits is sent as it lies there.
      if (told.size > 0) expect(ready).toBeUndefined();
      if (ready !== undefined) expect(Buffer.from(ready)).toEqual(out);
      const expected = records.map((pairs) => slowly(pairs, LIMITS));
      expect(got).toEqual(expected.map(({ kept }) => kept));
      expect(result).toMatchObject({ to: records.length, rows: records.length });
      const cut = expected.reduce((sum, one) => sum + one.cut, 0);
      const gone = records.flat().length - expected.flatMap(({ kept }) => kept).length;
      expect([...told.values()].reduce((sum, n) => sum + n, 0)).toBe(gone + cut);
      expect(told.get("value_cut") ?? 0).toBe(cut);
    }),
    { numRuns: 200, seed: 11 },
  );
});

test("what is within its limits keeps its bytes", () => {
  const attributes = [
    { key: "abc", value: { stringValue: "12345678" } },
    { key: "é", value: { intValue: "5" } },
  ];
  const { out, bytes, told } = written([attributes, []], LIMITS);
  expect(out).toEqual(bytes);
  const { ready = [], bytes: small } = written([[], []], LIMITS);
  expect(Buffer.from(ready)).toEqual(small);
  expect(told.size).toBe(0);
});

test("what did not fit into a request is told when it is in one", () => {
  const many = Array.from({ length: 5 }, (_, i) => ({ key: `k${i}`, value: { intValue: "1" } }));
  const { told } = written([many], LIMITS);
  expect(told).toEqual(new Map([["too_many", 2]]));
});

test("only one whole frame that is within all limits is sent as it lies in memory", () => {
  const now = 100 * 3_600_000;
  const request = (ageMs: number, text: string) =>
    batchOfSignal(
      "logs",
      encodeRequest("logs", {
        resourceLogs: [
          {
            scopeLogs: [
              {
                logRecords: [
                  { timeUnixNano: `${now - ageMs}000000`, body: { stringValue: text } },
                  { body: { stringValue: "without a time" } },
                ],
              },
            ],
          },
        ],
      }),
    );
  const limits = {
    maxAgeMs: 3_600_000,
    maxAheadMs: 1_000,
    body: { bytes: 32, marks: 0, mark: () => {} },
  };
  const make = (put: typeof putProtobuf<"logs">) =>
    new LimitedOtlpWriter<"logs">({
      ...{ indexer, pick: pickItems, put, limits },
      ...{ nowMs: () => now, leftOut: () => {} },
    });
  const writer = make(putProtobuf);
  const fine = request(0, "x".repeat(32));
  const isReady = (batch: typeof fine) => writer.ready(rangeOf([batch], 0), 0, 2, 1 << 20);
  expect(isReady(fine)?.buffer).toBe(fine.bytes.buffer);
  expect(isReady(request(3_600_001, "old"))).toBeUndefined();
  expect(isReady(request(-1_001, "of tomorrow"))).toBeUndefined();
  expect(isReady(request(0, "x".repeat(33)))).toBeUndefined();
  const two = rangeOf([fine, fine], 0);
  expect(writer.ready(two, 2, 4, 1 << 20)).toHaveLength(fine.length);
  expect(writer.ready(two, 0, 4, 1 << 20)).toBeUndefined();
  expect(writer.ready(two, 0, 1, 1 << 20)).toBeUndefined();
  expect(writer.ready(two, 0, 2, fine.length - 1)).toBeUndefined();
  const other = make((batch, out) => putProtobuf(batch, out));
  expect(other.ready(two, 0, 2, 1 << 20)).toBeUndefined();
});
