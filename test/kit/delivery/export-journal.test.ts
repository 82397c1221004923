import { expect, onTestFinished, test } from "vitest";
import { createInfluxdb } from "../../../src/exporters/influxdb/index.ts";
import type { FileIo } from "../../../src/journal/file-io.ts";
import { createMemoryIo } from "../../../src/journal/memory-io.ts";
import { createJournal } from "../../../src/journal/open.ts";
import { openDeadLetters } from "../../../src/kit/delivery/dead-letters.ts";
import { runExportLoop } from "../../../src/kit/delivery/export-loop.ts";
import { createIndexer } from "../../../src/otlp/indexing.ts";
import { pickItems } from "../../../src/otlp/pick.ts";
import { isRefusal } from "../../../src/otlp/status.ts";
import { compileLineWriter } from "../../../src/series/plan.ts";
import { shippedTables } from "../../../src/series/tables/load.ts";
import { quickRetry, recordingLog, recordingMeter } from "../../support/export-rig.ts";
import { httpSink } from "../../support/http-sink.ts";
import { encodeRequest } from "../../support/otlp.ts";
import { until } from "../../support/until.ts";

const indexer = createIndexer();
const NAME = "influxdb/logs";
const LIMITS = { bytes: 1e9, items: 1e9, frames: 1e9, onFull: "refuse" } as const;

async function openJournal(io: FileIo) {
  const log = recordingLog();
  const journal = createJournal({
    io,
    indexer,
    maxBytes: 64 << 20,
    segmentBytes: 1 << 20,
    nowMs: Date.now,
    log,
  });
  await journal.start();
  return journal;
}

function request(frame: number, items: number): Uint8Array {
  const logRecords = Array.from({ length: items }, (_, item) => ({
    timeUnixNano: String(1_700_000_000_000_000_000n + BigInt(frame * 1_000 + item)),
    body: { stringValue: `${frame}.${item}` },
  }));
  const resource = { attributes: [{ key: "service.name", value: { stringValue: "s" } }] };
  return encodeRequest("logs", { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] });
}

/** Reads, posts and settles with the real parts: journal, indexer, series writer, HTTP. */
async function service(queue: FileIo, aside: FileIo, url: string) {
  const journal = await openJournal(queue);
  const letters = await openJournal(aside);
  const reader = journal.route(NAME, "logs", "oldest", LIMITS);
  const deadLetters = openDeadLetters(letters);
  const tables = shippedTables();
  const factory = createInfluxdb(tables, compileLineWriter);
  const meter = recordingMeter();
  const log = recordingLog();
  const config = factory.schema.parse({
    endpoint: url,
    database: "weir",
    tables: ["logs"],
    max_body_size: 4_096,
  });
  const context = {
    id: "influxdb",
    route: NAME,
    log,
    meter,
    indexer,
    nowMs: Date.now,
    fail: () => {},
  };
  const backend = factory.create({ ...config }, { ...context, signal: "logs" as const });
  const stop = new AbortController();
  const done = runExportLoop(
    {
      reader,
      backend,
      deadLetters,
      log,
      meter,
      indexer,
      journalId: journal.id,
      retry: quickRetry,
      timeoutMs: 1_000,
      lanes: 4,
      nowMs: Date.now,
      pick: pickItems,
      graceMs: 50,
    },
    stop.signal,
  );
  const append = async (frame: number, items: number) => {
    const bytes = request(frame, items);
    const indexed = indexer.index("logs", bytes, bytes.length);
    if (!("batch" in indexed)) throw new Error(indexed.why);
    const routes = new Uint32Array((reader.route >>> 5) + 1);
    routes[reader.route >>> 5] = 2 ** (reader.route & 31);
    const room = journal.reserve(routes, indexed.batch.length, items);
    if (isRefusal(room)) throw new Error(room.why);
    using _room = room;
    await journal.append([{ batch: indexed.batch, routes, arrivalMs: Date.now() }]);
  };
  const end = async () => {
    stop.abort(new Error("stopped"));
    await done;
    await backend.stop(AbortSignal.timeout(100));
    await journal.stop(AbortSignal.timeout(60_000));
    await letters.stop(AbortSignal.timeout(60_000));
  };
  return { reader, append, end, letters };
}

test("over a real journal and a moody server: every item is stored or a dead letter, across a restart", async () => {
  const sink = await httpSink();
  onTestFinished(() => sink[Symbol.asyncDispose]());
  const stored = new Set<string>();
  let mood = 0;
  sink.answer = ({ body }) => {
    const lines = body.toString().trimEnd().split("\n");
    const names = lines.map((line) => /message="([^"]*)"/.exec(line)?.[1] ?? line);
    mood += 1;
    if (mood % 7 === 0) return { status: 503 };
    if (mood % 11 === 0) return { does: "reset" };
    if (mood % 13 === 0) return { does: "hang" };
    const bad = names.flatMap((name, i) => (name.endsWith(".17") ? [i + 1] : []));
    for (const name of names) if (!name.endsWith(".17")) stored.add(name);
    if (bad.length === 0) return { status: 204 };
    const data = bad.map((line_number) => ({
      line_number,
      error_message: "no",
      original_line: "",
    }));
    return {
      status: 400,
      body: JSON.stringify({ error: "partial write of line protocol occurred", data }),
    };
  };
  const [queue, aside] = [createMemoryIo(), createMemoryIo()];
  const first = await service(queue, aside, sink.url);
  for (let frame = 0; frame < 20; frame++) await first.append(frame, 40);
  await until(() => first.reader.counts().delivered > 200);
  await first.end();
  const before = first.reader.counts();
  expect(before.delivered + before.deadLettered + before.queuedItems).toBe(800);

  const second = await service(queue, aside, sink.url);
  for (let frame = 20; frame < 30; frame++) await second.append(frame, 40);
  await until(() => second.reader.counts().queuedItems === 0);
  const after = second.reader.counts();
  await second.end();
  expect(after).toMatchObject({
    appended: 1_200,
    delivered: 1_170,
    unconfirmed: 0,
    deadLettered: 30,
  });
  expect(after.dropped.size).toBe(0);
  expect(stored.size).toBe(1_170);

  const letters = await openJournal(aside);
  const none = { bytes: 1e9, items: 1e9, frames: 1e9, onFull: "refuse" } as const;
  expect(letters.route("dead_letters/logs", "logs", "oldest", none).counts().queuedItems).toBe(30);
  await letters.stop(AbortSignal.timeout(60_000));
});
