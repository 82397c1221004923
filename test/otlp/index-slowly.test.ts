import { spawnSync } from "node:child_process";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { mixedLogs, plainLogs, plainMetrics, plainSpans } from "../../bench/payloads.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import type { Signal } from "../../src/otlp/tape.ts";
import { leastCpuMs } from "../support/cpu.ts";
import { encodeRequest } from "../support/otlp.ts";
import { CROOKED, HUGE, type Huge } from "./huge.ts";
import { arbitraryRequest } from "./requests.ts";

const indexer = createIndexer();

async function isEqual(signal: Signal, bytes: Uint8Array) {
  const fast = indexer.index(signal, bytes.slice(), bytes.length);
  const slow = await indexer.indexSlowly(signal, bytes.slice(), bytes.length);
  if ("refused" in fast || "refused" in slow) {
    expect(slow).toEqual(fast);
    return slow;
  }
  expect([slow.rejected, slow.why]).toEqual([fast.rejected, fast.why]);
  expect(slow.batch.items).toBe(fast.batch.items);
  expect(Buffer.from(slow.batch.tape).equals(Buffer.from(fast.batch.tape))).toBe(true);
  expect(slow.batch.tape).toEqual(fast.batch.tape);
  const content = ({ bytes, length }: typeof slow.batch) => Buffer.from(bytes.subarray(0, length));
  expect(content(slow.batch).equals(content(fast.batch))).toBe(true);
  return slow;
}

/** Requests one behind the other are one request. */
function times(bytes: Uint8Array, count: number): Uint8Array {
  const memory = new Uint8Array(bytes.length * count);
  for (let i = 0; i < count; i++) memory.set(bytes, i * bytes.length);
  return memory;
}

test("a sliced pass gives the tape of a whole one", async () => {
  await isEqual("logs", times(plainLogs(700), 12));
  await isEqual("logs", times(mixedLogs(3_000, 1), 2));
  await isEqual("logs", plainLogs(9_000));
  await isEqual("traces", times(plainSpans(1_500), 3));
  await isEqual("metrics", times(plainMetrics(5_000), 2));
});

test("a tape is about as long as the one before: sparse, dense and mixed requests in turn, none larger than it need be", async () => {
  const plain = times(plainLogs(700), 3);
  const dense = times(Uint8Array.of(0x0a, 2, 0x12, 0), 1 << 14); // a GROUP of 18 ints for four bytes
  const kept: { tape: Int32Array; copy: Int32Array }[] = [];
  for (const bytes of [plain, plain, dense, plain, Buffer.concat([plain, dense]), dense]) {
    const answer = await isEqual("logs", bytes);
    if ("refused" in answer) throw new Error(answer.why);
    const { tape } = answer.batch;
    kept.push({ tape, copy: tape.slice() });
    if (bytes === plain) expect(tape.buffer.byteLength).toBeLessThan(1.2 * tape.byteLength);
  }
  for (const { tape, copy } of kept) expect(tape).toEqual(copy); // nobody else writes to it
});

test.for(Object.entries({ ...HUGE, ...CROOKED }))(
  "%s: huge, sound or damaged, gives the tape of a whole pass",
  async ([, { signal, make }]) => {
    const bytes = make(420_000);
    const answer = await isEqual(signal, bytes);
    expect(answer).toMatchObject({ rejected: 0 });
    for (const at of [0.3, 0.9].map((part) => Math.floor(bytes.length * part))) {
      const damaged = bytes.slice();
      damaged.fill(0xff, at, at + 11);
      await isEqual(signal, damaged);
    }
  },
);

test("small, damaged and refused requests end alike", async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryRequest, fc.nat(), async ({ signal, request }, at) => {
      const bytes = encodeRequest(signal, request);
      await isEqual(signal, bytes);
      if (bytes.length === 0) return;
      bytes[at % bytes.length] = at & 255;
      await isEqual(signal, bytes);
    }),
    { numRuns: 150, seed: 3 },
  );
  await isEqual("logs", new Uint8Array(900_000).fill(0x7f));
});

test("a tape over the limit is refused in slices too", async () => {
  const records = new Uint8Array(600_000);
  for (let at = 0; at < records.length; at += 2) records[at] = 0x12;
  const bytes = enclosed(0x0a, enclosed(0x12, records));
  expect(indexer.index("logs", bytes, bytes.length)).toMatchObject({ refused: "too_large" });
  await isEqual("logs", bytes);
});

test("other requests are indexed, and timers run, while a large one is under way", async () => {
  const bytes = times(plainLogs(1_000), 60);
  const expected = indexer.index("logs", bytes.slice(), bytes.length);
  const small = plainLogs(20);
  let isDone = false;
  let between = 0;
  const slow = indexer.indexSlowly("logs", bytes, bytes.length).finally(() => {
    isDone = true;
  });
  while (!isDone) {
    const answer = indexer.index("logs", small, small.length);
    expect("batch" in answer && answer.batch.items).toBe(20);
    between++;
    await new Promise(setImmediate);
  }
  const indexed = await slow;
  if ("refused" in indexed || "refused" in expected) throw new Error("refused");
  expect(between).toBeGreaterThan(1);
  expect(indexed.batch.tape).toEqual(expected.batch.tape);
});

test("a request whose outer shape is not canonical is put right in slices, its items copied as they are", async () => {
  const scopes = plainLogs(8_000);
  // The same ResourceLogs with its resource behind the scopes: an empty resource field is appended to it.
  let at = 1;
  while ((scopes[at] as number) > 127) at++;
  const content = Buffer.concat([scopes.subarray(at + 1), Uint8Array.of(0x0a, 0x00)]);
  const bytes = enclosed(0x0a, content);
  const index = () => {
    const indexed = indexer.index("logs", Uint8Array.from(bytes), bytes.length);
    if ("refused" in indexed) throw new Error(indexed.why);
    expect([indexed.batch.items, indexed.rejected]).toEqual([8_000, 0]);
  };
  expect(await leastCpuMs(index)).toBeLessThan(1_000);
  await isEqual("logs", bytes);
});

test("where most of an item is canonical, only the rest is re-encoded, in time that grows with its bytes", async () => {
  const attribute = Buffer.from("32080a016b12030a0176", "hex");
  const twoBodies = Buffer.from("2a030a01612a030a0162", "hex");
  const took = async (count: number) => {
    const record = Buffer.concat([twoBodies, ...Array.from({ length: count }, () => attribute)]);
    return leastCpuMs(() => {
      const bytes = enclosed(0x0a, enclosed(0x12, enclosed(0x12, record)));
      const indexed = indexer.index("logs", bytes, bytes.length);
      if ("refused" in indexed) throw new Error(indexed.why);
      expect([indexed.batch.items, indexed.rejected]).toEqual([1, 0]);
      expect(indexed.batch.tape[indexed.batch.tape.length - 4 * count - 16 + 6]).toBe(count);
    });
  };
  // 16 times the bytes; quadratic work would take 256 times as long.
  const few = Math.max(await took(500), 0.5);
  expect(await took(8_000)).toBeLessThan(80 * few);
});

/** A length-delimited field whose length takes four bytes. */
function enclosed(tag: number, content: Uint8Array): Uint8Array {
  const head = [tag, 0, 0, 0, 0];
  for (let i = 0; i < 4; i++)
    head[i + 1] = ((content.length >>> (7 * i)) & 127) | (i < 3 ? 128 : 0);
  return Buffer.concat([Uint8Array.from(head), content]);
}

test("millions of parts of one body cost no memory each", () => {
  // Four million views of parts would be some 400 MB.
  const heap = "--max-old-space-size=100";
  const script = join(import.meta.dirname, "many-parts-child.ts");
  const { stdout, stderr } = spawnSync(process.execPath, [heap, script], { encoding: "utf8" });
  expect([stdout, stderr]).toEqual(["0 rejected", ""]);
});

test("parts of parts of parts cost their record, not their size times their depth", () => {
  // 40 levels, each in two parts of which one is nearly all of it.
  let part = Buffer.alloc(6 << 20, 1);
  part = Buffer.concat([Uint8Array.of(0x0a), sized(part)]); // AnyValue.string_value
  for (let level = 0; level < 40; level++) {
    const list = Buffer.concat([Uint8Array.of(0x0a), sized(part)]);
    const more = Buffer.from("2a020a00", "hex");
    part = Buffer.concat([Uint8Array.of(0x2a), sized(list), more]);
  }
  const deep = Buffer.concat([Uint8Array.of(0x2a), sized(part)]);
  const fine = Buffer.from("2a030a0161", "hex");
  const records = [deep, fine].map((record) => Buffer.concat([Uint8Array.of(0x12), sized(record)]));
  const bytes = enclosed(0x0a, enclosed(0x12, Buffer.concat(records)));
  const indexed = indexer.index("logs", bytes, bytes.length);
  expect(indexed).toMatchObject({
    rejected: 1,
    why: "resourceLogs[0].scopeLogs[0].logRecords[0]: arrayValue comes in parts of parts of parts: too much to merge",
    batch: { items: 1 },
  });
});

/** `content` behind its length in four bytes. */
function sized(content: Uint8Array): Buffer<ArrayBuffer> {
  return Buffer.from(enclosed(0, content).subarray(1));
}

test("the memory of tape and copies is taken from the room before it is used", async () => {
  const { make } = CROOKED["points before the name of their metric"] as Huge;
  const bytes = make(2 << 20);
  let granted = 0;
  const room = (limit: number) => ({
    grow(more: number) {
      if (granted + more > limit) return false;
      granted += more;
      return true;
    },
  });
  const taken = await indexer.indexSlowly("metrics", bytes.slice(), bytes.length, room(64 << 20));
  if ("refused" in taken) throw new Error(taken.why);
  const { tape, length } = taken.batch;
  expect(granted).toBeGreaterThanOrEqual(tape.byteLength + length);
  expect(granted).toBeLessThan(2 * tape.byteLength + length + (6 << 20));
  const most = granted;
  for (const limit of [1_000, 3 << 20, most - 1]) {
    granted = 0;
    const answer = await indexer.indexSlowly("metrics", bytes.slice(), bytes.length, room(limit));
    expect(answer).toMatchObject({ refused: "exhausted" });
  }
});
