import { createInfluxdb } from "../../src/exporters/influxdb/index.ts";
import { createMemoryIo } from "../../src/journal/memory-io.ts";
import { createJournal } from "../../src/journal/open.ts";
import type { ExporterContext } from "../../src/kit/delivery/backend.ts";
import { runExportLoop } from "../../src/kit/delivery/export-loop.ts";
import type { Batch } from "../../src/otlp/batch.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { pickItems } from "../../src/otlp/pick.ts";
import type { Signal } from "../../src/otlp/tape.ts";
import { compileLineWriter } from "../../src/series/plan.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { MemoryDeadLetters, quickRetry, recordingLog, recordingMeter } from "./export-rig.ts";

const LIMITS = { bytes: 1e12, items: 1e12, frames: 1e12, onFull: "refuse" } as const;
const indexer = createIndexer();

/** One route to an InfluxDB over the real parts, from the journal to the socket. Its dead letters stay in memory. */
export async function delivery(
  url: string,
  options: object,
  more: Partial<ExporterContext> = {},
  signal: Signal = "logs",
) {
  const log = recordingLog();
  const meter = recordingMeter();
  const journal = createJournal({
    io: createMemoryIo(),
    indexer,
    maxBytes: 1 << 30,
    segmentBytes: 4 << 20,
    nowMs: Date.now,
    log,
  });
  await journal.start();
  const name = `influxdb/${signal}`;
  const reader = journal.route(name, signal, "oldest", LIMITS);
  const factory = createInfluxdb(shippedTables(), compileLineWriter);
  const config = factory.schema.parse({ endpoint: url, database: "weir", ...options });
  const context = {
    id: "influxdb",
    route: name,
    log,
    meter,
    indexer,
    nowMs: Date.now,
    fail: () => {},
  };
  const backend = factory.create(config, { ...context, ...more, signal });
  const deadLetters = new MemoryDeadLetters();
  const stop = new AbortController();
  let done: Promise<void> = Promise.resolve();
  const routes = new Uint32Array(1);
  routes[0] = 2 ** reader.route;
  const appendBatch = (batch: Batch) => journal.append([{ batch, routes, arrivalMs: Date.now() }]);
  return {
    log,
    meter,
    deadLetters,
    counts: () => reader.counts(),
    appendBatch,
    async append(bytes: Uint8Array) {
      const indexed = indexer.index(signal, bytes, bytes.length);
      if (!("batch" in indexed)) throw new Error(indexed.why);
      await appendBatch(indexed.batch);
    },
    /** Starts to deliver. */
    run(): void {
      done = runExportLoop(
        {
          reader,
          backend,
          deadLetters,
          log,
          meter,
          indexer,
          journalId: journal.id,
          retry: quickRetry,
          timeoutMs: 5_000,
          lanes: 4,
          nowMs: Date.now,
          pick: pickItems,
          graceMs: 50,
        },
        stop.signal,
      );
    },
    async [Symbol.asyncDispose]() {
      stop.abort(new Error("stopped"));
      await done;
      await backend.stop(AbortSignal.abort());
      await journal.stop(AbortSignal.timeout(60_000));
    },
  };
}
