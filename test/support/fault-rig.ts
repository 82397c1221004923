import type { FileIo } from "../../src/journal/file-io.ts";
import { createMemoryIo } from "../../src/journal/memory-io.ts";
import { createJournal } from "../../src/journal/open.ts";
import { routesOf } from "../../src/journal/routes.ts";
import type { Backend, ExporterContext } from "../../src/kit/delivery/backend.ts";
import { openDeadLetters } from "../../src/kit/delivery/dead-letters.ts";
import { runExportLoop } from "../../src/kit/delivery/export-loop.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { pickItems } from "../../src/otlp/pick.ts";
import { isRefusal } from "../../src/otlp/status.ts";
import type { Logger } from "../../src/pipeline/telemetry.ts";
import { quickRetry, recordingLog, recordingMeter } from "./export-rig.ts";
import { decodeRequest, encodeRequest } from "./otlp.ts";

const indexer = createIndexer();
const LIMITS = { bytes: 1e9, items: 1e9, frames: 1e9, onFull: "refuse" } as const;
const ROUTE = "x/logs";

/** One route over a real journal, to which exporters with other options can be connected one after the other. */
export interface FaultRoute extends AsyncDisposable {
  readonly log: ReturnType<typeof recordingLog>;
  /** Terms of the law. */
  counts(): {
    readonly appended: number;
    readonly delivered: number;
    readonly others: number;
    readonly queued: number;
  };
  /** More log records, in a frame of their own. */
  append(names: readonly string[]): Promise<void>;
  /** Delivers with this exporter until `restart` or the end. */
  deliver(create: (context: ExporterContext<"logs">) => Backend<"logs">): void;
  /** Stops as a service does, and opens the journal again. */
  restart(): Promise<void>;
}

/** `names`: bodies of the log records that wait in the route, `perFrame` in a frame; `timeoutMs` of one attempt. */
export async function faultRoute(
  names: readonly string[],
  perFrame: number,
  timeoutMs: number,
): Promise<FaultRoute> {
  const log = recordingLog();
  const [queue, aside] = [createMemoryIo(), createMemoryIo()];
  let open = await openRoute(queue, aside, log);
  await append(open, names, perFrame);
  let end: (() => Promise<void>) | undefined;
  return {
    log,
    counts: () => {
      const { appended, delivered, unconfirmed, deadLettered, dropped, queuedItems } =
        open.reader.counts();
      let others = unconfirmed + deadLettered;
      for (const n of dropped.values()) others += n;
      return { appended, delivered, others, queued: queuedItems };
    },
    append: (more) => append(open, more, more.length),
    deliver: (create) => {
      const meter = recordingMeter();
      const about = { id: "x", route: ROUTE, signal: "logs", log, meter, indexer } as const;
      const backend = create({ ...about, nowMs: Date.now, fail: () => {} });
      const stop = new AbortController();
      const { reader, deadLetters, journal } = open;
      const done = runExportLoop(
        {
          ...{ reader, backend, deadLetters, log, meter, indexer, pick: pickItems },
          ...{ journalId: journal.id, retry: quickRetry, timeoutMs, lanes: 2 },
          ...{ nowMs: Date.now, graceMs: 50, probeMs: 50 },
        },
        stop.signal,
      );
      end = async () => {
        stop.abort(new Error("stopped"));
        await done;
        await backend.stop(AbortSignal.timeout(100));
        await open.close();
      };
    },
    restart: async () => {
      await end?.();
      open = await openRoute(queue, aside, log);
    },
    async [Symbol.asyncDispose]() {
      await end?.();
    },
  };
}

async function openRoute(queue: FileIo, aside: FileIo, log: Logger) {
  const needs = { indexer, maxBytes: 64 << 20, segmentBytes: 1 << 20, nowMs: Date.now, log };
  const journal = createJournal({ io: queue, ...needs });
  const letters = createJournal({ io: aside, ...needs });
  await journal.start();
  await letters.start();
  return {
    journal,
    reader: journal.route(ROUTE, "logs", "oldest", LIMITS),
    deadLetters: await openDeadLetters(letters),
    close: async () => {
      await journal.stop(AbortSignal.timeout(60_000));
      await letters.stop(AbortSignal.timeout(60_000));
    },
  };
}

async function append(
  { journal, reader }: Awaited<ReturnType<typeof openRoute>>,
  names: readonly string[],
  perFrame: number,
): Promise<void> {
  const routes = routesOf([reader.route]);
  for (let at = 0; at < names.length; at += perFrame) {
    const bytes = requestOf(names.slice(at, at + perFrame));
    const indexed = indexer.index("logs", bytes, bytes.length);
    if (!("batch" in indexed)) throw new Error(indexed.why);
    const { batch } = indexed;
    const room = journal.reserve(routes, batch.length, batch.items);
    if (isRefusal(room)) throw new Error(room.why);
    using _room = room;
    await journal.append([{ batch, routes, arrivalMs: Date.now() }]);
  }
}

function requestOf(names: readonly string[]): Uint8Array {
  const logRecords = names.map((name, i) => ({
    timeUnixNano: String(1_700_000_000_000_000_000n + BigInt(i)),
    body: { stringValue: name },
  }));
  const resource = { attributes: [{ key: "service.name", value: { stringValue: "s" } }] };
  return encodeRequest("logs", { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] });
}

/** Names in an OTLP request that a destination got. */
export function namesInOtlp(body: Uint8Array): string[] {
  const text = JSON.stringify(decodeRequest("logs", body));
  return [...text.matchAll(/"body":\{"stringValue":"([^"]*)"/g)].map(([, name = ""]) => name);
}

/** Names in lines that a destination got. */
export function namesInLines(body: Uint8Array): string[] {
  const text = Buffer.from(body).toString();
  return [...text.matchAll(/message="([^"]*)"/g)].map(([, name = ""]) => name);
}
