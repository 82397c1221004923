/**
 * `npm run bench -- --routes 20`: what routes cost that deliver nothing. `npm run bench -- --drain [--mib 2048]`: how a backlog drains,
 * in memory and time.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts, type Service } from "../test/support/service.ts";
import { payloads } from "./cases.ts";
import { child, delayedSink, httpLoad, rssMb, withExporters } from "./delivery.ts";
import type { LoadResult } from "./load.ts";

const IN_REQUEST = 100;
const ROUNDS = 3;
const WARM_MS = 4_000;
const SEEN_MS = 6_000;
/** Nobody listens there. */
const DEAD = "http://127.0.0.1:9";
const QUEUE = "sending_queue: { storage: file_storage, queue_size: 100000000000, sizer: bytes }";

type Others = "none" | "dead" | "idle";

/** CPU per item of one live route alone, beside so many dead ones, and beside so many for which nothing comes. */
export async function routesBench(routes: number): Promise<void> {
  const best = new Map<Others, number>();
  for (let round = 0; round < ROUNDS; round++)
    for (const others of ["none", "dead", "idle"] as const) {
      const us = await routesRound(routes, others);
      best.set(others, Math.min(us, best.get(others) ?? us));
    }
  const alone = best.get("none") ?? 0;
  console.table(
    [...best].map(([others, us]) => ({
      "beside the live route": others === "none" ? "nothing" : `${routes} ${others} routes`,
      "µs CPU per item, best of 3": us.toFixed(3),
      "more than alone": `${((us / alone - 1) * 100).toFixed(1)} %`,
      gate: "≤ 10 %",
    })),
  );
}

async function routesRound(routes: number, others: Others): Promise<number> {
  const [sink, port] = await delayedSink(0);
  const load = child("./load.ts");
  const exporter = (endpoint: string) =>
    `{ endpoint: "${endpoint}", database: weir, tables: [function_logs], ${QUEUE} }`;
  const exporters: Record<string, string> = {
    "influxdb/live": exporter(`http://127.0.0.1:${port}`),
  };
  if (others !== "none")
    for (let i = 0; i < routes; i++) exporters[`influxdb/${others}${i}`] = exporter(DEAD);
  // What is idle has a pipeline of its own, for a signal that nobody sends.
  const idle = others === "idle" ? Object.keys(exporters).slice(1) : [];
  try {
    return await withExporters(
      exporters,
      async (service, { http }) => {
        const give = async (ms: number) => {
          load.send(httpLoad(http, payloads.plain(IN_REQUEST).slice(0, 16), ms));
          return ((await once(load, "message")) as [LoadResult])[0].ok * IN_REQUEST;
        };
        await give(WARM_MS);
        await delivered(service);
        const cpu = () => service.metric("otelcol_process_cpu_seconds");
        const before = await cpu();
        const items = await give(SEEN_MS);
        await delivered(service);
        return (((await cpu()) - before) / items) * 1e6;
      },
      idle,
    );
  } finally {
    sink.disconnect();
    load.disconnect();
  }
}

/** Waits until the live route has everything. */
async function delivered(service: Service, ms = 60_000): Promise<void> {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(100))
    if (
      (await service.law()).some(
        ({ exporter, queued }) => exporter.endsWith("live") && queued === 0,
      )
    )
      return;
}

const MIB = 2 ** 20;
const SLICE_MS = 2_000;
const LOOK_MS = 200;
/** Longest pause of a route whose destination is dead, and some more. */
const BACK_MS = 30_000;

interface Stretch {
  readonly items: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly rssMb: number;
}

/** What one core delivers live, and from a backlog of so many MiB that was written to disk while the destination was dead. */
export async function drainBench(mib: number): Promise<void> {
  const [port = 0] = await freePorts(1);
  const load = child("./load.ts");
  const bodies = payloads.plain(1_000).slice(0, 16);
  const exporter = `{ endpoint: "http://127.0.0.1:${port}", database: weir, tables: [function_logs], retry_on_failure: { max_interval: 1s }, ${QUEUE} }`;
  let sink = await sinkAt(port);
  try {
    await withExporters({ "influxdb/live": exporter }, async (service, { http }) => {
      const give = async (ms: number) => {
        load.send(httpLoad(http, bodies, ms));
        await once(load, "message");
        await delivered(service);
      };
      await give(WARM_MS);
      const live = await stretch(service, () => give(SEEN_MS));
      sink.disconnect();
      const queuedBytes = () => service.metric("weir_route_queued_bytes");
      while ((await queuedBytes()) < mib * MIB) {
        load.send(httpLoad(http, bodies, SLICE_MS));
        await once(load, "message");
      }
      const filledMb = await rssMb(service);
      sink = await sinkAt(port);
      const before = await service.metric(DELIVERED);
      for (const end = Date.now() + BACK_MS; Date.now() < end; await sleep(20))
        if ((await service.metric(DELIVERED)) > before) break;
      const drain = await stretch(service, () => delivered(service, 600_000));
      report(live, drain, filledMb);
    });
  } finally {
    if (sink.connected) sink.disconnect();
    load.disconnect();
  }
}

const DELIVERED = "weir_route_delivered_items_total";

async function sinkAt(port: number): Promise<ChildProcess> {
  const [sink] = await delayedSink(0, port);
  return sink;
}

async function stretch(service: Service, work: () => Promise<unknown>): Promise<Stretch> {
  const cpu = () => service.metric("otelcol_process_cpu_seconds");
  const before = [await cpu(), await service.metric(DELIVERED)] as const;
  const begun = performance.now();
  let mostMb = 0;
  let isOver = false;
  const looking = (async () => {
    for (; !isOver; await sleep(LOOK_MS)) mostMb = Math.max(mostMb, await rssMb(service));
  })();
  await work();
  const seconds = (performance.now() - begun) / 1_000;
  isOver = true;
  await looking;
  const items = (await service.metric(DELIVERED)) - before[1];
  return { items, seconds, cpuSeconds: (await cpu()) - before[0], rssMb: mostMb };
}

function report(live: Stretch, drain: Stretch, filledMb: number): void {
  const perCpu = ({ items, cpuSeconds }: Stretch) => items / cpuSeconds;
  const row = (what: string, one: Stretch) => ({
    what,
    items: one.items.toLocaleString("en"),
    "items/s": Math.round(one.items / one.seconds).toLocaleString("en"),
    "items/CPU s": Math.round(perCpu(one)).toLocaleString("en"),
    "of live": `${((perCpu(one) / perCpu(live)) * 100).toFixed(0)} %`,
    "RSS MB, most": one.rssMb.toFixed(0),
  });
  console.table([row("live: in and out at once", live), row("backlog, nothing else comes", drain)]);
  console.log(`RSS when the backlog was written: ${filledMb.toFixed(0)} MB. Gate: of live ≥ 50 %`);
}
