import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { FileIo } from "../../src/journal/file-io.ts";
import type { Journal, RouteLimits } from "../../src/journal/journal.ts";
import { createMemoryIo } from "../../src/journal/memory-io.ts";
import { createJournal } from "../../src/journal/open.ts";
import {
  type LetterBox,
  openDeadLetters,
  readDeadLetterNote,
} from "../../src/kit/delivery/dead-letters.ts";
import type { Batch } from "../../src/otlp/batch.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { Replays, readAgainNote, readReplayNote } from "../../src/service/replays.ts";
import { recordingLog } from "../support/export-rig.ts";
import { encodeRequest } from "../support/otlp.ts";

const indexer = createIndexer();
const never = new AbortController().signal;
const UNLIMITED: RouteLimits = { bytes: 1e9, items: 1e9, frames: 1e9, onFull: "refuse" };
const ROUTE = "influxdb/logs";
const nobody = new Set<string>();

function record(stringValue: string): Batch<"logs"> {
  const request = { resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue } }] }] }] };
  const bytes = encodeRequest("logs", request);
  const indexed = indexer.index("logs", bytes, bytes.length);
  if (!("batch" in indexed)) throw new Error(indexed.why);
  return indexed.batch;
}

async function start(io: FileIo): Promise<Journal> {
  const log = recordingLog();
  const options = { segmentBytes: 64 << 10, maxBytes: 8 << 20, flushMs: 5, nowMs: Date.now };
  const journal = createJournal({ io, indexer, log, ...options });
  await journal.start();
  return journal;
}

/** A queue and its dead letters over disks that outlive them. */
async function house(
  disks: { readonly queue: FileIo; readonly letters: FileIo },
  limits = UNLIMITED,
) {
  const [queue, lettersJournal] = await Promise.all([start(disks.queue), start(disks.letters)]);
  const reader = queue.route(ROUTE, "logs", "end", limits);
  const letters = openDeadLetters(lettersJournal);
  return { queue, reader, letters, lettersJournal };
}

const disks = () => ({ queue: createMemoryIo(), letters: createMemoryIo() });
const numbered = (item: number) => ({
  ...{ journal: "j", route: ROUTE, seq: 1, item, batch: record(`item ${item}`) },
  ...{ reason: "rejected", answer: "HTTP 400: no", atMs: 2_000, arrivalMs: 1_000 },
});

async function fill(letters: LetterBox, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, item) => letters.add(numbered(item))));
}

async function replayAll(replays: Replays, to?: string): Promise<number> {
  let replayed = 0;
  const count = (items: number) => {
    replayed += items;
  };
  await replays.letters(() => true, to, count, never);
  return replayed;
}

/** Item numbers of the frames that wait for the route, in order. */
async function waiting(house: {
  readonly queue: Journal;
  readonly reader: { counts(): { queuedItems: number } };
}) {
  const found: number[] = [];
  for await (const { note, arrivalMs } of house.queue.frames()) {
    expect(arrivalMs).toBe(1_000);
    found.push(readReplayNote(note)?.item ?? -1);
  }
  return found;
}

test("replay moves letters into their route's queue, with the time of their receipt; totals only grow", async () => {
  const it = await house(disks());
  const replays = await Replays.open(it.queue, it.letters, nobody);
  await fill(it.letters, 300);
  expect(await replayAll(replays)).toBe(300);
  expect(it.reader.counts()).toMatchObject({ appended: 300, queuedItems: 300 });
  expect((await waiting(it)).sort((a, b) => a - b)).toEqual(
    Array.from({ length: 300 }, (_, i) => i),
  );
  expect(it.letters.counts("logs")).toMatchObject({ kept: 0, replayed: 300 });
  expect(replays.counts().map(([signal, read]) => [signal, read()])).toEqual([["logs", 300]]);
  expect(await replayAll(replays)).toBe(0);
});

test.each([0, 1, 2])(
  "a crash after the append and before the letters go (group %i): each item is in the queue once",
  async (group) => {
    const io = disks();
    const it = await house(io);
    await fill(it.letters, 300);
    let removed = 0;
    const dying: LetterBox = {
      ...{ bytes: 0, maxBytes: 0 },
      add: (letter) => it.letters.add(letter),
      counts: (signal) => it.letters.counts(signal),
      kept: (from) => it.letters.kept(from),
      exclusive: (work) => it.letters.exclusive(work),
      remove: (letters, as) =>
        removed++ === group
          ? Promise.reject(new Error("the process died"))
          : it.letters.remove(letters, as),
    };
    const replays = await Replays.open(it.queue, dying, nobody);
    await expect(replayAll(replays)).rejects.toThrow("the process died");
    // No stop: what is on the disks is all that is left.
    const again = await house(io);
    const mended = await Replays.open(again.queue, again.letters, nobody);
    expect(again.letters.counts("logs").kept).toBe(Math.max(0, 300 - 128 * (group + 1)));
    expect(await replayAll(mended)).toBe(Math.max(0, 300 - 128 * (group + 1)));
    expect((await waiting(again)).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 300 }, (_, i) => i),
    );
    expect(again.letters.counts("logs")).toMatchObject({ kept: 0, replayed: 300 });
    expect(again.reader.counts()).toMatchObject({ appended: 300, queuedItems: 300 });
  },
);

test("when removing fails and the process lives, the next replay finishes it first", async () => {
  const it = await house(disks());
  await fill(it.letters, 10);
  let fails = true;
  const { letters } = it;
  const flaky: LetterBox = {
    ...{ bytes: 0, maxBytes: 0 },
    add: (letter) => letters.add(letter),
    counts: (signal) => letters.counts(signal),
    kept: (from) => letters.kept(from),
    exclusive: (work) => letters.exclusive(work),
    remove: (gone, as) =>
      fails ? Promise.reject(new Error("disk full")) : letters.remove(gone, as),
  };
  const replays = await Replays.open(it.queue, flaky, nobody);
  await expect(replayAll(replays)).rejects.toThrow("disk full");
  fails = false;
  expect(await replayAll(replays)).toBe(0);
  expect(letters.counts("logs")).toMatchObject({ kept: 0, replayed: 10 });
  expect(await waiting(it)).toHaveLength(10);
});

test("--to names another route; unknown routes and routes of another signal are refused by name", async () => {
  const it = await house(disks());
  it.queue.route("loki/logs", "logs", "end", UNLIMITED);
  it.queue.route("otlp/traces", "traces", "end", UNLIMITED);
  const replays = await Replays.open(it.queue, it.letters, nobody);
  await fill(it.letters, 2);
  await expect(replayAll(replays, "lokki/logs")).rejects.toThrow(
    "no route lokki/logs; name another with --to: influxdb/logs, loki/logs, otlp/traces",
  );
  await expect(replayAll(replays, "otlp/traces")).rejects.toThrow(/carries traces/);
  expect(it.letters.counts("logs").kept).toBe(2);
  expect(await replayAll(replays, "loki/logs")).toBe(2);
  expect(it.queue.routes().find(({ name }) => name === "loki/logs")?.queuedItems).toBe(2);
  expect(it.reader.counts().queuedItems).toBe(0);
});

test("--to may name an exporter: its route of the letter's signal; a route of exactly this name comes first", async () => {
  const it = await house(disks());
  it.queue.route("loki/traces", "traces", "end", UNLIMITED);
  it.queue.route("loki/logs/logs", "logs", "end", UNLIMITED);
  it.queue.route("loki/logs", "logs", "end", UNLIMITED);
  const replays = await Replays.open(it.queue, it.letters, nobody);
  const queued = (route: string) =>
    it.queue.routes().find(({ name }) => name === route)?.queuedItems;
  await fill(it.letters, 2);
  expect(await replayAll(replays, "loki/logs")).toBe(2);
  expect([queued("loki/logs"), queued("loki/logs/logs")]).toEqual([2, 0]);
  await fill(it.letters, 5);
  expect(await replayAll(replays, "loki")).toBe(3);
  expect(queued("loki/logs")).toBe(5);
});

test.each(["refuse", "drop_oldest", "skip"] as const)(
  "a full queue ends the replay (on_full: %s); the letters that did not fit are kept",
  async (onFull) => {
    const it = await house(disks(), { ...UNLIMITED, items: 200, onFull });
    const replays = await Replays.open(it.queue, it.letters, nobody);
    await fill(it.letters, 300);
    await expect(replayAll(replays)).rejects.toThrow(
      /influxdb\/logs: the queue has too little room/,
    );
    expect(it.letters.counts("logs")).toMatchObject({ kept: 100, replayed: 200 });
    expect(it.reader.counts()).toMatchObject({ appended: 200, queuedItems: 200 });
  },
);

test("a queue of a few frames that somebody empties takes any number of letters", async () => {
  const it = await house(disks(), { ...UNLIMITED, frames: 10 });
  const replays = await Replays.open(it.queue, it.letters, new Set([ROUTE]));
  await fill(it.letters, 300);
  const stop = new AbortController();
  const emptying = (async () => {
    for (let left = 300; left > 0; ) {
      const range = await it.reader.read({ bytes: 1e6, items: 4 }, stop.signal);
      expect(it.reader.counts().queuedItems).toBeLessThanOrEqual(10);
      left -= range.items;
      const none = { unconfirmed: 0, deadLettered: 0, dropped: new Map() };
      it.reader.settle(range, { delivered: range.items, ...none });
    }
  })();
  expect(await replayAll(replays)).toBe(300);
  await emptying;
  expect(it.reader.counts()).toMatchObject({ appended: 300, delivered: 300, queuedItems: 0 });
  expect(it.letters.counts("logs")).toMatchObject({ kept: 0, replayed: 300 });
});

test("notes from a disk may be anything: they are read, or they are none, and nothing throws", async () => {
  const keys = ["letter", "place", "route", "seq", "item", "frame", "journal", "reason"];
  const value = fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.array(fc.integer()));
  const notes = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.json().map((text) => new TextEncoder().encode(text)),
    fc
      .dictionary(fc.constantFrom(...keys), value)
      .map((note) => new TextEncoder().encode(JSON.stringify(note))),
  );
  await fc.assert(
    fc.property(notes, (note) => {
      const again = readAgainNote(note);
      expect(again === undefined || Number.isFinite(again)).toBe(true);
      for (const told of [readReplayNote(note), readDeadLetterNote(note)]) {
        if (told === undefined) continue;
        expect([told.route, told.seq, told.item].map((field) => typeof field)).toEqual([
          "string",
          "number",
          "number",
        ]);
      }
    }),
    { numRuns: 3_000, seed: 7 },
  );
});
