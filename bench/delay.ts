/** `npm run bench -- --delay`: how long an item is on its way from its sender to an idle destination. */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { request } from "undici";
import type { Service } from "../test/support/service.ts";
import { payloads } from "./cases.ts";
import { delayedSink, pinToLoadCore, withExporters } from "./delivery.ts";

/** Items a second, in requests of so many. */
const PER_SECOND = 10_000;
const IN_REQUEST = 100;
const WARM_MS = 5_000;
const SEEN_MS = 10_000;

interface Delays {
  readonly items: number;
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
}

export async function delayBench(): Promise<void> {
  pinToLoadCore();
  const rows: Record<string, string>[] = [];
  for (const [what, queue] of [
    ["defaults, queue in memory", ""],
    ["defaults, durable queue", "sending_queue: { storage: file_storage }, "],
    [
      "durable queue, batch with its defaults",
      "sending_queue: { storage: file_storage, batch: {} }, ",
    ],
  ] as const) {
    await using sink = await timedSink();
    const influxdb = `{ endpoint: "http://127.0.0.1:${sink.port}", ${queue}database: weir, tables: [function_logs] }`;
    await withExporters({ influxdb }, async (service, { http }) => {
      await sendFor(WARM_MS, http);
      await sink.delays();
      await sendFor(SEEN_MS, http);
      rows.push(await rowOf(what, service, await sink.delays()));
    });
  }
  console.table(rows);
}

async function rowOf(what: string, service: Service, delays: number[]) {
  const { items, p50, p99, worst } = delaysOf(delays);
  const [law] = await service.law();
  return {
    what,
    seen: String(items),
    "p50 ms": p50.toFixed(1),
    "p99 ms": p99.toFixed(1),
    "worst ms": worst.toFixed(0),
    gate: "p50 ≤ 50, p99 ≤ 250",
    lost: String((law?.appended ?? 0) - (law?.delivered ?? 0)),
  };
}

/** Milliseconds. */
export function delaysOf(delays: number[]): Delays {
  delays.sort((a, b) => a - b);
  const at = (share: number) => delays[Math.floor((delays.length - 1) * share)] ?? 0;
  return { items: delays.length, p50: at(0.5), p99: at(0.99), worst: at(1) };
}

/** Sends at a steady pace whatever the answers take. */
async function sendFor(ms: number, port: number): Promise<void> {
  const begun = performance.now();
  const answers: Promise<unknown>[] = [];
  const requests = (ms * PER_SECOND) / IN_REQUEST / 1_000;
  for (let i = 0; i < requests; i++) {
    const waitMs = begun + (i * IN_REQUEST * 1_000) / PER_SECOND - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    answers.push(post(port, stamped()));
  }
  await Promise.all(answers);
  await sleep(500);
}

export async function post(port: number, body: Uint8Array): Promise<number> {
  const answer = await request(`http://127.0.0.1:${port}/v1/logs`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body,
  });
  await answer.body.dump();
  return answer.statusCode;
}

const [plain = new Uint8Array()] = payloads.plain(IN_REQUEST);
const places = idsIn(Buffer.from(plain));

/** The plain payload, each record with the time of this call in its execution id: microseconds of the monotonic clock. */
export function stamped(): Uint8Array {
  const body = Buffer.from(plain);
  const stamp = `d-${String(process.hrtime.bigint() / 1_000n).padStart(34, "0")}`;
  for (const at of places) body.write(stamp, at, "latin1");
  return body;
}

/** Where the values of `execution.id` stand: behind the key come the tags and lengths of the value and its text. */
function idsIn(body: Buffer): number[] {
  const found: number[] = [];
  const key = "execution.id";
  for (let at = body.indexOf(key); at >= 0; at = body.indexOf(key, at + 1))
    found.push(at + key.length + 4);
  return found;
}

/** A destination in a process of its own. */
interface TimedSink extends AsyncDisposable {
  readonly port: number;
  /** Milliseconds that some of the items since the last call were on their way; of large requests one per 16 KiB. */
  delays(): Promise<number[]>;
  /** Cuts connections instead of answering, until `live`. */
  die(): void;
  live(): void;
}

/** Answers 204 at once. */
export async function timedSink(): Promise<TimedSink> {
  const [sink, port] = await delayedSink(0);
  const delays = async () => {
    sink.send("delays");
    return ((await once(sink, "message")) as [{ delays: number[] }])[0].delays;
  };
  await delays();
  return {
    port,
    delays,
    die: () => void sink.send("die"),
    live: () => void sink.send("live"),
    async [Symbol.asyncDispose]() {
      sink.disconnect();
    },
  };
}
