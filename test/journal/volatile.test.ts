import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { createMemoryIo } from "../../src/journal/memory-io.ts";
import { routesOf } from "../../src/journal/routes.ts";
import { isRefusal } from "../../src/otlp/status.ts";
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

test("a volatile journal reads old frames back, keeps the law and lets segments go", async () => {
  const io = createMemoryIo();
  const journal = testJournal({
    io,
    isVolatile: true,
    fsync: false,
    cacheBytes: 0,
    segmentBytes: 64 << 10,
    flushMs: 1,
  });
  await journal.start();
  const reader = journal.route("a/logs", "logs", "end", NO_LIMITS);
  const text = "x".repeat(20_000);
  for (let i = 0; i < 20; i++) await journal.append([frameOf(`${i}${text}`, [reader.route], 2)]);
  const range = await reader.read(ALL, never);
  expect(range.frames.map(({ batch }) => textOf(batch))).toEqual(
    Array.from({ length: 20 }, (_, i) => `${i}${text}`),
  );
  expect(imbalance(reader.counts())).toBe(0);
  expect(journal.stats().segments).toBeGreaterThan(5);
  reader.settle(range, delivered(range));
  await expect.poll(() => journal.stats().segments).toBe(1);
  expect(reader.counts()).toMatchObject({ appended: 40, delivered: 40, queuedItems: 0 });
  await journal.stop(never);
});

test("a volatile journal writes no checksum of what frames hold, and no checkpoint", async () => {
  const sizes: number[] = [];
  const bodyCrcs: number[] = [];
  for (const isVolatile of [true, false]) {
    const io = createMemoryIo();
    const journal = testJournal({ io, isVolatile, fsync: false });
    await journal.start();
    const reader = journal.route("a/logs", "logs", "end", NO_LIMITS);
    await journal.append([frameOf("text", [reader.route])]);
    const [name = ""] = (await io.list()).filter((one) => one.endsWith(".segment"));
    const file = await io.open(name, "read");
    const bytes = new Uint8Array(await file.size());
    await file.read(bytes, 0);
    sizes.push(bytes.length);
    // of the last record: its header's last word but one and the route's, before its own checksum and the five bytes of the body
    bodyCrcs.push(new DataView(bytes.buffer).getUint32(bytes.length - 5 - 4 - 4 - 4, true));
    await journal.stop(never);
  }
  const [without = 0, withAll = 0] = sizes;
  expect(without).toBeLessThan(withAll);
  expect(bodyCrcs[0]).toBe(0);
  expect(bodyCrcs[1]).not.toBe(0);
});

test("refuses says what reserve would, and neither takes nor drops anything", async () => {
  const journal = testJournal();
  await journal.start();
  const limits = { ...NO_LIMITS, frames: 1 };
  const strict = journal.route("strict/logs", "logs", "end", limits);
  const lossy = journal.route("lossy/logs", "logs", "end", { ...limits, onFull: "drop_oldest" });
  for (let i = 0; i < 3; i++)
    expect(journal.refuses(routesOf([strict.route]), 7, 1)).toBeUndefined();
  await journal.append([frameOf("one", [strict.route, lossy.route])]);
  expect(journal.refuses(routesOf([strict.route]), 7, 1)).toMatchObject({ kind: "refused" });
  expect(journal.refuses(routesOf([lossy.route]), 7, 1)).toBeUndefined();
  expect(lossy.counts()).toMatchObject({ queuedItems: 1, dropped: new Map() });
  await journal.stop(never);
});

test("a reader that waits for many items is not woken by each, and goes when its time is over", async () => {
  const journal = testJournal();
  await journal.start();
  const reader = journal.route("a/logs", "logs", "end", NO_LIMITS);
  const many = reader.read({ ...ALL, minItems: 3, waitMs: 60_000 }, never);
  for (const text of ["one", "two", "three"]) await journal.append([frameOf(text, [reader.route])]);
  expect((await many).items).toBe(3);
  const begun = performance.now();
  const late = reader.read({ ...ALL, minItems: 3, waitMs: 1_000 }, never);
  for (const text of ["four", "five"]) await journal.append([frameOf(text, [reader.route])]);
  expect((await late).items).toBe(2);
  expect(performance.now() - begun).toBeGreaterThanOrEqual(998);
  await journal.stop(never);
});

test("a dead route at a low rate keeps nobody's memory: the others go on, and it gets all of its own", async () => {
  const journal = testJournal({
    isVolatile: true,
    fsync: false,
    cacheBytes: 0,
    segmentBytes: 64 << 10,
    maxBytes: 1 << 20,
    flushMs: 1,
    copyForward: { lookMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY },
  });
  await journal.start();
  const dead = journal.route("dead/logs", "logs", "end", NO_LIMITS);
  const live = journal.route("live/logs", "logs", "end", NO_LIMITS);
  const texts: string[] = [];
  for (let i = 0; i < 1_500; i++) {
    const text = `${i} ${"x".repeat(4_000)}`;
    const routes = i % 50 === 0 ? [dead.route, live.route] : [live.route];
    if (routes.length > 1) texts.push(text);
    const space = journal.reserve(routesOf(routes), text.length + 1, 1);
    if (isRefusal(space)) throw new Error(`frame ${i}: ${space.why}`);
    await journal.append([frameOf(text, routes)]);
    space[Symbol.dispose]();
    const range = await live.read(ALL, never);
    live.settle(range, delivered(range));
    await nextTurn();
  }
  expect(journal.stats().bytes).toBeLessThan(4 * dead.counts().queuedBytes + ((3 * 64) << 10));
  const range = await dead.read(ALL, never);
  expect(range.frames.map(({ batch }) => textOf(batch))).toEqual(texts);
  await journal.stop(never);
});
