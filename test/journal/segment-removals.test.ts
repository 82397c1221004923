import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Journal, Reader } from "../../src/journal/journal.ts";
import { createMemoryIo } from "../../src/journal/memory-io.ts";
import type { JournalOptions } from "../../src/journal/open.ts";
import {
  ALL,
  delivered,
  frameOf,
  imbalance,
  NO_LIMITS,
  never,
  silent,
  testJournal,
} from "./fake.ts";
import { createFaultyIo, systemError } from "./faulty-io.ts";
import { Random, SimulatedDisk } from "./simulated-io.ts";
import { drain, openSparse, turns } from "./sparse-rig.ts";

const SEGMENT_BYTES = 2_000;

async function open(
  options: Partial<JournalOptions>,
): Promise<{ readonly journal: Journal; readonly reader: Reader }> {
  const journal = testJournal({ segmentBytes: SEGMENT_BYTES, ...options });
  await journal.start();
  return { journal, reader: journal.route("a/logs", "logs", "end", NO_LIMITS) };
}

/** Appends and delivers; each pair of calls fills about one segment. */
async function pass({ journal, reader }: Awaited<ReturnType<typeof open>>): Promise<void> {
  await journal.append([frameOf("x".repeat(1_000), [reader.route])]);
  const range = await reader.read(ALL, never);
  reader.settle(range, delivered(range));
}

/** A disk whose removals hang while it is told so. */
function hangingIo(io = createMemoryIo()) {
  let hold = Promise.withResolvers<void>();
  let isHanging = true;
  const removed: string[] = [];
  const hanging = createFaultyIo(io, async (operation, name) => {
    if (operation !== "remove" || !name.endsWith(".segment")) return;
    if (isHanging) await hold.promise;
    removed.push(name);
  });
  return {
    io: hanging,
    removed,
    release() {
      isHanging = false;
      hold.resolve();
      hold = Promise.withResolvers();
    },
  };
}

test("appends are acknowledged while the removal of a segment hangs; all that was passed goes afterwards, oldest first", async () => {
  const disk = hangingIo();
  const opened = await open({ io: disk.io });
  for (let i = 0; i < 40; i++) await pass(opened);
  const { journal, reader } = opened;
  expect(disk.removed).toEqual([]);
  expect(journal.stats().segments).toBeGreaterThan(15);
  expect(reader.counts()).toMatchObject({ appended: 40, delivered: 40, queuedItems: 0 });
  disk.release();
  await expect.poll(() => journal.stats().segments).toBeLessThanOrEqual(3);
  expect(disk.removed.length).toBeGreaterThan(15);
  expect(disk.removed).toEqual(disk.removed.toSorted());
  await journal.stop(never);
});

test.each(["kill", "powerCut"] as const)(
  "after a %s during a removal that hangs, the next start removes what is left, and the law holds",
  async (end) => {
    const disk = new SimulatedDisk(new Random(7));
    const hanging = hangingIo(disk.mount());
    const opened = await open({ io: hanging.io });
    for (let i = 0; i < 20; i++) await pass(opened);
    await opened.journal.append([frameOf("waits", [opened.reader.route], 5)]);
    const before = disk.files().filter((name) => name.endsWith(".segment"));
    expect(before.length).toBeGreaterThan(7);
    disk[end]();
    const again = await open({ io: disk.mount() });
    expect(disk.files().filter((name) => name.endsWith(".segment")).length).toBeLessThan(4);
    const range = await again.reader.read(ALL, never);
    // What was settled last may be delivered twice after a crash.
    expect(range.items).toBeGreaterThanOrEqual(5);
    expect(range.items).toBeLessThanOrEqual(6);
    again.reader.settle(range, delivered(range));
    const counts = again.reader.counts();
    expect(counts).toMatchObject({ appended: 25, delivered: 25, queuedItems: 0 });
    expect(imbalance(counts)).toBe(0);
    expect(again.journal.stats().quarantined.size).toBe(0);
    await again.journal.stop(never);
  },
);

test("a stop waits for the removal that runs until its deadline, and no longer", async () => {
  const disk = hangingIo();
  const opened = await open({ io: disk.io });
  for (let i = 0; i < 10; i++) await pass(opened);
  const late = new AbortController();
  let isStopped = false;
  const stopped = opened.journal.stop(late.signal).then(() => {
    isStopped = true;
  });
  for (let i = 0; i < 20; i++) await nextTurn();
  expect(isStopped).toBe(false);
  late.abort();
  await stopped;
  disk.release();
  await nextTurn();
  expect(disk.removed).toHaveLength(1);
});

test("while removals hang, a full journal is one segment too large at most; then there is room again", async () => {
  const disk = hangingIo();
  const maxBytes = 16 * SEGMENT_BYTES;
  const opened = await open({ io: disk.io, maxBytes });
  const { journal, reader } = opened;
  const refused = () => journal.refuses(new Uint32Array([1 << reader.route]), 1_100, 1);
  for (let i = 0; i < 100 && refused() === undefined; i++) await pass(opened);
  expect(refused()).toMatchObject({ kind: "refused", why: /the journal is full/ });
  expect(journal.stats().bytes).toBeGreaterThan(maxBytes - SEGMENT_BYTES);
  // Checkpoints come on top.
  expect(journal.stats().bytes).toBeLessThanOrEqual(maxBytes + 2 * SEGMENT_BYTES);
  disk.release();
  await expect.poll(() => refused()).toBeUndefined();
  await journal.stop(never);
});

test("a segment that somebody else deleted is gone; one that may not be removed stays and is said once", async () => {
  const warnings: unknown[] = [];
  const io = createMemoryIo();
  const faulty = createFaultyIo(io, (operation, name) => {
    if (operation === "remove" && name === "00000003.segment") throw systemError("EPERM");
  });
  const log = { ...silent, warn: (fields: object) => warnings.push(fields) };
  const opened = await open({ io: faulty, log });
  const { journal, reader } = opened;
  await journal.append([frameOf("x".repeat(1_900), [reader.route])]);
  await io.remove("00000001.segment");
  reader.settle(...(await takeAll(reader)));
  for (let i = 0; i < 20; i++) await pass(opened);
  const segments = async () => (await io.list()).filter((name) => name.endsWith(".segment"));
  await expect.poll(async () => (await segments()).length).toBeLessThanOrEqual(4);
  expect(await segments()).toContain("00000003.segment");
  expect(warnings).toEqual([{ segment: "00000003.segment", err: "EPERM: simulated" }]);
  expect(journal.stats().segments).toBeLessThanOrEqual(4);
  await journal.stop(never);
});

test("a sparse segment is copied although the one behind it is being removed; a start after a crash finds it all", async () => {
  const memory = createMemoryIo();
  let hanging: string | undefined;
  const io = createFaultyIo(memory, async (operation, name) => {
    if (operation !== "remove" || !name.endsWith(".segment") || hanging !== undefined) return;
    hanging = name;
    await memory.remove(name);
    await new Promise(() => {}); // the file is gone, and nobody hears of it
  });
  const { journal, dead, live } = await openSparse({ io });
  const texts: string[] = [];
  for (let i = 0; i < 200; i++) {
    // Segments hold 18 of these: of some, one is for the dead route, of those behind them none.
    const isForBoth = i % 40 === 0;
    const text = `${i} ${"x".repeat(400)}`;
    if (isForBoth) texts.push(text);
    await journal.append([frameOf(text, isForBoth ? [dead.route, live.route] : [live.route])]);
  }
  live.settle(...(await takeAll(live)));
  await journal.append([frameOf("end", [live.route])]);
  await turns(200);
  expect(hanging).toBe("00000002.segment");
  const { copied } = journal.stats();
  expect(copied.segments).toBe(texts.length);
  expect([...copied.failures]).toEqual([]);
  const again = await openSparse({ io: memory });
  expect(await drain(again.dead)).toEqual(texts);
  expect(imbalance(again.dead.counts())).toBe(0);
  expect(imbalance(again.live.counts())).toBe(0);
  expect(again.journal.stats().quarantined.size).toBe(0);
  await again.journal.stop(never);
});

async function takeAll(reader: Reader) {
  const range = await reader.read(ALL, never);
  return [range, delivered(range)] as const;
}
