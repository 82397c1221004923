/** What the rows of the service bench are measured with. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Service } from "../test/support/service.ts";
import { rssMb } from "./delivery.ts";
import type { Load, LoadResult } from "./load.ts";

/** V8 needs this long at full load until the hot path is compiled, on one core. */
const WARM_MS = 8_000;
/** What the first ends of connections and the first look at the metrics undo of it is compiled again by then: they come every day. */
const WARM_AGAIN_MS = 6_000;

/** The column of the speed. */
export const SPEED = "M records/s per core";

/** A row of the service bench. */
export interface Row {
  readonly job: string;
  readonly [SPEED]: string;
  readonly "µs CPU per record": string;
  readonly "records/s seen": string;
  readonly delivered: string;
  readonly "RSS MB": string;
}

/** The row of `work`, which says what it has sent: CPU time and what arrived are the service's own figures. */
export async function measured(
  service: Service,
  job: string,
  work: () => Promise<{ sent: number; note: string }>,
): Promise<Row> {
  const cpu = () => service.metric("otelcol_process_cpu_seconds");
  const delivered = () => service.metric("weir_route_delivered_items_total");
  const dropped = () => service.metric("weir_route_dropped_items_total");
  const [cpuBefore, deliveredBefore, droppedBefore] = [
    await cpu(),
    await delivered(),
    await dropped(),
  ];
  const begun = performance.now();
  const { sent, note } = await work();
  const seconds = (performance.now() - begun) / 1_000;
  const rss = await rssMb(service);
  await settled(service);
  const used = (await cpu()) - cpuBefore;
  const arrived = (await delivered()) - deliveredBefore;
  const left = (await dropped()) - droppedBefore;
  const all = arrived === sent ? "all" : `${arrived} of ${sent}, ${left} dropped by a rule`;
  return rowOf({ job, sent, used, seconds, delivered: `${all}${note}`, rss });
}

interface Seen {
  readonly job: string;
  readonly sent: number;
  /** Seconds of CPU. */
  readonly used: number;
  readonly seconds: number;
  readonly delivered: string;
  readonly rss: number;
}

/** A row of what was seen. */
export function rowOf({ job, sent, used, seconds, delivered, rss }: Seen): Row {
  return {
    job,
    [SPEED]: (sent / used / 1e6).toFixed(2),
    "µs CPU per record": ((used / sent) * 1e6).toFixed(2),
    "records/s seen": Math.round(sent / seconds).toLocaleString("en"),
    delivered,
    "RSS MB": rss.toFixed(0),
  };
}

/** Waits until the queue is empty. */
export async function settled(service: Service): Promise<void> {
  await sleep(300);
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(100))
    if ((await service.law()).every(({ queued }) => queued === 0)) return;
}

/** Gives the load a job. */
export const give = (load: ChildProcess, job: Load) => ask<LoadResult>(load, job);

/** Lets V8 compile what the job uses. `settle` is what a service does between two bursts. */
export async function warmUp(
  load: ChildProcess,
  job: Load,
  settle: () => Promise<void>,
): Promise<void> {
  for (const ms of [WARM_MS, WARM_AGAIN_MS]) {
    await give(load, { ...job, ms });
    await settle();
  }
}

/** Sends a message to a child, and waits for the next one of it. */
export async function ask<Answer>(child: ChildProcess, message: object | string): Promise<Answer> {
  const answer = once(child, "message");
  child.send(message);
  return ((await answer) as [Answer])[0];
}
