import { expect, test } from "vitest";
import type { FileIo } from "../../../src/journal/file-io.ts";
import { createMemoryIo } from "../../../src/journal/memory-io.ts";
import { createJournal } from "../../../src/journal/open.ts";
import {
  type DeadLetter,
  deadLetterRoute,
  type KeptLetter,
  type LetterBox,
  openDeadLetters,
  readDeadLetterNote,
  type WhenFull,
} from "../../../src/kit/delivery/dead-letters.ts";
import type { Batch } from "../../../src/otlp/batch.ts";
import { createIndexer } from "../../../src/otlp/indexing.ts";
import { pickItems } from "../../../src/otlp/pick.ts";
import { PipelineError } from "../../../src/otlp/status.ts";
import type { Signal } from "../../../src/otlp/tape.ts";
import { recordingLog } from "../../support/export-rig.ts";
import { decodeRequest, encodeRequest } from "../../support/otlp.ts";

const indexer = createIndexer();
const never = new AbortController().signal;

function logs(...bodies: readonly string[]): Batch<"logs"> {
  const logRecords = bodies.map((stringValue) => ({ body: { stringValue } }));
  const request = { resourceLogs: [{ scopeLogs: [{ logRecords }] }] };
  const bytes = encodeRequest("logs", request);
  const indexed = indexer.index("logs", bytes, bytes.length);
  if (!("batch" in indexed)) throw new Error(indexed.why);
  return indexed.batch;
}

async function open(io: FileIo, maxBytes = 4 << 20, onFull: WhenFull = "refuse") {
  const log = recordingLog();
  const journal = createJournal({
    io,
    indexer,
    maxBytes,
    segmentBytes: 64 << 10,
    nowMs: Date.now,
    flushMs: 10,
    log,
  });
  await journal.start();
  const dropped: number[] = [];
  const onDropped = (items: number) => dropped.push(items);
  const letters = openDeadLetters(journal, { maxBytes, onFull, onDropped });
  return { journal, letters, dropped };
}

const letter = (over: Partial<DeadLetter> = {}): DeadLetter => ({
  journal: "j1",
  route: "influxdb/logs",
  seq: 7,
  item: 3,
  batch: pickItems(indexer, logs("a", "b", "c", "d"), 3, 4),
  reason: "rejected",
  answer: "HTTP 400: field type conflict",
  atMs: 1_000,
  arrivalMs: 900,
  ...over,
});

/** All letters of a signal, as a command would read them. */
async function letters(io: FileIo, signal: Signal = "logs") {
  const log = recordingLog();
  const journal = createJournal({
    io,
    indexer,
    maxBytes: 4 << 20,
    segmentBytes: 64 << 10,
    nowMs: Date.now,
    log,
  });
  await journal.start();
  const none = { bytes: 1e9, items: 1e9, frames: 1e9, onFull: "refuse" } as const;
  const reader = journal.route(deadLetterRoute(signal), signal, "oldest", none);
  const found: { note: ReturnType<typeof readDeadLetterNote>; request: object }[] = [];
  while (found.length < reader.counts().queuedItems) {
    const range = await reader.read({ bytes: 1e6, items: 1e6 }, never);
    for (const { note, batch } of range.frames)
      found.push({
        note: readDeadLetterNote(note),
        request: decodeRequest(signal, batch.bytes.subarray(0, batch.length)),
      });
  }
  await journal.stop(AbortSignal.timeout(60_000));
  return found;
}

test("a letter keeps the item and says where it came from and why", async () => {
  const io = createMemoryIo();
  const { journal, letters: box } = await open(io);
  await box.add(letter());
  await journal.stop(AbortSignal.timeout(60_000));
  const found = await letters(io);
  const { batch: _, ...note } = letter();
  expect(found.map((f) => f.note)).toEqual([note]);
  expect(JSON.stringify(found[0]?.request)).toContain('"d"');
  expect(JSON.stringify(found[0]?.request)).not.toContain('"a"');
});

test("a repeat is ignored, at once and after a restart; another place is another letter", async () => {
  const io = createMemoryIo();
  const first = await open(io);
  await Promise.all([first.letters.add(letter()), first.letters.add(letter())]);
  await first.journal.stop(AbortSignal.timeout(60_000));
  const second = await open(io);
  await second.letters.add(letter());
  for (const other of [{ seq: 8 }, { item: 4 }, { route: "loki/logs" }, { journal: "j2" }])
    await second.letters.add(letter(other));
  await second.journal.stop(AbortSignal.timeout(60_000));
  expect(await letters(io)).toHaveLength(5);
});

test("a full journal rejects with a PipelineError, and the letter can be added later", async () => {
  const io = createMemoryIo();
  const { journal, letters: box } = await open(io, 256 << 10);
  const text = "x".repeat(8 << 10);
  const added: number[] = [];
  let refusal: unknown;
  for (let item = 0; item < 100 && refusal === undefined; item++)
    await box.add(letter({ item, batch: logs(text) })).then(
      () => added.push(item),
      (reason: unknown) => {
        refusal = reason;
      },
    );
  expect(refusal).toBeInstanceOf(PipelineError);
  expect(added.length).toBeGreaterThan(3);
  await expect(box.add(letter({ item: 99, batch: logs(text) }))).rejects.toThrow();
  await journal.stop(AbortSignal.timeout(60_000));
  expect(await letters(io)).toHaveLength(added.length);
});

test.each([
  "",
  "{",
  "[]",
  "null",
  "7",
  '{"journal":"j"}',
  '{"journal":1,"route":"r","seq":1,"item":1}',
])("%j is no dead letter's note", (text) => {
  expect(readDeadLetterNote(new TextEncoder().encode(text))).toBeUndefined();
});

async function all(box: LetterBox): Promise<KeptLetter[]> {
  const found: KeptLetter[] = [];
  for await (const one of box.kept()) found.push(one);
  return found;
}

const itemsOf = (kept: readonly KeptLetter[]) => kept.map(({ note }) => note.item);

/** Removes the letters of which `gone` says so. */
function take(box: LetterBox, as: "replayed" | "operator", gone: (item: number) => boolean) {
  return box.exclusive(async () => {
    const letters = (await all(box)).filter(({ note }) => gone(note.item));
    await box.remove(letters, as);
  });
}

test("letters are removed out of turn, also across a restart; totals only grow", async () => {
  const io = createMemoryIo();
  const first = await open(io);
  for (let item = 0; item < 20; item++) await first.letters.add(letter({ item }));
  const ids = (await all(first.letters)).map(({ id }) => id);
  expect(new Set(ids).size).toBe(20);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{16}$/);
  await take(first.letters, "operator", (item) => item % 2 === 1);
  await take(first.letters, "replayed", (item) => item === 0 || item > 15);
  expect(itemsOf(await all(first.letters))).toEqual([2, 4, 6, 8, 10, 12, 14]);
  await first.journal.stop(AbortSignal.timeout(60_000));
  const second = await open(io);
  const kept = await all(second.letters);
  expect(itemsOf(kept)).toEqual([2, 4, 6, 8, 10, 12, 14]);
  expect(kept.map(({ id }) => ids.indexOf(id))).toEqual([2, 4, 6, 8, 10, 12, 14]);
  expect(second.letters.counts("logs")).toEqual({
    kept: 7,
    replayed: 3,
    dropped: { operator: 10, budget: 0 },
  });
  await second.letters.add(letter({ item: 99 }));
  expect(itemsOf(await all(second.letters)).at(-1)).toBe(99);
  await second.journal.stop(AbortSignal.timeout(60_000));
});

test("a letter for which there is no room is refused, with what makes room", async () => {
  const { journal, letters } = await open(createMemoryIo(), 256 << 10);
  const all = Array.from({ length: 2_000 }, (_, item) => letters.add(letter({ item })));
  const refused = (await Promise.allSettled(all)).filter(({ status }) => status === "rejected");
  expect(letters.counts("logs").kept).toBe(2_000 - refused.length);
  expect(refused[0]).toMatchObject({
    reason: { why: expect.stringMatching(/is full .*weir dead-letter replay or drop makes room/) },
  });
  await journal.stop(AbortSignal.timeout(60_000));
});

test("what is removed twice, or with a wrong sum, is refused and nothing is removed", async () => {
  const { journal, letters: box } = await open(createMemoryIo());
  for (const item of [1, 2]) await box.add(letter({ item }));
  const [one, two] = await all(box);
  if (one === undefined || two === undefined) throw new Error("there are two letters");
  await box.remove([one], "operator");
  await expect(box.remove([one, two], "operator")).rejects.toThrow(/does not wait/);
  await expect(box.remove([{ ...two, batch: logs("a", "b") }], "operator")).rejects.toThrow(
    /sums to 2, they have 1/,
  );
  expect(itemsOf(await all(box))).toEqual([2]);
  await journal.stop(AbortSignal.timeout(60_000));
});

test("drop_oldest: new letters always find room, the oldest go, and the loss is counted", async () => {
  const maxBytes = 1 << 20;
  const { journal, letters: box, dropped } = await open(createMemoryIo(), maxBytes, "drop_oldest");
  const text = "x".repeat(8 << 10);
  for (let item = 0; item < 400; item++) await box.add(letter({ item, batch: logs(text) }));
  const kept = itemsOf(await all(box));
  const lost = dropped.reduce((sum, n) => sum + n, 0);
  expect(lost).toBeGreaterThan(250);
  expect(kept).toEqual(Array.from({ length: 400 - lost }, (_, i) => i + lost));
  expect(box.counts("logs").dropped).toEqual({ operator: 0, budget: lost });
  expect(box.bytes).toBeLessThanOrEqual(maxBytes);
  await journal.stop(AbortSignal.timeout(60_000));
});

test("one old letter does not keep the room of thousands that were removed", async () => {
  const io = createMemoryIo();
  const { journal, letters: box } = await open(io, 2 << 20);
  const text = "x".repeat(8 << 10);
  for (let item = 0; item < 150; item++) await box.add(letter({ item, batch: logs(text) }));
  const full = box.bytes;
  await take(box, "operator", (item) => item !== 0 && item !== 70);
  await expect.poll(() => box.bytes).toBeLessThan(full / 4);
  expect(itemsOf(await all(box))).toEqual([0, 70]);
  expect(box.counts("logs")).toEqual({
    kept: 2,
    replayed: 0,
    dropped: { operator: 148, budget: 0 },
  });
  await journal.stop(AbortSignal.timeout(60_000));
  const again = await open(io);
  expect(itemsOf(await all(again.letters))).toEqual([0, 70]);
  await again.journal.stop(AbortSignal.timeout(60_000));
});
