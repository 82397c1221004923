import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { type HttpSink, httpSink } from "../support/http-sink.ts";
import { isBalanced, type Law } from "../support/service.ts";
import { PATIENCE_MS } from "../support/until.ts";
import { Stand } from "./stand.ts";

/** What the worst second of a well route may cost (DESIGN §7). */
const WORST_MS = 2_000;
const RETRY = "retry_on_failure: { initial_interval: 20ms, max_interval: 200ms }";

interface Exporter {
  readonly sink: HttpSink;
  /** Options of sending_queue beside the storage. */
  readonly queue?: string;
}

/** A service with these exporters on one pipeline and one journal; a sink that is well may be slow on a busy machine. */
function standWith(exporters: Readonly<Record<string, Exporter>>, timeout = "30s"): Promise<Stand> {
  const names = Object.keys(exporters);
  const blocks = Object.entries(exporters).map(
    ([name, { sink, queue = "" }]) =>
      `  otlp_http/${name}: { endpoint: "${sink.url}", ${RETRY}, timeout: ${timeout}, sending_queue: { storage: file_storage, ${queue} } }\n`,
  );
  const all = names.map((name) => `otlp_http/${name}`).join(", ");
  return Stand.open(
    (stand) =>
      `${stand.frame}exporters:\n${blocks.join("")}${stand.serviceWith(`logs: { receivers: [otlp], exporters: [${all}] }`)}`,
  );
}

/** The texts `at-<milliseconds>-<n>` of each request, and when it came. */
function arrivals(sink: HttpSink): { readonly delays: number[]; readonly texts: Set<string> } {
  const delays: number[] = [];
  const texts = new Set<string>();
  sink.answer = ({ body }) => {
    const now = Date.now();
    for (const [text, at] of body.toString("latin1").matchAll(/at-(\d+)-\d+z/g)) {
      if (texts.has(text)) continue;
      texts.add(text);
      delays.push(now - Number(at));
    }
    return { status: 200 };
  };
  return { delays, texts };
}

/** Of that time, what is not the machine's fault. */
const ownMs = (stand: Stand, ms: number) => ms - stand.waits.within(ms);

const lawOf = (laws: readonly Law[], name: string) =>
  laws.find(({ exporter }) => exporter === `otlp_http/${name}`) as Law;

test("a hanging, a slow, a flapping and a dead destination delay neither the others nor ingest, and get everything in the end", async () => {
  await using hanging = await httpSink({ does: "hang" });
  await using slow = await httpSink({ status: 200, delayMs: 300 });
  await using flapping = await httpSink({ status: 200 });
  await using dead = await httpSink({ does: "reset" });
  await using well = await httpSink({ status: 200 });
  flapping.answer = () =>
    Date.now() % 400 < 200 ? { status: 200 } : { status: 503, body: "not now" };
  const { delays, texts } = arrivals(well);
  const sinks = { hanging, slow, flapping, dead, well };
  const exporters = Object.entries(sinks).map(([name, sink]) => [name, { sink }] as const);
  await using stand = await standWith(Object.fromEntries(exporters), "500ms");
  await stand.service.start();
  let slowest = 0;
  let sent = 0;
  for (const end = Date.now() + 2_000; Date.now() < end; await sleep(20)) {
    const begun = Date.now();
    const batch = Array.from({ length: 50 }, (_, i) => `at-${begun}-${i}z`);
    expect((await stand.post(batch)).status).toBe(200);
    slowest = Math.max(slowest, Date.now() - begun);
    sent += batch.length;
  }
  await stand.until((laws) => lawOf(laws, "well").queued === 0);
  expect(ownMs(stand, Math.max(...delays))).toBeLessThan(WORST_MS);
  expect(ownMs(stand, slowest)).toBeLessThan(WORST_MS);
  expect(texts.size).toBe(sent);
  expect(lawOf(await stand.service.law(), "dead").queued).toBe(sent);
  for (const sink of [hanging, slow, flapping, dead]) sink.answer = () => ({ status: 200 });
  const laws = await stand.until((all) => all.every(({ queued }) => queued === 0));
  for (const law of laws) expect(law).toMatchObject({ appended: sent, delivered: sent });
});

test("a full queue of a dead destination drops its oldest or skips it, as it is told, and nobody else notices", async () => {
  await using dead = await httpSink({ does: "reset" });
  await using well = await httpSink({ status: 200 });
  const { texts } = arrivals(well);
  const small = "queue_size: 20, sizer: items";
  await using stand = await standWith({
    drops: { sink: dead, queue: `${small}, on_full: drop_oldest` },
    skips: { sink: dead, queue: `${small}, on_full: skip` },
    well: { sink: well },
  });
  await stand.service.start();
  for (let n = 0; n < 20; n++) {
    const batch = Array.from({ length: 5 }, (_, i) => `at-${n}-${i}z`);
    expect((await stand.post(batch)).status).toBe(200);
  }
  const laws = await stand.until((all) => lawOf(all, "well").delivered === 100);
  expect(texts.size).toBe(100);
  expect(laws.every(isBalanced)).toBe(true);
  expect(lawOf(laws, "skips")).toMatchObject({ appended: 100, queued: 20, dropped: 80 });
  const drops = lawOf(laws, "drops");
  expect(drops.queued).toBeLessThanOrEqual(20);
  expect(drops.dropped).toBe(100 - drops.queued);
  const reasons = await stand.service.dropped();
  expect([...(reasons.get("otlp_http/drops") ?? [])]).toEqual([["queue_full", drops.dropped]]);
  expect([...(reasons.get("otlp_http/skips") ?? [])]).toEqual([["skipped", 80]]);
});

test("by default a full queue refuses, before it is read, with a Retry-After; what was acknowledged before is delivered", async () => {
  await using dead = await httpSink({ does: "reset" });
  await using well = await httpSink({ status: 200 });
  const { texts } = arrivals(well);
  await using stand = await standWith({
    dead: { sink: dead, queue: "queue_size: 4" },
    well: { sink: well },
  });
  await stand.service.start();
  const answers: Response[] = [];
  for (let n = 0; n < 8; n++) answers.push(await stand.post([`at-${n}-0z`]));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 503, 503, 503, 503]);
  expect(Number(answers[4]?.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(await answers[4]?.text()).toContain("otlp_http/dead/logs");
  await stand.until((laws) => lawOf(laws, "well").delivered === 4);
  expect(texts.size).toBe(4);
  arrivals(dead);
  await stand.until((laws) => lawOf(laws, "dead").delivered === 4);
  expect((await stand.post(["at-9-0z"])).status).toBe(200);
});

test("a backlog drains from disk while live data flows, and memory stays where it was", async () => {
  await using back = await httpSink({ status: 503 });
  await using well = await httpSink({ status: 200 });
  const { delays } = arrivals(well);
  await using stand = await standWith({ back: { sink: back }, well: { sink: well } });
  await stand.service.start();
  const filler = "x".repeat(900);
  let sent = 0;
  const send = async (length: number) => {
    const now = Date.now();
    const batch = Array.from({ length }, (_, i) => `at-${now}-${i}z ${filler}`);
    expect((await stand.post(batch)).status).toBe(200);
    sent += batch.length;
  };
  for (let i = 0; i < 30; i++) await send(1_000); // 60 MB
  const before = await rssMb(stand.service.pid);
  const { texts } = arrivals(back);
  let most = before;
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(20)) {
    await send(200);
    most = Math.max(most, await rssMb(stand.service.pid));
    if (lawOf(await stand.service.law(), "back").queued < 5_000) break;
  }
  await stand.until((laws) => laws.every(({ queued }) => queued === 0));
  expect(texts.size).toBeGreaterThan(30_000);
  expect(ownMs(stand, Math.max(...delays))).toBeLessThan(WORST_MS);
  expect(most - before).toBeLessThan(200);
  const laws = await stand.service.law();
  for (const law of laws) expect(law).toMatchObject({ appended: sent, delivered: sent });
});

async function rssMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024;
}
