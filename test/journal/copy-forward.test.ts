import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { directoryLock } from "../../src/journal/lock.ts";
import { createMemoryIo } from "../../src/journal/memory-io.ts";
import { openDirectory } from "../../src/journal/real-io.ts";
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
import { createFaultyIo, systemError } from "./faulty-io.ts";
import { Random, SimulatedDisk } from "./simulated-io.ts";
import { drain, EAGER, feed, openSparse, SEGMENT_BYTES, turns } from "./sparse-rig.ts";

const OFF = { ...EAGER, sparseShare: 0 };

test("a dead route at a low rate holds no more than four times what waits for it, and gets all of it in order", async () => {
  const io = createMemoryIo();
  const sparse = await openSparse({ io });
  const { journal, dead, live } = sparse;
  const texts: string[] = [];
  for (let round = 0; round < 4; round++) {
    texts.push(...(await feed(sparse, 500)));
    const { bytes, segments, copied } = journal.stats();
    const { queuedBytes } = dead.counts();
    expect(bytes).toBeLessThan(queuedBytes / EAGER.sparseShare + 3 * SEGMENT_BYTES);
    expect(journal.heldBytes(dead.route)).toBeLessThanOrEqual(bytes);
    expect(copied.freedBytes).toBeGreaterThan(queuedBytes);
    // Neighbours are merged: about as many files as there would be without the other route's frames.
    expect(segments).toBeLessThan(2 * (bytes / SEGMENT_BYTES) + 8);
  }
  expect((await io.list()).filter((name) => name.endsWith("segment"))).toHaveLength(
    journal.stats().segments,
  );
  const again = await openSparse({ io });
  for (const reader of [again.dead, again.live]) expect(imbalance(reader.counts())).toBe(0);
  expect(again.dead.counts()).toMatchObject(dead.counts());
  expect(again.live.counts().appended).toBe(live.counts().appended);
  expect(again.journal.stats().quarantined).toEqual(new Map());
  expect(await drain(again.dead)).toEqual(texts);
  expect(await drain(dead)).toEqual(texts);
  // Through: what it held alone goes.
  await feed(sparse, 2);
  expect(journal.stats().segments).toBeLessThanOrEqual(2);
  expect(journal.heldBytes(dead.route)).toBe(0);
});

test.each(["refuse", "skip", "drop_oldest"] as const)(
  "the others go on until the dead route's own queue is full; then %s decides for it",
  async (onFull) => {
    const limits = { ...NO_LIMITS, frames: 50, onFull };
    const maxBytes = 40 * SEGMENT_BYTES;
    const journal = testJournal({
      ...{ segmentBytes: SEGMENT_BYTES, cacheBytes: 0, copyForward: EAGER, maxBytes },
    });
    await journal.start();
    const dead = journal.route("dead/logs", "logs", "end", limits);
    const live = journal.route("live/logs", "logs", "end", NO_LIMITS);
    let refused = 0;
    for (let i = 0; i < 2_000; i++) {
      const isForBoth = i % 20 === 0;
      const routes = isForBoth ? [dead.route, live.route] : [live.route];
      const space = journal.reserve(routesOf(routes), 401, 1);
      if (isRefusal(space)) {
        expect(space.why).toMatch(/^route dead\/logs: the queue is full/);
        refused++;
        continue;
      }
      await journal.append([frameOf("x".repeat(400), routes)]);
      space[Symbol.dispose]();
      const range = await live.read(ALL, never);
      live.settle(range, delivered(range));
      await turns(1);
    }
    const counts = dead.counts();
    expect(counts.queuedFrames).toBe(50);
    expect(refused).toBe(onFull === "refuse" ? 50 : 0);
    const reason = onFull === "skip" ? "skipped" : "queue_full";
    expect(counts.dropped).toEqual(new Map(onFull === "refuse" ? [] : [[reason, 50]]));
    expect(live.counts().delivered).toBe(2_000 - refused);
  },
);

test("held bytes are those of segments that one route alone still holds", async () => {
  const sparse = await openSparse({ copyForward: OFF });
  const { journal, dead, live } = sparse;
  await feed(sparse, 200);
  const { bytes, segments } = journal.stats();
  expect(segments).toBeGreaterThan(10);
  expect(journal.heldBytes(dead.route)).toBeGreaterThan(bytes - 2 * SEGMENT_BYTES);
  expect(journal.heldBytes(dead.route)).toBeLessThan(bytes);
  expect(journal.heldBytes(live.route)).toBe(0);
  const [held] = journal.routes();
  expect(held).toMatchObject({ name: "dead/logs", heldBytes: journal.heldBytes(dead.route) });
  expect(held?.queuedBytes).toBeLessThan((held?.heldBytes ?? 0) / 10);
});

test("nothing is copied where nothing is sparse, nor where copying is off", async () => {
  for (const copyForward of [EAGER, OFF]) {
    const { journal, dead, live } = await openSparse({ copyForward });
    const both = [dead.route, live.route];
    for (let i = 0; i < 100; i++)
      await journal.append([
        frameOf("x".repeat(400), copyForward === OFF && i % 20 > 0 ? [live.route] : both),
      ]);
    const all = await live.read(ALL, never);
    live.settle(all, delivered(all));
    await journal.append([frameOf("end", both)]);
    await turns(100);
    expect(journal.stats().copied).toEqual({ segments: 0, freedBytes: 0, failures: new Map() });
    expect(journal.stats().segments).toBeGreaterThan(5);
  }
});

test.each([
  ["once the journal is half full", 20, true],
  ["while there is room", 1_000, false],
])("what is two fifths needed is copied %s: %s", async (_, segments, isCopied) => {
  const { journal, dead, live } = await openSparse({ maxBytes: segments * SEGMENT_BYTES });
  for (let i = 0; i < 100; i++) {
    const routes = i % 5 < 2 ? [dead.route, live.route] : [live.route];
    await journal.append([frameOf("x".repeat(1_200), routes)]);
    const range = await live.read(ALL, never);
    live.settle(range, delivered(range));
    await turns(1);
  }
  expect(journal.stats().copied.segments > 0).toBe(isCopied);
});

test("retained segments are not copied before their time, unless the journal is full", async () => {
  let now = 0;
  const options = { retainMs: 1_000, nowMs: () => now };
  const sparse = await openSparse(options);
  await feed(sparse, 200);
  now = 999;
  await feed(sparse, 1);
  expect(sparse.journal.stats().copied.segments).toBe(0);
  let retained = 0;
  for await (const _ of sparse.journal.frames()) retained++;
  expect(retained).toBeGreaterThan(200);
  now = 1_000;
  await feed(sparse, 1);
  expect(sparse.journal.stats().copied.segments).toBeGreaterThan(5);
  const full = await openSparse({ ...options, maxBytes: 10 * SEGMENT_BYTES });
  await feed(full, 200);
  expect(full.journal.stats().copied.segments).toBeGreaterThan(5);
});

test("a range that is stuck pins what comes behind it no longer than it is sparse", async () => {
  const sparse = await openSparse();
  const { journal, live } = sparse;
  await journal.append([frameOf("stuck", [live.route])]);
  const stuck = await live.read(ALL, never);
  await feed(sparse, 300);
  expect(journal.stats().bytes).toBeLessThan(8 * SEGMENT_BYTES);
  live.settle(stuck, delivered(stuck));
  expect(imbalance(live.counts())).toBe(0);
});

test("a full disk: the copier gives up, the old segments stay, it is counted and said, and it is tried again", async () => {
  let isFull = true;
  const warnings: unknown[] = [];
  const io = createFaultyIo(createMemoryIo(), (operation, name) => {
    if (isFull && operation === "write" && name.endsWith(".copying")) throw systemError("ENOSPC");
  });
  const log = { info() {}, error() {}, warn: (fields: object) => warnings.push(fields) };
  const sparse = await openSparse({ io, log });
  const texts = await feed(sparse, 200);
  const { journal, dead } = sparse;
  expect([...journal.stats().copied.failures.keys()]).toEqual(["disk_full"]);
  expect(journal.stats().copied.segments).toBe(0);
  expect(warnings).toContainEqual(expect.objectContaining({ reason: "disk_full" }));
  expect((await io.list()).some((name) => name.endsWith(".copying"))).toBe(false);
  isFull = false;
  texts.push(...(await feed(sparse, 1)));
  expect(journal.stats().copied.segments).toBeGreaterThan(5);
  expect(await drain(dead)).toEqual(texts);
});

test("a rename that fails after it happened counts: the new file is read", async () => {
  const memory = createMemoryIo();
  const io = {
    ...memory,
    rename: async (from: string, to: string) => {
      await memory.rename(from, to);
      if (from.endsWith(".copying")) throw systemError("EIO");
    },
  };
  const sparse = await openSparse({ io });
  const texts = await feed(sparse, 200);
  expect(sparse.journal.stats().copied.segments).toBeGreaterThan(5);
  expect(await drain(sparse.dead)).toEqual(texts);
  expect(sparse.journal.stats().quarantined).toEqual(new Map());
});

test("a segment that somebody deletes stays out of it: the others are copied, and its frames are counted as dropped", async () => {
  const io = createMemoryIo();
  const sparse = await openSparse({ io, copyForward: OFF });
  const texts = await feed(sparse, 200);
  await sparse.journal.stop(never);
  const again = await openSparse({ io });
  await io.remove("00000005.segment");
  await feed(again, 1);
  const { failures, segments } = again.journal.stats().copied;
  // Itself, and the one before: its totals at the end stood in the deleted one.
  expect(failures).toEqual(new Map([["unreadable", 2]]));
  expect(segments).toBeGreaterThan(5);
  const read = await drain(again.dead);
  expect(texts.filter((text) => !read.includes(text))).toHaveLength(1);
  expect(again.dead.counts().dropped).toEqual(new Map([["corrupt", 2]]));
  expect(imbalance(again.dead.counts())).toBe(0);
});

test("frames of any size are copied with their notes and times; a damaged one stays where it is", async () => {
  const disk = new SimulatedDisk(new Random(1));
  const options = { segmentBytes: 8 << 20, maxBytes: 1 << 30 };
  const first = await openSparse({ ...options, io: disk.mount(), copyForward: OFF });
  const { journal, dead, live } = first;
  const note = new TextEncoder().encode("a note");
  const large = { ...frameOf("y".repeat(1 << 20), [dead.route]), arrivalMs: 7, note };
  const small = { ...frameOf("small", [dead.route]), arrivalMs: 8 };
  const filler = frameOf("x".repeat(6 << 20), [live.route]);
  for (const frame of [large, small, filler, filler]) await journal.append([frame]);
  const all = await live.read(ALL, never);
  live.settle(all, delivered(all));
  await journal.append([filler]);
  await journal.stop(never);
  for (const isDamaged of [false, true]) {
    const copy = disk.copy(new Random(2));
    const again = await openSparse({ ...options, io: copy.mount() });
    if (isDamaged) copy.bytes("00000001.segment")[700_000] = 0;
    await again.journal.append([frameOf("end", [again.live.route])]);
    const copied = () => {
      const { segments, failures } = again.journal.stats().copied;
      return [segments, failures.get("unreadable")];
    };
    await expect.poll(copied).toEqual(isDamaged ? [0, 1] : [1, undefined]);
    const read = await again.dead.read(ALL, AbortSignal.timeout(60_000));
    expect(textOf(read.frames.at(-1)!.batch)).toBe("small");
    expect(again.journal.stats().quarantined.size).toBe(isDamaged ? 1 : 0);
    if (isDamaged) continue;
    expect(read.frames.map(({ arrivalMs }) => arrivalMs)).toEqual([7, 8]);
    expect(read.frames[0]!.batch.length).toBe((1 << 20) + 1);
    expect(read.frames[0]!.note).toEqual(note);
    expect(again.journal.stats().bytes).toBeLessThan(9 << 20);
  }
});

test("who was about to read the old file finds the frames in the new one", async () => {
  let arrived = () => {};
  let open = () => {};
  const memory = createMemoryIo();
  let isHeld = false;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const waiting = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const io = createFaultyIo(memory, async (operation, name) => {
    if (!isHeld || operation !== "open" || name.endsWith(".copying")) return;
    isHeld = false;
    arrived();
    await gate;
  });
  let now = 0;
  const sparse = await openSparse({ io, retainMs: 10, nowMs: () => now });
  const texts = await feed(sparse, 200);
  expect(sparse.journal.stats().copied.segments).toBe(0);
  isHeld = true;
  const reading = sparse.dead.read({ bytes: 3_000, items: 100 }, AbortSignal.timeout(60_000));
  await waiting;
  now = 20;
  await feed(sparse, 1);
  expect(sparse.journal.stats().copied.segments).toBeGreaterThan(5);
  open();
  const range = await reading;
  expect(range.frames.map(({ batch }) => textOf(batch))).toEqual(
    texts.slice(0, range.frames.length),
  );
  expect(sparse.journal.stats().quarantined).toEqual(new Map());
});

test("a second process is kept out while frames are copied; a stop in the middle leaves the old files", async () => {
  const directory = await mkdtemp(join(tmpdir(), "copying-"));
  await using real = await openDirectory(directory, { create: true });
  let copying = () => {};
  const begun = new Promise<void>((resolve) => {
    copying = resolve;
  });
  const io = createFaultyIo(real, async (operation, name) => {
    if (operation === "datasync" && name.endsWith(".copying")) {
      copying();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });
  const lock = directoryLock(directory);
  const sparse = await openSparse({ io, lock });
  const feeding = feed(sparse, 100);
  await begun;
  await expect(testJournal({ io: real, lock }).start()).rejects.toThrow(/is in use by process/);
  const texts = await feeding;
  await sparse.journal.stop(never);
  expect((await real.list()).filter((name) => name.endsWith(".copying"))).toEqual([]);
  const again = await openSparse({ io: real, lock, copyForward: OFF });
  expect(await drain(again.dead)).toEqual(texts);
  await again.journal.stop(never);
  await rm(directory, { recursive: true });
});
