import { expect, test } from "vitest";
import { plainLogs } from "../../../bench/payloads.ts";
import { otlpWriter, putProtobuf } from "../../../src/kit/delivery/otlp-writer.ts";
import { type Pick, putBytes, RequestWriter } from "../../../src/kit/delivery/request-writer.ts";
import { makeSlab } from "../../../src/kit/delivery/slabs.ts";
import type { Batch } from "../../../src/otlp/batch.ts";
import { createIndexer } from "../../../src/otlp/indexing.ts";
import { pickItems } from "../../../src/otlp/pick.ts";
import type { Range } from "../../../src/otlp/range.ts";

const indexer = createIndexer();

function rangeOf(bytes: Uint8Array): Range<"logs"> {
  const indexed = indexer.index("logs", bytes, bytes.length);
  if ("refused" in indexed) throw new Error(indexed.why);
  const { batch } = indexed;
  const frame = { seq: 1, batch, arrivalMs: 0, note: new Uint8Array(0) };
  return { first: 1, last: 1, frames: [frame], items: batch.items };
}

/** A writer that copies batches, and what it had to cut out. */
function copying(isShort = false) {
  const picked: number[] = [];
  const pick: Pick = (indexer, batch, from, to) => {
    picked.push(to - from);
    return pickItems(indexer, batch, from, to);
  };
  const writer = new RequestWriter<"logs">(
    indexer,
    pick,
    ({ bytes, length }, out) => isShort || putBytes(bytes, length, out),
    isShort,
  );
  return { writer, picked };
}

test("a large frame goes into small requests without being copied again and again", () => {
  const range = rangeOf(plainLogs(3_000));
  const { writer, picked } = copying();
  const slab = makeSlab(20_000);
  let sent = 0;
  while (sent < range.items) {
    slab.length = 0;
    const { to, rows } = writer.write(range, sent, range.items, slab);
    expect(rows).toBe(to - sent);
    expect(slab.length).toBeGreaterThan(15_000);
    sent = to;
  }
  expect(picked.reduce((sum, items) => sum + items, 0)).toBeLessThan(2.2 * range.items);
});

test("a large frame that is asked for a few items at a time is looked at a few times only", () => {
  const range = rangeOf(plainLogs(3_000));
  const wholes: number[] = [];
  const pick: Pick = (indexer, batch, from, to) => {
    if (batch.items === range.items) wholes.push(to - from);
    return pickItems(indexer, batch, from, to);
  };
  const writer = otlpWriter<"logs">(indexer, pick, putProtobuf, true);
  const slab = makeSlab(1 << 20);
  for (let from = 0; from < range.items; from += 20) {
    slab.length = 0;
    expect(writer.write(range, from, from + 20, slab).to).toBe(from + 20);
    const batch = range.frames[0]?.batch as Batch<"logs">;
    const { bytes, length } = pickItems(indexer, batch, from, from + 20);
    expect(Buffer.compare(slab.bytes.subarray(0, slab.length), bytes.subarray(0, length))).toBe(0);
  }
  expect(wholes.length).toBeLessThan(15);
});

test("an item that is larger than a request is not copied to find that out", () => {
  const text = Buffer.alloc(60_000, "x").toString();
  const range = rangeOf(plainLogs(3));
  const large = rangeOf(Buffer.concat([plainLogs(1), record(text), plainLogs(2)]));
  const { writer, picked } = copying();
  const slab = makeSlab(50_000);
  expect(writer.write(range, 0, 3, slab).to).toBe(3);
  slab.length = 0;
  expect(writer.write(large, 0, 4, slab).to).toBe(1);
  slab.length = 0;
  expect(writer.write(large, 1, 2, slab).to).toBe(1);
  expect(writer.write(large, 2, 4, slab).to).toBe(4);
  expect(picked).toEqual([1, 2]);
});

test("what is written of an item may be shorter than the item", () => {
  const range = rangeOf(record("y".repeat(60_000)));
  expect(copying(true).writer.write(range, 0, 1, makeSlab(1_000)).to).toBe(1);
});

/** A request with one record. */
function record(text: string): Uint8Array {
  let bytes = Buffer.from(text);
  for (const tag of [0x0a, 0x2a, 0x12, 0x12, 0x0a]) {
    const { length } = bytes;
    const head = [tag, (length & 127) | 128, ((length >>> 7) & 127) | 128, length >>> 14];
    bytes = Buffer.concat([Uint8Array.from(head), bytes]);
  }
  return bytes;
}

test("a whole frame is sent as it lies in memory, where nothing has to be left out of it", () => {
  const range = rangeOf(plainLogs(100));
  const [frame] = range.frames;
  const { bytes, length } = frame?.batch ?? { bytes: new Uint8Array(0), length: 0 };
  const writer = otlpWriter<"logs">(indexer, pickItems, putProtobuf, false);
  const ready = writer.ready(range, 0, 100, length);
  expect(ready?.buffer, "not a copy").toBe(bytes.buffer);
  expect(ready?.length).toBe(length);
  expect(writer.ready(range, 0, 100, length - 1), "over the limit").toBeUndefined();
  expect(writer.ready(range, 1, 100, length), "a part").toBeUndefined();
  expect(writer.ready(range, 0, 99, length), "a part").toBeUndefined();
  const two = { ...range, frames: [...range.frames, ...range.frames], items: 200 };
  expect(writer.ready(two, 0, 200, 2 * length), "two frames become one request").toBeUndefined();
  expect(writer.ready(two, 100, 200, length)?.length, "the last of them").toBe(length);
  const { writer: other } = copying();
  expect(other.ready(range, 0, 100, length), "another format").toBeUndefined();
});
