import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { FrameCache } from "../../src/journal/frame-cache.ts";
import type { Reader, Tally } from "../../src/journal/journal.ts";
import { createMemoryIo } from "../../src/journal/memory-io.ts";
import { Flights } from "../../src/journal/route-state.ts";
import type { Range, Stored } from "../../src/otlp/range.ts";
import { AwaitedReader } from "../../src/service/results.ts";
import { ALL, batchOf, never } from "./fake.ts";

const BYTES = 10_000;
const NOTHING: Tally = { delivered: 0, unconfirmed: 0, deadLettered: 0, dropped: new Map() };

/** What a frame of BYTES weighs: the fake's tape has eight ints. */
const WEIGHT = BYTES + 32;

function frame(seq: number, bytes = BYTES): Stored {
  return { seq, batch: batchOf("x".repeat(bytes - 1)), arrivalMs: 0, note: new Uint8Array(0) };
}

describe("the cache of frames", () => {
  it("gives each frame until it is forgotten, past its first places and round its end", () => {
    const cache = new FrameCache(1_000 * WEIGHT);
    const frames = new Map<number, Stored>();
    let oldest = 1;
    for (let seq = 1; seq <= 1_000; seq++) {
      const one = frame(seq * 3);
      frames.set(seq * 3, one);
      cache.add(one);
      if (seq % 7 === 0) {
        oldest += 12;
        cache.forget(oldest - 1);
      }
      expect(cache.get(seq * 3)).toBe(one);
      expect(cache.get(seq * 3 - 1)).toBeUndefined();
    }
    for (const [seq, one] of frames) expect(cache.get(seq)).toBe(seq < oldest ? undefined : one);
    cache.forget(3_000);
    expect(cache.bytes).toBe(0);
    expect(cache.get(3_000)).toBeUndefined();
  });

  it("keeps the newest within its bytes, and none that is larger than all of them", () => {
    const cache = new FrameCache(3 * WEIGHT);
    for (let seq = 1; seq <= 5; seq++) cache.add(frame(seq));
    cache.add(frame(6, 3 * WEIGHT));
    const held = [1, 2, 3, 4, 5, 6].filter((seq) => cache.get(seq) !== undefined);
    expect(held).toEqual([3, 4, 5]);
    expect(cache.bytes).toBe(3 * WEIGHT);
  });
});

/** External memory that stays when `turn` has come many times, with no more than collections of the young generation. */
async function left(turn: (seq: number) => unknown): Promise<number> {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as NonNullable<typeof globalThis.gc>;
  gc();
  gc();
  const before = process.memoryUsage().arrayBuffers;
  for (let seq = 1; seq <= 2_000; seq++) {
    await turn(seq);
    if (seq % 50 === 0) gc({ type: "minor", execution: "sync" });
  }
  return process.memoryUsage().arrayBuffers - before;
}

describe("frames that every route is past go with the young generation, not at the next full collection", () => {
  const few = 200 * BYTES;

  it("in the cache", async () => {
    const cache = new FrameCache(1_000 * WEIGHT);
    const bytes = await left((seq) => {
      cache.add(frame(seq));
      cache.forget(seq - 20);
    });
    expect(bytes).toBeLessThan(few);
  });

  it("in the hands of a reader", async () => {
    const flights = new Flights();
    const out: Range[] = [];
    const bytes = await left((seq) => {
      const range = { first: seq, last: seq, frames: [frame(seq)], items: 1 };
      const flight = { interval: [seq, seq] as const, items: 1, bytes: BYTES, frames: 1, lost: 0 };
      flights.set(range, flight);
      expect(flights.get(range)).toBe(flight);
      if (out.push(range) < 5) return;
      const settled = out.shift();
      if (settled !== undefined) flights.delete(settled);
      expect(settled && flights.get(settled)).toBeUndefined();
    });
    expect(bytes).toBeLessThan(few);
  });

  it("in a memory queue's segments", async () => {
    const io = createMemoryIo();
    const bytes = await left(async (seq) => {
      const file = await io.open(`${seq}`, "append");
      await file.write([new Uint8Array(BYTES)], 0);
      if (seq > 5) await io.remove(`${seq - 5}`);
    });
    expect(bytes).toBeLessThan(few);
  });

  it("where an acknowledgement waits for the answer", async () => {
    const waiting: Range[] = [];
    const reader: Reader = {
      name: "one",
      route: 1,
      signal: "logs",
      read: async () => waiting.shift() ?? Promise.reject(new Error("nothing waits")),
      settle() {},
      counts: () => {
        throw new Error("not counted here");
      },
    };
    const awaited = new AwaitedReader(reader);
    const out: Range[] = [];
    const answers: Promise<void>[] = [];
    const bytes = await left(async (seq) => {
      const range = { first: seq, last: seq, frames: [frame(seq)], items: 1 };
      for (const { batch } of range.frames) answers.push(awaited.result(batch));
      waiting.push(range);
      if (out.push(await awaited.read(ALL, never)) < 5) return;
      const settled = out.shift();
      if (settled !== undefined) awaited.settle(settled, NOTHING);
    });
    await Promise.all(answers.slice(0, 1_996));
    expect(bytes).toBeLessThan(few);
  });
});
