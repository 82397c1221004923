import { expect, test } from "vitest";
import { createMemoryIo } from "../../src/journal/memory-io.ts";
import { routesOf } from "../../src/journal/routes.ts";
import { isRefusal, PipelineError } from "../../src/otlp/status.ts";
import {
  ALL,
  delivered,
  frameOf,
  imbalance,
  NO_LIMITS,
  never,
  testJournal,
  textOf,
} from "./fake.ts";
import { createFaultyIo, systemError } from "./faulty-io.ts";

async function started(options: Parameters<typeof testJournal>[0] = {}) {
  const journal = testJournal(options);
  await journal.start();
  return journal;
}

test.each([
  ["bytes", { ...NO_LIMITS, bytes: 10 }],
  ["items", { ...NO_LIMITS, items: 3 }],
  ["frames", { ...NO_LIMITS, frames: 1 }],
])("a queue full in %s refuses, all routes or none, and says which", async (unit, limits) => {
  const journal = await started();
  const narrow = journal.route("narrow/logs", "logs", "end", limits);
  const wide = journal.route("wide/logs", "logs", "end", { ...NO_LIMITS, frames: 1 });
  const both = routesOf([narrow.route, wide.route]);
  const first = journal.reserve(routesOf([narrow.route]), 7, 2);
  if (isRefusal(first)) throw new Error(first.why);
  const second = journal.reserve(both, 7, 2);
  expect(second).toMatchObject({ kind: "refused", retryAfterMs: 1_000 });
  expect(isRefusal(second) && second.why).toMatch(new RegExp(`narrow/logs.*${unit}`));
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  expect(isRefusal(journal.reserve(both, 7, 2))).toBe(false);
});

test("what can never fit is too large; a full journal refuses", async () => {
  const journal = await started({ maxBytes: 100_000, maxFrames: 2 });
  const reader = journal.route("a/logs", "logs", "end", { ...NO_LIMITS, bytes: 200_000 });
  const routes = routesOf([reader.route]);
  expect(journal.reserve(routes, 200_001, 1)).toMatchObject({ kind: "refused" });
  expect(journal.reserve(routes, 99_900, 1)).toMatchObject({
    kind: "refused",
    why: /journal is full/,
  });
  await journal.append([frameOf("one", [reader.route]), frameOf("two", [reader.route])]);
  expect(journal.reserve(routes, 1, 1)).toMatchObject({ kind: "refused", why: /2 of 2 frames/ });
  const narrow = journal.route("b/logs", "logs", "end", { ...NO_LIMITS, bytes: 10 });
  const wider = await started();
  const small = wider.route("b/logs", "logs", "end", { ...NO_LIMITS, bytes: 10 });
  expect(narrow.route).toBe(1);
  expect(wider.reserve(routesOf([small.route]), 11, 1)).toMatchObject({
    kind: "too_large",
    retryAfterMs: 0,
  });
});

test("drop_oldest drops what is in nobody's hands, and counts it", async () => {
  const journal = await started();
  const reader = journal.route("a/logs", "logs", "end", {
    ...NO_LIMITS,
    frames: 3,
    onFull: "drop_oldest",
  });
  const routes = routesOf([reader.route]);
  await journal.append(["one", "two", "three"].map((text) => frameOf(text, [reader.route], 2)));
  const flying = await reader.read({ bytes: 1, items: 1 }, never);
  expect(isRefusal(journal.reserve(routes, 4, 1))).toBe(false);
  expect(reader.counts().dropped).toEqual(new Map([["queue_full", 2]]));
  reader.settle(flying, delivered(flying));
  const rest = await reader.read(ALL, never);
  expect(rest.frames.map(({ batch }) => textOf(batch))).toEqual(["three"]);
  expect(imbalance(reader.counts())).toBe(0);
});

test("drop_oldest refuses nobody when all that waits is in the reader's hands: the newcomer is dropped, and counted", async () => {
  const io = createMemoryIo();
  const journal = await started({ io });
  const limits = { ...NO_LIMITS, frames: 1, onFull: "drop_oldest" } as const;
  const drops = journal.route("drops/logs", "logs", "end", limits);
  const other = journal.route("other/logs", "logs", "end", NO_LIMITS);
  const both = [drops.route, other.route];
  await journal.append([frameOf("one", both)]);
  const flying = await drops.read(ALL, never);
  const space = journal.reserve(routesOf(both), 4, 5);
  if (isRefusal(space)) throw new Error(space.why);
  await journal.append([frameOf("two", both, 5)]);
  space[Symbol.dispose]();
  const expected = { appended: 6, queuedItems: 1, dropped: new Map([["queue_full", 5]]) };
  expect(drops.counts()).toMatchObject(expected);
  expect(other.counts()).toMatchObject({ appended: 6, queuedItems: 6 });
  drops.settle(flying, delivered(flying));
  await journal.append([frameOf("three", both)]);
  expect((await drops.read(ALL, never)).items).toBe(1);
  const again = await started({ io });
  const after = again.route("drops/logs", "logs", "end", NO_LIMITS).counts();
  expect(after).toMatchObject({ appended: 7, delivered: 1, queuedItems: 1 });
  expect(after.dropped).toEqual(expected.dropped);
  expect(imbalance(after)).toBe(0);
});

test("skip counts what the full route did not get; the others get it; a restart agrees", async () => {
  const io = createMemoryIo();
  const journal = await started({ io });
  const skips = journal.route("skips/logs", "logs", "end", {
    ...NO_LIMITS,
    frames: 1,
    onFull: "skip",
  });
  const other = journal.route("other/logs", "logs", "end", NO_LIMITS);
  const both = [skips.route, other.route];
  await journal.append([frameOf("one", both)]);
  expect(isRefusal(journal.reserve(routesOf(both), 4, 5))).toBe(false);
  await journal.append([frameOf("two", both, 5)]);
  const expected = { appended: 6, queuedItems: 1, dropped: new Map([["skipped", 5]]) };
  expect(skips.counts()).toMatchObject(expected);
  expect(other.counts()).toMatchObject({ appended: 6, queuedItems: 6 });
  const again = await started({ io });
  expect(again.route("skips/logs", "logs", "end", NO_LIMITS).counts()).toMatchObject(expected);
});

test("a failed fsync rejects its group and poisons the segment; the next group goes on", async () => {
  let failing = false;
  const synced: string[] = [];
  const io = createFaultyIo(createMemoryIo(), (operation, name) => {
    if (operation !== "datasync" || !name.endsWith("segment")) return;
    if (failing) throw systemError("EIO");
    synced.push(name);
  });
  const journal = await started({ io });
  const reader = journal.route("a/logs", "logs", "end", NO_LIMITS);
  await journal.append([frameOf("one", [reader.route])]);
  failing = true;
  const failed = journal.append([frameOf("two", [reader.route])]);
  await expect(failed).rejects.toThrow(PipelineError);
  await expect(failed).rejects.toMatchObject({ kind: "unavailable", retryAfterMs: 1_000 });
  failing = false;
  await journal.append([frameOf("three", [reader.route])]);
  expect(synced).toEqual(["00000001.segment", "00000002.segment"]);
  expect(journal.stats()).toMatchObject({ fsyncFailures: 1, segments: 2 });
  const again = await started({ io });
  const range = await again.route("a/logs", "logs", "end", NO_LIMITS).read(ALL, never);
  expect(range.frames.map(({ batch }) => textOf(batch))).toEqual(["one", "three"]);
});

test("a full disk refuses with a pause, releases the reserve, and recovers by itself", async () => {
  let full = false;
  const io = createFaultyIo(createMemoryIo(), (operation) => {
    if (operation === "write" && full) throw systemError("ENOSPC");
  });
  const journal = await started({ io, reserveBytes: 1_000 });
  const reader = journal.route("a/logs", "logs", "end", NO_LIMITS);
  await journal.append([frameOf("one", [reader.route])]);
  expect(await io.list()).toContain("reserve");
  full = true;
  await expect(journal.append([frameOf("two", [reader.route])])).rejects.toMatchObject({
    kind: "unavailable",
    retryAfterMs: 5_000,
    why: "the disk is full",
  });
  expect(await io.list()).not.toContain("reserve");
  const range = await reader.read(ALL, never);
  reader.settle(range, delivered(range));
  full = false;
  await journal.append([frameOf("three", [reader.route])]);
  expect(reader.counts()).toMatchObject({ appended: 2, delivered: 1, queuedItems: 1 });
  expect(await io.list()).toContain("reserve");
});

test("a directory that became read-only refuses and says so; what is queued is still delivered, and it goes on once it can", async () => {
  let isReadOnly = false;
  const io = createFaultyIo(createMemoryIo(), (operation) => {
    if (isReadOnly && ["write", "rename", "remove"].includes(operation)) throw systemError("EROFS");
  });
  const journal = await started({ io });
  const reader = journal.route("a/logs", "logs", "end", NO_LIMITS);
  await journal.append([frameOf("before", [reader.route])]);
  isReadOnly = true;
  const refused = journal.append([frameOf("meanwhile", [reader.route])]);
  await expect(refused).rejects.toThrow(PipelineError);
  await expect(refused).rejects.toThrow(/the journal cannot write: EROFS/);
  const range = await reader.read(ALL, never);
  expect(range.frames.map(({ batch }) => textOf(batch))).toEqual(["before"]);
  reader.settle(range, delivered(range));
  isReadOnly = false;
  await journal.append([frameOf("after", [reader.route])]);
  const after = (await started({ io })).route("a/logs", "logs", "end", NO_LIMITS);
  expect((await after.read(ALL, never)).frames.map(({ batch }) => textOf(batch))).toEqual([
    "after",
  ]);
  expect(after.counts()).toMatchObject({ appended: 2, delivered: 1 });
});

test("what the disk cannot read back is dropped and counted; the rest is delivered", async () => {
  let broken = false;
  const io = createFaultyIo(createMemoryIo(), (operation) => {
    if (operation === "read" && broken) throw systemError("EIO");
  });
  const journal = await started({ io, cacheBytes: 40 });
  const reader = journal.route("a/logs", "logs", "end", NO_LIMITS);
  await journal.append([frameOf("old", [reader.route], 3), frameOf("new", [reader.route], 2)]);
  broken = true;
  const range = await reader.read(ALL, never);
  expect(range.frames.map(({ batch }) => textOf(batch))).toEqual(["new"]);
  reader.settle(range, delivered(range));
  expect(reader.counts()).toMatchObject({
    delivered: 2,
    queuedItems: 0,
    dropped: new Map([["corrupt", 3]]),
  });
  expect(journal.stats().quarantined).toEqual(new Map([["unreadable", 1]]));
});

test("segments go when every route has passed them and retention is over", async () => {
  let now = 0;
  const journal = await started({
    segmentBytes: 600,
    maxBytes: 1 << 20,
    retainMs: 500,
    nowMs: () => now,
  });
  const a = journal.route("a/logs", "logs", "end", NO_LIMITS);
  const b = journal.route("b/logs", "logs", "end", NO_LIMITS);
  for (let i = 0; i < 8; i++) await journal.append([frameOf("x".repeat(500), [a.route, b.route])]);
  const many = journal.stats().segments;
  expect(many).toBe(8);
  for (const reader of [a, b]) {
    const range = await reader.read(ALL, never);
    reader.settle(range, delivered(range));
    await journal.append([frameOf("tick", [b.route])]);
    expect(journal.stats().segments).toBeGreaterThanOrEqual(many);
  }
  now = 10_000;
  const rest = await b.read(ALL, never);
  b.settle(rest, delivered(rest));
  await journal.append([frameOf("tock", [a.route])]);
  await journal.append([frameOf("tock", [a.route])]);
  now = 20_000;
  await journal.append([frameOf("tock", [a.route])]);
  await expect.poll(() => journal.stats().segments).toBeLessThanOrEqual(4);
  await journal.stop(never);
});

test("segments go also when settlements never pause", async () => {
  const { journal, reader } = await (async () => {
    const journal = await started({ segmentBytes: 2_000, maxBytes: 1 << 20 });
    return { journal, reader: journal.route("a/logs", "logs", "end", NO_LIMITS) };
  })();
  await journal.append([frameOf("first", [reader.route])]);
  for (let i = 0; i < 100; i++) {
    const appended = journal.append([frameOf("x".repeat(300), [reader.route])]);
    const range = await reader.read(ALL, never);
    reader.settle(range, delivered(range));
    await appended;
    await expect.poll(() => journal.stats().segments).toBeLessThanOrEqual(3);
  }
});
