/**
 * `npm run torture -- --kills 50 [--seed 1]`: the service is killed with SIGKILL at random moments under load over HTTP and gRPC, with
 * sinks that refuse, hang and reset. Nothing acknowledged may be lost, duplicates stay within the bound of DESIGN §7 plus
 * ambiguous sends, and the law balances after each start. The last line is the total.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { freePorts, isBalanced, type Law, Service } from "../support/service.ts";
import { Senders } from "./senders.ts";
import { Sink } from "./sinks.ts";

/** Cursor records are written at least every second (DESIGN §7); the rest is the sink's and the timer's slack. */
const CURSOR_MS = 1_500;

const { values } = parseArgs({
  options: { kills: { type: "string", default: "10" }, seed: { type: "string", default: "1" } },
});
const kills = Number(values.kills);
const random = seeded(Number(values.seed));

const [http = 0, grpc = 0, health = 0, metrics = 0] = await freePorts(4);
const sinks = [new Sink("influxdb/a", 204, random), new Sink("otlp_http/b", 200, random)] as const;
const [portA, portB] = [await sinks[0].start(), await sinks[1].start()];
const directory = await mkdtemp(join(tmpdir(), "weir-torture-"));
const config = join(directory, "config.yaml");
await writeFile(config, yaml());

const service = new Service(config, health, metrics);
const senders = new Senders();
const rows: Record<string, string | number>[] = [];
let unbalanced = 0;
/** Per sink: items that it had stored and the journal, after the crash, did not know to be delivered. Only they may arrive again. */
const exposed = [0, 0];
let overexposed = 0;

await service.start();
senders.start(http, grpc);
for (let kill = 1; kill <= kills; kill++) {
  await sleep(200 + random() * 1_300);
  const before = senders.acknowledged.length;
  const killedMs = Date.now();
  await service.kill("SIGKILL");
  for (const sink of sinks) sink.isShut = true; // so that the law is read as it was recovered
  const readyMs = await service.start();
  const laws = await service.law();
  sinks.forEach((sink, i) => {
    const delivered = laws.find(({ exporter }) => exporter === sink.name)?.delivered ?? 0;
    const items = Math.max(0, sink.stored.size - delivered);
    exposed[i] = (exposed[i] ?? 0) + items;
    if (items > sink.storedSince(killedMs - CURSOR_MS) + sink.ambiguous) overexposed++;
    sink.isShut = false;
  });
  unbalanced += laws.filter((law) => !isBalanced(law)).length;
  rows.push({
    kill,
    acknowledged: before,
    "ready after ms": readyMs,
    law: laws.map(print).join(" · "),
  });
}
await senders.stop();
for (const sink of sinks) sink.isKind = true;
const isDrained = await drained();
const laws = await service.law();
const exitCode = await service.kill("SIGTERM");
for (const sink of sinks) await sink.stop();
await rm(directory, { recursive: true, force: true });
report();

async function drained(): Promise<boolean> {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(200))
    if ((await service.law()).every((law) => law.queued === 0)) return true;
  return false;
}

function report(): void {
  console.table(rows);
  console.log(
    `sent ${senders.sent}, acknowledged ${senders.acknowledged.length}, refused ${senders.refused}, without an answer ${senders.failed} items`,
  );
  const checks: [string, boolean][] = [
    [`${kills} kills, the law balances after each start`, unbalanced === 0],
    ["the law balances at the end", laws.length === sinks.length && laws.every(isBalanced)],
    ["queues are empty at the end", isDrained],
    [
      "no kill exposed more than what was sent since the last cursor record could be",
      overexposed === 0,
    ],
    ["SIGTERM ends it with exit code 0", exitCode === 0],
    ["something was acknowledged", senders.acknowledged.length > 0],
  ];
  sinks.forEach((sink, i) => {
    const lost = senders.acknowledged.filter((id) => !sink.stored.has(id)).length;
    const bound = sink.ambiguous + (exposed[i] ?? 0);
    checks.push([`${sink.name}: ${lost} acknowledged items lost`, lost === 0]);
    checks.push([
      `${sink.name}: ${sink.duplicates} duplicates, at most ${bound} (${sink.ambiguous} ambiguous, ${exposed[i]} stored but not yet settled at the kills)`,
      sink.duplicates <= bound,
    ]);
  });
  for (const [what, isFine] of checks) console.log(`${isFine ? "ok    " : "FAILED"} ${what}`);
  for (const law of laws) console.log(`law    ${print(law)}`);
  const failed = checks.filter(([, isFine]) => !isFine).length;
  if (failed > 0) console.log(service.log);
  console.log(`${checks.length - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

function print(law: Law): string {
  return `${law.exporter}: ${law.appended} = ${law.delivered} + ${law.unconfirmed} + ${law.dropped} + ${law.dead_lettered} + ${law.queued}`;
}

function yaml(): string {
  const delivery = `
    sending_queue: { storage: file_storage, batch: { flush_timeout: 20ms } }
    retry_on_failure: { initial_interval: 50ms, max_interval: 500ms, max_elapsed_time: 0s }
    timeout: 1s`;
  return `
receivers:
  otlp: { protocols: { grpc: { endpoint: "127.0.0.1:${grpc}" }, http: { endpoint: "127.0.0.1:${http}" } } }
extensions:
  health_check: { endpoint: "127.0.0.1:${health}" }
  file_storage: { directory: "${join(directory, "queue")}" }
exporters:
  influxdb/a:
    endpoint: "http://127.0.0.1:${portA}"
    database: weir
    tables: [function_logs]${delivery}
  otlp_http/b:
    endpoint: "http://127.0.0.1:${portB}"${delivery}
service:
  extensions: [health_check, file_storage]
  telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${metrics} } } } }] } }
  pipelines:
    logs/a: { receivers: [otlp], exporters: [influxdb/a] }
    logs/b: { receivers: [otlp], exporters: [otlp_http/b] }
`;
}

/** mulberry32: the same seed, the same run, as far as the machine allows. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
