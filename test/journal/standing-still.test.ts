import { expect, onTestFinished, test, vi } from "vitest";
import type { Reader } from "../../src/journal/journal.ts";
import { createMemoryIo } from "../../src/journal/memory-io.ts";
import { ALL, delivered, frameOf, NO_LIMITS, never, testJournal, textOf } from "./fake.ts";
import { createFaultyIo } from "./faulty-io.ts";

/** A journal with a route that is read at once and one that stands still, a clock to turn, and how often the disk was read. */
async function standing(cacheBytes: number) {
  let aheadMs = 0;
  const now = performance.now.bind(performance);
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + aheadMs);
  onTestFinished(() => clock.mockRestore());
  let reads = 0;
  const io = createFaultyIo(createMemoryIo(), (operation) => {
    if (operation === "read") reads += 1;
  });
  const journal = testJournal({ io, cacheBytes });
  await journal.start();
  const live = journal.route("live/logs", "logs", "end", NO_LIMITS);
  const still = journal.route("still/logs", "logs", "end", NO_LIMITS);
  const take = async (reader: Reader) => {
    const range = await reader.read(ALL, never);
    reader.settle(range, delivered(range));
    return range.frames.map(({ batch }) => textOf(batch));
  };
  return {
    live,
    still,
    take,
    append: (text: string, routes = [live.route, still.route]) =>
      journal.append([frameOf(text, routes)]),
    pass: (ms: number) => {
      aheadMs += ms;
    },
    reads: () => reads,
  };
}

test("a route that was read a moment ago finds its next frames in memory", async () => {
  const { live, still, take, append, reads } = await standing(1 << 20);
  for (const text of ["a", "b"]) {
    await append(text);
    await take(live);
  }
  expect(await take(still)).toEqual(["a", "b"]);
  expect(reads()).toBe(0);
});

test("a route that stands still keeps nothing in memory, gets everything from the disk, and is quick again then", async () => {
  const { live, still, take, append, pass, reads } = await standing(1 << 20);
  await append("a");
  await take(live);
  pass(2_500);
  await append("b");
  await take(live);
  expect(await take(still)).toEqual(["a", "b"]);
  const before = reads();
  expect(before).toBeGreaterThan(0);
  await append("c");
  await take(live);
  expect(await take(still)).toEqual(["c"]);
  expect(reads()).toBe(before);
});

test("a route that is far behind and takes a little now and then keeps nothing in memory", async () => {
  const { live, still, append, take, pass, reads } = await standing(1 << 20);
  const texts = ["a", "b", "c", "d", "e", "f"];
  for (const text of texts.slice(0, 4)) {
    await append(text);
    await take(live);
    pass(1_000);
  }
  const found: string[] = [];
  const takeOne = async () => {
    const range = await still.read({ ...ALL, items: 1 }, never);
    still.settle(range, delivered(range));
    found.push(...range.frames.map(({ batch }) => textOf(batch)));
  };
  await takeOne();
  for (const text of texts.slice(4)) {
    await append(text);
    await take(live);
  }
  const before = reads();
  while (found.length < texts.length) await takeOne();
  expect(found).toEqual(texts);
  expect(reads() - before).toBe(texts.length - 1);
});

test("for a route that rests nothing is kept, and again from then on when it does not", async () => {
  const { live, still, take, append, reads } = await standing(1 << 20);
  await append("a");
  still.rest?.(true);
  await take(live);
  await append("b");
  await take(live);
  expect(await take(still)).toEqual(["a", "b"]);
  const before = reads();
  expect(before).toBeGreaterThan(0);
  still.rest?.(false);
  await append("c");
  await take(live);
  expect(await take(still)).toEqual(["c"]);
  expect(reads()).toBe(before);
});

test("a reader that waits for more keeps what came so far", async () => {
  const { live, still, take, append, pass, reads } = await standing(1 << 20);
  const range = still.read({ ...ALL, minItems: 2, waitMs: 60_000 }, never);
  await append("a");
  await take(live);
  pass(10_000);
  await append("b");
  await take(live);
  expect((await range).frames.map(({ batch }) => textOf(batch))).toEqual(["a", "b"]);
  expect(reads()).toBe(0);
});

test("a route so far behind that its next frame is on the disk only keeps no others in memory", async () => {
  const { live, still, take, append, reads } = await standing(120);
  const texts = Array.from({ length: 100 }, (_, i) => String(i % 10));
  for (const text of texts) {
    await append(text);
    await take(live);
  }
  expect(await take(still)).toEqual(texts);
  expect(reads()).toBeGreaterThan(0);
  expect(live.counts().queuedItems).toBe(0);
});

test("a route whose frames come seldom finds them in memory, whatever came for others since its last one", async () => {
  const { live, still, take, append, reads } = await standing(1 << 20);
  await append("a");
  await take(live);
  await take(still);
  for (let i = 0; i < 20; i++) {
    await append("other", [live.route]);
    await take(live);
  }
  await append("b");
  await take(live);
  expect(await take(still)).toEqual(["b"]);
  expect(reads()).toBe(0);
});
