/** How delivery uses its lanes, and how long an item is on its way: the service pinned to one core, real sockets. */
import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts, Service } from "../test/support/service.ts";
import { payloads } from "./cases.ts";
import type { HttpLoad } from "./load.ts";

/** The service has one core for itself; load and sinks share the other. */
export const PINNED = process.platform === "linux" ? ["taskset", "-c", "1"] : [];

/** Ten minutes of 50,000 items a second are 10 GB. */
const JOURNAL_BYTES = 40 * 2 ** 30;

export interface Ports {
  readonly http: number;
  readonly health: number;
  readonly metrics: number;
  readonly directory: string;
}

/** Runs `work` with a service whose exporters are these lines of YAML, all in one pipeline of logs; those in `idle` in one of traces instead. */
export async function withExporters<T>(
  exporters: Readonly<Record<string, string>>,
  work: (service: Service, ports: Ports) => Promise<T>,
  idle: readonly string[] = [],
): Promise<T> {
  const [http = 0, health = 0, metrics = 0] = await freePorts(3);
  const directory = await mkdtemp(join(tmpdir(), "weir-bench-"));
  const config = join(directory, "config.yaml");
  const names = Object.keys(exporters);
  const logs = names.filter((name) => !idle.includes(name));
  const traces =
    idle.length > 0 ? `, traces: { receivers: [otlp], exporters: [${idle.join(", ")}] }` : "";
  await writeFile(
    config,
    `
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:${http}" } } } }
extensions:
  health_check: { endpoint: "127.0.0.1:${health}" }
  file_storage: { directory: "${join(directory, "queue")}", max_bytes: ${JOURNAL_BYTES} }
exporters:
${names.map((name) => `  ${name}: ${exporters[name]}`).join("\n")}
service:
  extensions: [health_check, file_storage]
  telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${metrics} } } } }] } }
  pipelines: { logs: { receivers: [otlp], exporters: [${logs.join(", ")}] }${traces} }
`,
  );
  const service = new Service(config, health, metrics, PINNED);
  try {
    await service.start();
    return await work(service, { http, health, metrics, directory });
  } finally {
    await service.kill("SIGKILL");
    await rm(directory, { recursive: true, force: true });
  }
}

/** A child process of the benches on the first core. */
export function child(module: string, ...args: string[]): ChildProcess {
  const started = fork(new URL(module, import.meta.url), args, { stdio: "inherit" });
  pinToLoadCore(started.pid);
  return started;
}

/** Keeps a process, this one by default, off the service's core. */
export function pinToLoadCore(pid = process.pid): void {
  if (process.platform === "linux")
    execFileSync("taskset", ["-acp", "0", String(pid)], { stdio: "ignore" });
}

/** A sink that answers after `delayMs`, and its port (0: any). */
export async function delayedSink(
  delayMs: number,
  at = 0,
): Promise<readonly [ChildProcess, number]> {
  const sink = child("./sink.ts", String(delayMs), String(at));
  const [{ port }] = (await once(sink, "message")) as [{ port: number }];
  return [sink, port];
}

/** Load over HTTP: these bodies in turn, as fast as they are taken. */
export function httpLoad(port: number, bodies: readonly Uint8Array[], ms: number): HttpLoad {
  const requests = bodies.map((body) => {
    const head = `POST /v1/logs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-protobuf\r\nContent-Length: ${body.length}\r\n\r\n`;
    return Buffer.concat([Buffer.from(head), body]).toString("base64");
  });
  return { kind: "http", port, requests, connections: 8, ms };
}

export async function rssMb(service: Service): Promise<number> {
  const status = await readFile(`/proc/${service.pid}/status`, "utf8").catch(() => "");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024;
}

/** `delayMs`: of the destination; `lanes` and `bodyBytes`: the exporter's, undefined = its defaults. */
interface LaneJob {
  readonly delayMs: number;
  readonly lanes?: number;
  readonly bodyBytes?: number;
}

const LANE_JOBS: readonly LaneJob[] = [
  { delayMs: 1, lanes: 1 },
  { delayMs: 1 },
  { delayMs: 1_000, bodyBytes: 1 << 20 },
  { delayMs: 1_000, lanes: 8, bodyBytes: 1 << 20 },
  { delayMs: 1_000 },
];
const DEFAULT_LANES = 32;
const DEFAULT_BODY = 8 << 20;
const WARM_MS = 8_000;
const SEEN_MS = 8_000;

/** `npm run bench -- --lanes`: what of lanes × body limit a slow destination gets, and of a core a quick one, from a full queue. */
export async function lanesBench(): Promise<void> {
  const rows: Record<string, string>[] = [];
  for (const job of LANE_JOBS) rows.push(await laneRow(job));
  console.table(rows);
}

async function laneRow({ delayMs, lanes, bodyBytes }: LaneJob): Promise<Record<string, string>> {
  const [sink, sinkPort] = await delayedSink(delayMs);
  const load = child("./load.ts");
  const own = [
    `endpoint: "http://127.0.0.1:${sinkPort}", database: weir, tables: [function_logs]`,
    ...(bodyBytes === undefined ? [] : [`max_body_size: ${bodyBytes}`]),
    `sending_queue: { storage: file_storage${lanes === undefined ? "" : `, num_consumers: ${lanes}`} }`,
  ];
  const read = async () => {
    sink.send("read");
    return ((await once(sink, "message")) as [{ bytes: number; requests: number }])[0];
  };
  try {
    return await withExporters({ influxdb: `{ ${own.join(", ")} }` }, async (service, { http }) => {
      load.send(httpLoad(http, payloads.plain(1000).slice(0, 16), WARM_MS + SEEN_MS));
      await sleep(WARM_MS);
      const cpu = () => service.metric("otelcol_process_cpu_seconds");
      const [cpuBefore, before] = [await cpu(), await read()];
      const begun = performance.now();
      await sleep(SEEN_MS);
      const [cpuAfter, after] = [await cpu(), await read()];
      const seconds = (performance.now() - begun) / 1_000;
      const perSecond = (after.bytes - before.bytes) / seconds;
      const most = ((lanes ?? DEFAULT_LANES) * (bodyBytes ?? DEFAULT_BODY) * 1_000) / delayMs;
      return {
        "destination answers in": `${delayMs} ms`,
        lanes: String(lanes ?? "default"),
        "body limit MiB": ((bodyBytes ?? DEFAULT_BODY) / 2 ** 20).toFixed(0),
        "MiB/s": (perSecond / 2 ** 20).toFixed(1),
        "of lanes × body": delayMs < 100 ? "" : `${((perSecond / most) * 100).toFixed(0)} %`,
        "body KiB": (
          (after.bytes - before.bytes) /
          Math.max(1, after.requests - before.requests) /
          1024
        ).toFixed(0),
        "of the core": `${(((cpuAfter - cpuBefore) / seconds) * 100).toFixed(0)} %`,
        "queued items": String((await service.law())[0]?.queued),
        "RSS MB": (await rssMb(service)).toFixed(0),
      };
    });
  } finally {
    sink.disconnect();
    load.disconnect();
  }
}
