/** What the service reaches of what node:http would reach if nothing had to be done: the floor that a gate leaves the work to stand on. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import type { Service } from "../test/support/service.ts";
import { PINNED, rssMb } from "./delivery.ts";
import type { FloorJob, FloorUse } from "./floor-server.ts";
import type { HttpLoad } from "./load.ts";
import { ask, give, type Row, rowOf, SPEED, warmUp } from "./service-row.ts";

/** The young generation of the service (`main.ts`). */
const FLOOR_FLAGS = ["--max-semi-space-size=8"];

/** The sink over HTTP, and where it listens. */
export interface Sink {
  readonly sink: ChildProcess;
  readonly sinkPort: number;
}

interface Beside {
  /** The service, its row, and what its load is. */
  readonly service: Service;
  readonly row: () => Promise<Row>;
  readonly http: HttpLoad;
  /** In a request. */
  readonly records: number;
  readonly load: ChildProcess;
  readonly sink: Sink;
}

/** The row of the service, and that of a bare node:http server which reads the same and sends as many bytes in as many requests. */
export async function besideFloor({ service, row, http, records, load, sink }: Beside) {
  const before = await ask<{ bytes: number; requests: number }>(sink.sink, "read");
  const own = await row();
  const { bytes, requests } = await ask<typeof before>(sink.sink, "read");
  const sent = requests - before.requests;
  const arrived = (await service.metric("weir_route_delivered_items_total")) / records;
  const floor = await floorRow(load, http, records, {
    sinkPort: sink.sinkPort,
    bytesOut: Math.round((bytes - before.bytes) / sent),
    requestsPerSent: arrived / sent,
  });
  const share = Number(own[SPEED]) / Number(floor[SPEED]);
  const delivered = `${own.delivered}, ${share.toFixed(2)} of what a bare node:http server reaches`;
  return [{ ...own, delivered }, floor];
}

async function floorRow(
  load: ChildProcess,
  http: HttpLoad,
  records: number,
  job: FloorJob,
): Promise<Row> {
  const server = join(import.meta.dirname, "floor-server.ts");
  const [command = "", ...args] = [...PINNED, process.execPath, ...FLOOR_FLAGS, server];
  const floor = spawn(command, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const { port } = await ask<{ port: number }>(floor, job);
  await warmUp(load, { ...http, port }, async () => {});
  const before = await ask<FloorUse>(floor, "read");
  const begun = performance.now();
  await give(load, { ...http, port });
  const seconds = (performance.now() - begun) / 1_000;
  const rss = await rssMb(floor);
  const { requests, cpuSeconds } = await ask<FloorUse>(floor, "read");
  floor.disconnect();
  return rowOf({
    job: `… a bare node:http server with the same bytes in and out, ${records} a request`,
    sent: (requests - before.requests) * records,
    used: cpuSeconds - before.cpuSeconds,
    seconds,
    delivered: "",
    rss,
  });
}
