import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMemoryIo } from "../src/journal/memory-io.ts";
import { createJournal } from "../src/journal/open.ts";
import { openDirectory } from "../src/journal/real-io.ts";
import { routesOf } from "../src/journal/routes.ts";
import { createIndexer } from "../src/otlp/indexing.ts";
import { indexOf, payloads } from "./cases.ts";

const AT_ONCE = 32;
const NO_LIMITS = {
  bytes: Number.POSITIVE_INFINITY,
  items: Number.POSITIVE_INFINITY,
  frames: Number.POSITIVE_INFINITY,
  onFull: "refuse",
} as const;
const QUIET = { debug() {}, info() {}, warn() {}, error() {} };

/** CPU of append, read and settle per frame, with 32 requests waiting at a time as a busy service has them. */
export async function journalRow(
  n: number,
  isDurable: boolean,
): Promise<{ readonly what: string; readonly nsPerRecord: number }> {
  const directory = await mkdtemp(join(tmpdir(), "weir-bench-journal-"));
  const disk = isDurable ? await openDirectory(directory, { create: true }) : undefined;
  const io = disk ?? createMemoryIo();
  const journal = createJournal({
    io,
    indexer: createIndexer(),
    maxBytes: 8 * 2 ** 30,
    fsync: isDurable,
    nowMs: Date.now,
    log: QUIET,
  });
  await journal.start();
  const reader = journal.route("bench/logs", "logs", "end", NO_LIMITS);
  const stop = new AbortController();
  const reading = (async () => {
    while (!stop.signal.aborted) {
      const range = await reader.read({ bytes: 8 << 20, items: 1 << 16 }, stop.signal);
      reader.settle(range, {
        delivered: range.items,
        unconfirmed: 0,
        deadLettered: 0,
        dropped: new Map(),
      });
    }
  })().catch(() => {});
  const batch = indexOf("logs", payloads.plain(n)[0] as Uint8Array);
  const frame = { batch, routes: routesOf([reader.route]), arrivalMs: 0 };
  const append = () => Promise.all(Array.from({ length: AT_ONCE }, () => journal.append([frame])));
  for (const end = performance.now() + 500; performance.now() < end; ) await append();
  const before = process.cpuUsage();
  let frames = 0;
  for (const end = performance.now() + 1_500; performance.now() < end; frames += AT_ONCE)
    await append();
  const { user, system } = process.cpuUsage(before);
  stop.abort(new Error("done"));
  await reading;
  await journal.stop(AbortSignal.timeout(5_000));
  await disk?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
  const what = `journal: append, read, settle, ${n} a request, ${isDurable ? "fdatasync per group" : "memory"}`;
  return { what, nsPerRecord: ((user + system) * 1_000) / (frames * n) };
}
