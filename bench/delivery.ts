/** What the benches of delivery share: the service pinned to one core, load and destinations on another, real sockets. */
import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts, Service } from "../test/support/service.ts";
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

export async function rssMb(service: { readonly pid?: number | undefined }): Promise<number> {
  const status = await readFile(`/proc/${service.pid}/status`, "utf8").catch(() => "");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024;
}

/** Milliseconds, since it started, that the main thread of the service was ready and another process had its core: a busy machine is not its fault. */
export async function waitedMs({ pid }: Service): Promise<number> {
  const schedule = await readFile(`/proc/${pid}/schedstat`, "utf8").catch(() => "");
  return Number(schedule.split(" ")[1] ?? 0) / 1e6;
}
