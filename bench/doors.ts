/**
 * `npm run bench -- --doors`: one process with all doors open. Its memory when nothing comes, while something comes through all doors at once,
 * and with 2,000 connections that say nothing more; and what such a connection costs, door by door.
 */
import { once } from "node:events";
import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ShippedService } from "../test/support/shipped-config.ts";
import { DOOR_KINDS, RepeatingSender } from "../test/torture/door-senders.ts";
import { payloads } from "./cases.ts";
import { child, httpLoad, rssMb } from "./delivery.ts";
import { IdleConnections, type Said } from "./idle-connections.ts";
import type { Load, LoadResult } from "./load.ts";

const CONNECTIONS = 2_000;
const AT_ONE_DOOR = 500;
const SETTLE_MS = 3_000;
/** Memory that a flood leaves behind is given back by then. */
const GIVEN_BACK_MS = 11_000;
const LOAD_MS = 20_000;
const LOOK_MS = 200;
const OTLP_PER_SECOND = 100;
const UDP_PER_SECOND = 1_000;
const FILE_LINES = 200;
const FILE_EVERY_MS = 100;
const RECORDS = 100;

const CONFIG = "test/support/all-doors.yaml";

type Told = (what: string, rss: number, more?: object) => void;

/** Prints the tables. */
export async function doorsBench(): Promise<void> {
  const rows: object[] = [];
  const told: Told = (what, rss, more = {}) =>
    void rows.push({ what, "RSS MB": Math.round(rss), ...more });
  await withService(async (weir) => {
    told("idle", await rssMb(weir.service));
    await idleRound(weir, "nothing", told);
  });
  await withService(async (weir) => {
    await idleRound(weir, "a small request", told);
    await idleRound(weir, "a request of 256 KiB", told);
  });
  await withService(async (weir) => {
    console.table(await mixedRound(weir, told));
    await sleep(GIVEN_BACK_MS);
    told("idle again", await rssMb(weir.service));
  });
  console.table(rows);
  const perDoor: object[] = [];
  for (const door of IdleConnections.doors)
    await withService(async (weir) => void perDoor.push(await doorRound(weir, door)));
  console.table(perDoor);
}

async function withService(work: (weir: ShippedService) => Promise<void>): Promise<void> {
  await using weir = await ShippedService.start(CONFIG);
  await sleep(SETTLE_MS);
  await work(weir);
}

/** Connections spread over the doors. */
async function idleRound(weir: ShippedService, said: Said, told: Told): Promise<void> {
  const { service } = weir;
  const before = await rssMb(service);
  const connections = new IdleConnections();
  await connections.fill(CONNECTIONS, said, (port) => weir.port(port));
  await sleep(SETTLE_MS);
  const rss = await rssMb(service);
  const each = kibEach(rss - before, connections.open);
  told(`${connections.open} connections that said ${said}`, rss, { "KiB each": each });
  connections.close();
  await sleep(GIVEN_BACK_MS);
  told("these are closed", await rssMb(service));
}

/** Connections at one door, after one request each: its size may stay with them, or not. */
async function doorRound(weir: ShippedService, door: string): Promise<object> {
  const each: Record<string, number> = {};
  for (const said of ["nothing", "a request of 256 KiB"] as const) {
    const before = await rssMb(weir.service);
    const connections = new IdleConnections();
    await connections.fill(AT_ONE_DOOR, said, (port) => weir.port(port), [door]);
    await sleep(SETTLE_MS);
    each[`KiB each, said ${said}`] = kibEach(
      (await rssMb(weir.service)) - before,
      connections.open,
    );
    connections.close();
    await sleep(GIVEN_BACK_MS);
  }
  return { door, ...each };
}

function kibEach(mb: number, connections: number): number {
  return Math.round((mb * 1_024) / connections);
}

/** Something through every door at once, for a while; resolves with what each of them took. */
async function mixedRound(weir: ShippedService, told: Told): Promise<object[]> {
  const senders = DOOR_KINDS.map((kind) => new RepeatingSender(kind, weir.port(kind.port)));
  const otlp = {
    ...httpLoad(weir.port(4318), payloads.plain(RECORDS).slice(0, 16), LOAD_MS),
    perSecond: OTLP_PER_SECOND,
  };
  const datagram = "mixed,through=udp v=1i";
  const udp: Load = {
    ...{ kind: "udp", port: weir.port(8094), datagram },
    ...{ perSecond: UDP_PER_SECOND, ms: LOAD_MS },
  };
  const loads = [otlp, udp].map((load) => given(load));
  const directory = weir.real("./data/logs");
  mkdirSync(directory, { recursive: true });
  const text = `${"a line of a file that grows\n".repeat(FILE_LINES)}`;
  const growing = setInterval(() => appendFileSync(join(directory, "a.log"), text), FILE_EVERY_MS);
  let most = 0;
  const end = Date.now() + LOAD_MS;
  for (; Date.now() < end; await sleep(LOOK_MS)) most = Math.max(most, await rssMb(weir.service));
  clearInterval(growing);
  await Promise.all([...loads, ...senders.map((sender) => sender.stop())]);
  told("something through all doors at once, at most", most);
  const accepted = [
    ...(await weir.service.metrics()).matchAll(
      /^otelcol_receiver_accepted_log_records(?:_total)?\{[^}]*receiver="([^"]+)"[^}]*\} (\d+)$/gm,
    ),
  ];
  return accepted.map(([, receiver, records]) => ({
    receiver,
    "records per second": Math.round(Number(records) / (LOAD_MS / 1_000)),
  }));
}

async function given(load: Load): Promise<LoadResult> {
  const sender = child("./load.ts");
  sender.send(load);
  const [result] = (await once(sender, "message")) as [LoadResult];
  sender.disconnect();
  return result;
}
