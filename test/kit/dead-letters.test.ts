import { expect, test } from "vitest";
import type { FileIo } from "../../src/journal/file-io.ts";
import { createMemoryIo } from "../../src/journal/memory-io.ts";
import { createJournal } from "../../src/journal/open.ts";
import {
  type DeadLetter,
  deadLetterRoute,
  openDeadLetters,
  readDeadLetterNote,
} from "../../src/kit/dead-letters.ts";
import type { Batch } from "../../src/otlp/batch.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { pickItems } from "../../src/otlp/pick.ts";
import { PipelineError } from "../../src/otlp/status.ts";
import type { Signal } from "../../src/otlp/tape.ts";
import { recordingLog } from "../support/export-rig.ts";
import { decodeRequest, encodeRequest } from "../support/otlp.ts";

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

async function open(io: FileIo, maxBytes = 4 << 20) {
  const log = recordingLog();
  const journal = createJournal({
    io,
    indexer,
    maxBytes,
    segmentBytes: 64 << 10,
    nowMs: Date.now,
    log,
  });
  await journal.start();
  return { journal, letters: await openDeadLetters(journal) };
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
  await journal.stop(AbortSignal.timeout(1_000));
  return found;
}

test("a letter keeps the item and says where it came from and why", async () => {
  const io = createMemoryIo();
  const { journal, letters: box } = await open(io);
  await box.add(letter());
  await journal.stop(AbortSignal.timeout(1_000));
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
  await first.journal.stop(AbortSignal.timeout(1_000));
  const second = await open(io);
  await second.letters.add(letter());
  for (const other of [{ seq: 8 }, { item: 4 }, { route: "loki/logs" }, { journal: "j2" }])
    await second.letters.add(letter(other));
  await second.journal.stop(AbortSignal.timeout(1_000));
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
  await journal.stop(AbortSignal.timeout(1_000));
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
