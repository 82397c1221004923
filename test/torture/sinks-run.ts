/**
 * `npm run torture -- [--kills 10] [--faults] [--pinned] [--seed 1]`: the service is killed with SIGKILL at random moments under load over HTTP,
 * gRPC and the forward protocol, with sinks that refuse, hang and reset. Nothing acknowledged may be lost, duplicates stay within the bound of DESIGN §7 plus
 * ambiguous sends, and the law balances after each start. `--faults`: two of three sinks also answer badly in every way, reject items
 * for good and go down; the third must not notice. `--pinned`: one more route, slow and dead until the end; what it needs is copied out
 * of the segments of the others, which it does not keep. The last line is the total.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { freePorts, isBalanced, type Law, Service } from "../support/service.ts";
import { Senders, SLOW } from "./senders.ts";
import { isPoison, type Sink } from "./sinks.ts";
import { DEAD, deadLetters, SEGMENT_BYTES, sinksOf, yaml } from "./stand.ts";

/** Cursor records are written at least every second (DESIGN §7); the rest is the sink's and the timer's slack. */
const CURSOR_MS = 1_500;
const DOWN_MS = 400;

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    faults: { type: "boolean", default: false },
    pinned: { type: "boolean", default: false },
  },
});
const kills = Number(values.kills);
const random = seeded(Number(values.seed));

const [http = 0, slow = 0, grpc = 0, forward = 0, health = 0, metrics = 0] = await freePorts(6);
const sinks = sinksOf(values.faults, values.pinned, random);
const ports = await Promise.all(sinks.map((sink) => sink.start()));
const directory = await mkdtemp(join(tmpdir(), "weir-torture-"));
const config = join(directory, "config.yaml");
await writeFile(
  config,
  yaml(directory, sinks, { http, slow, grpc, forward, health, metrics, sinks: ports }),
);

const service = new Service(config, health, metrics);
const senders = new Senders();
const slowSenders = new Senders(SLOW);
const rows: Record<string, string | number>[] = [];
let unbalanced = 0;
/** Per sink: items that it had stored and the journal, after the crash, did not know to be delivered. Only they may arrive again. */
const exposed = sinks.map(() => 0);
const exposedBefore = sinks.map(() => 0);
let overexposed = 0;

await service.start();
senders.start(http, grpc, forward);
if (values.pinned) slowSenders.start(slow);
let startedMs = Date.now();
for (let kill = 1; kill <= kills; kill++) {
  const isDown = values.faults ? sinks[kill % sinks.length] : undefined;
  const down = isDown?.rejects ? isDown.down(DOWN_MS) : undefined;
  await sleep(200 + random() * 1_300);
  const before = senders.acknowledged.length;
  const killedMs = Date.now();
  await service.kill("SIGKILL");
  await down;
  for (const sink of sinks) sink.isShut = true; // so that the law is read as it was recovered
  const readyMs = await service.start();
  const laws = await service.law();
  for (const [i, sink] of sinks.entries()) expose(sink, i, laws, killedMs);
  startedMs = Date.now();
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
const pinned = values.pinned ? await pinnedBytes() : undefined;
await slowSenders.stop();
for (const sink of sinks) sink.isDead = false;
const isDrained = await drained();
const laws = await service.law();
const reasons = await service.dropped();
const exitCode = await service.kill("SIGTERM");
for (const sink of sinks) await sink.stop();
const letters = await deadLetters(directory);
await rm(directory, { recursive: true, force: true });
report();

/**
 * What this crash may repeat. Settled ranges: those since the last cursor record. Ranges in flight: with faults a part of one may have
 * been stored at any time since the start, while another part was tried again and again. And what the crash before may have repeated,
 * where it did not come to that.
 */
function expose(sink: Sink, i: number, laws: readonly Law[], killedMs: number): void {
  const delivered = laws.find(({ exporter }) => exporter === sink.name)?.delivered ?? 0;
  const items = Math.max(0, sink.stored.size - delivered);
  exposed[i] = (exposed[i] ?? 0) + items;
  const sinceMs = sink.rejects ? Math.min(startedMs, killedMs - CURSOR_MS) : killedMs - CURSOR_MS;
  if (items > sink.storedSince(sinceMs) + sink.ambiguous + (exposedBefore[i] ?? 0)) overexposed++;
  exposedBefore[i] = items;
  sink.isShut = false;
}

async function drained(but = ""): Promise<boolean> {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(200))
    if ((await service.law()).every((law) => law.queued === 0 || law.exporter === but)) return true;
  return false;
}

/** What the journal keeps when only the dead route still waits, and what waits for it. */
async function pinnedBytes() {
  await drained(DEAD);
  const read = async () => {
    const [bytes, segments, queued] = await Promise.all(
      ["weir_journal_bytes", "weir_journal_segments", "weir_route_queued_bytes"].map((name) =>
        service.metric(name),
      ),
    );
    return { bytes: bytes ?? 0, segments: segments ?? 0, queued: queued ?? 0 };
  };
  for (const end = Date.now() + 10_000; Date.now() < end; await sleep(200)) {
    const now = await read();
    if (isBounded(now)) return now;
  }
  return read();
}

/** A quarter of what is kept is needed (the default of copy-forward); the newest segments are not looked at yet. */
function isBounded({ bytes, queued }: { bytes: number; queued: number }): boolean {
  return bytes <= 4 * queued + 3 * SEGMENT_BYTES;
}

function report(): void {
  console.table(rows);
  if (values.faults) for (const sink of sinks) console.log(`met    ${sink.name}: ${met(sink)}`);
  console.log(
    `sent ${senders.sent}, acknowledged ${senders.acknowledged.length}, refused ${senders.refused}, without an answer ${senders.failed} items`,
  );
  const told = [...senders.told].map(([protocol, items]) => `${protocol} ${items}`).join(", ");
  const checks: [string, boolean][] = [
    [`${kills} kills, the law balances after each start`, unbalanced === 0],
    ["the law balances at the end", laws.length === sinks.length && laws.every(isBalanced)],
    ["queues are empty at the end", isDrained],
    [
      "no kill exposed more than what was sent since the last cursor record could be",
      overexposed === 0,
    ],
    ["SIGTERM ends it with exit code 0", exitCode === 0],
    [`acknowledged over each protocol: ${told}`, senders.told.size === 3],
  ];
  if (pinned !== undefined)
    checks.push([
      `${DEAD}: ${pinned.queued} bytes wait, the journal keeps ${pinned.bytes} in ${pinned.segments} segments`,
      isBounded(pinned) && pinned.queued > 0,
    ]);
  const totals: Record<string, string | number>[] = [];
  sinks.forEach((sink, i) => {
    const { checks: own, total } = judge(sink, exposed[i] ?? 0);
    checks.push(...own);
    totals.push(total);
  });
  console.table(totals);
  for (const [what, isFine] of checks) console.log(`${isFine ? "ok    " : "FAILED"} ${what}`);
  for (const law of laws) console.log(`law    ${print(law)}`);
  const failed = checks.filter(([, isFine]) => !isFine).length;
  if (failed > 0) console.log(service.log);
  console.log(`${checks.length - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

/** Every acknowledged item of a route has one end: stored, left out by an answer that says so, or a dead letter. */
function judge(sink: Sink, exposures: number) {
  const law = laws.find(({ exporter }) => exporter === sink.name);
  const own = letters.get(sink.name) ?? [];
  const dead = new Set(own.map(({ id }) => id));
  // OTLP 1.11: only 429, 502, 503 and 504 are tried again, so a 500 is the end of an item, however good it is.
  const others = own.filter(({ id, answer }) => !isPoison(id) && !answer.startsWith("HTTP 500"));
  // Set aside, killed before that was noted, sent again and taken this time: a letter of an item that counts as delivered.
  const taken = own.filter(({ id }) => sink.stored.has(id)).length;
  const unnoted = own.length - (law?.dead_lettered ?? 0);
  const { acknowledged } = sink.name === DEAD ? slowSenders : senders;
  const isThere = (id: string) => sink.stored.has(id) || sink.declined.has(id) || dead.has(id);
  const lost = acknowledged.filter((id) => !isThere(id)).length;
  const bound = sink.ambiguous + exposures;
  const checks: [string, boolean][] = [
    [`${sink.name}: ${lost} acknowledged items lost`, lost === 0],
    [
      `${sink.name}: ${sink.duplicates} duplicates, at most ${bound} (${sink.ambiguous} ambiguous, ${exposures} stored but not yet settled at the kills)`,
      sink.duplicates <= bound,
    ],
    [
      `${sink.name}: ${own.length} dead letters, ${unnoted} more than the law counts (${taken} were taken after a kill), each once (${own.length - dead.size} again), of items that are never taken (${others.length} of others)`,
      own.length === dead.size && others.length === 0 && unnoted >= 0 && unnoted <= taken,
    ],
    [
      `${sink.name}: ${law?.dropped} dropped, at most the ${sink.declined.size} that answers left out`,
      (law?.dropped ?? 0) <= sink.declined.size,
    ],
  ];
  const total = {
    route: sink.name,
    acknowledged: acknowledged.length,
    appended: law?.appended ?? 0,
    delivered: law?.delivered ?? 0,
    duplicated: sink.duplicates,
    "dead-lettered": law?.dead_lettered ?? 0,
    "dropped by reason": [...(reasons.get(sink.name) ?? [])].map((pair) => pair.join(" ")).join(),
    lost,
  };
  return { checks, total };
}

function met(sink: Sink): string {
  return [...sink.met].map(([what, times]) => `${what} ${times}×`).join(", ");
}

function print(law: Law): string {
  return `${law.exporter}: ${law.appended} = ${law.delivered} + ${law.unconfirmed} + ${law.dropped} + ${law.dead_lettered} + ${law.queued}`;
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
