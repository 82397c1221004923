/**
 * `npm run bench -- --lanes`: what of lanes × body limit a slow destination gets, and of a core a quick one, from a full queue; and while
 * as much comes in as the same core takes. With `--only 1`, those that answer in 1 ms.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Service } from "../test/support/service.ts";
import { payloads } from "./cases.ts";
import { child, delayedSink, httpLoad, rssMb, waitedMs, withExporters } from "./delivery.ts";

/** `delayMs`: of the destination; `lanes` and `bodyBytes`: the exporter's, undefined = its defaults. */
interface LaneJob {
  readonly delayMs: number;
  readonly lanes?: number;
  readonly bodyBytes?: number;
  /** The queue is in memory. */
  readonly isVolatile?: boolean;
  /** Requests come in meanwhile, as fast as they are taken. */
  readonly isBusy?: boolean;
}

const JOBS: readonly LaneJob[] = [
  { delayMs: 1, lanes: 1, bodyBytes: 1 << 18 },
  { delayMs: 1, lanes: 1, bodyBytes: 1 << 20 },
  { delayMs: 1, lanes: 1 },
  { delayMs: 1 },
  { delayMs: 1_000, lanes: 8, bodyBytes: 1 << 20 },
  { delayMs: 1_000, lanes: 8, bodyBytes: 1 << 20, isVolatile: true },
  { delayMs: 1_000, bodyBytes: 1 << 20 },
  { delayMs: 1_000, bodyBytes: 1 << 20, isBusy: true },
  { delayMs: 1_000 },
];
const BODIES = payloads.plain(1_000).slice(0, 16);
const DEFAULT_LANES = 32;
const DEFAULT_BODY = 8 << 20;
const SLICE_MS = 1_000;
/** The first seconds after the destination is there are not seen. */
const WARM_MS = 3_000;
const SEEN_MS = 6_000;
/** Of a quick destination, which would empty the queue in more. */
const QUICK_SEEN_MS = 3_000;
/** Of telemetry, which is smaller than its rows; a queue in memory takes no more than the last. */
const MOST_QUEUED = 3 * 2 ** 29;
const MOST_IN_MEMORY = 192 << 20;

/** `only`: destinations that answer in so many milliseconds. */
export async function lanesBench(only?: string): Promise<void> {
  const rows: Record<string, string>[] = [];
  const jobs = JOBS.filter(({ delayMs }) => only === undefined || only === String(delayMs));
  for (const job of jobs) rows.push(await laneRow(job));
  console.table(rows);
}

async function laneRow(job: LaneJob): Promise<Record<string, string>> {
  const { delayMs, lanes = DEFAULT_LANES, bodyBytes = DEFAULT_BODY } = job;
  const { isVolatile = false, isBusy = false } = job;
  const [sink, sinkPort] = await delayedSink(delayMs);
  const load = child("./load.ts");
  const storage = isVolatile ? "" : ", storage: file_storage";
  const own = [
    `endpoint: "http://127.0.0.1:${sinkPort}", database: weir, tables: [function_logs]`,
    `max_body_size: ${bodyBytes}, retry_on_failure: { initial_interval: 500ms, max_interval: 1s }`,
    `sending_queue: { num_consumers: ${lanes}, queue_size: 100000000000, sizer: bytes${storage} }`,
  ];
  const perSecond = (lanes * bodyBytes * 1_000) / delayMs;
  const seenMs = delayMs < 100 ? QUICK_SEEN_MS : SEEN_MS;
  const wanted = (perSecond * (WARM_MS + 2 * seenMs)) / 1_000;
  const read = async () => {
    sink.send("read");
    return ((await once(sink, "message")) as [{ bytes: number; requests: number }])[0];
  };
  try {
    return await withExporters({ influxdb: `{ ${own.join(", ")} }` }, async (service, { http }) => {
      sink.send("die");
      await fill(service, load, http, Math.min(wanted, isVolatile ? MOST_IN_MEMORY : MOST_QUEUED));
      sink.send("live");
      if (isBusy) load.send(httpLoad(http, BODIES, WARM_MS + seenMs));
      await sleep(WARM_MS);
      const cpu = () => service.metric("otelcol_process_cpu_seconds");
      const [cpuBefore, waitedBefore, before] = [
        await cpu(),
        await waitedMs(service),
        await read(),
      ];
      const begun = performance.now();
      await sleep(seenMs);
      const [cpuAfter, after] = [await cpu(), await read()];
      const seconds = (performance.now() - begun) / 1_000;
      // Its other threads wait for the core as well, and let it wait: so the share may be above 100 %.
      const ownSeconds = seconds - ((await waitedMs(service)) - waitedBefore) / 1_000;
      const bytes = after.bytes - before.bytes;
      const requests = Math.max(1, after.requests - before.requests);
      return {
        "destination answers in": `${delayMs} ms`,
        queue: isVolatile ? "memory" : "disk",
        "comes in": isBusy ? "all it takes" : "nothing",
        lanes: String(lanes),
        "body limit MiB": String(bodyBytes / 2 ** 20),
        "MiB/s": (bytes / seconds / 2 ** 20).toFixed(1),
        "of lanes × body":
          delayMs < 100 ? "" : `${((bytes / seconds / perSecond) * 100).toFixed(0)} %`,
        "body KiB": (bytes / requests / 1_024).toFixed(0),
        "of the core it had": `${(((cpuAfter - cpuBefore) / ownSeconds) * 100).toFixed(0)} %`,
        "still queued": String((await service.law())[0]?.queued),
        "RSS MB": (await rssMb(service)).toFixed(0),
      };
    });
  } finally {
    sink.disconnect();
    load.disconnect();
  }
}

/** Queues so many bytes of telemetry, or as many as are taken. */
async function fill(
  service: Service,
  load: ChildProcess,
  port: number,
  bytes: number,
): Promise<void> {
  for (let queued = 0, before = -1; queued < bytes && queued > before; ) {
    before = queued;
    load.send(httpLoad(port, BODIES, SLICE_MS));
    await once(load, "message");
    queued = await service.metric("weir_route_queued_bytes");
  }
}
