import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts, isBalanced, Service } from "../support/service.ts";
import { installCollector, listening, program } from "./collector.ts";
import type { Check, Peer } from "./peer.ts";
import { generate, itemsOf, SIGNALS } from "./telemetrygen.ts";

const COUNT = 500;

/** Every way in which Weir can send OTLP. */
const WAYS = [
  "otlp_grpc/none: { compression: none",
  "otlp_grpc/gzip: { compression: gzip",
  "otlp_grpc/zstd: { compression: zstd, balancer_name: pick_first",
  "otlp_http/none: { compression: none",
  "otlp_http/gzip: { compression: gzip",
  "otlp_http/zstd: { compression: zstd",
  "otlp_http/json: { encoding: json",
] as const;
const IDS = WAYS.map((way) => way.slice(0, way.indexOf(":")));

/** A real Collector behind Weir: away at first, killed and started again in between; counts on both sides agree. */
export const toCollector: Peer = {
  name: "to-collector",
  what: `Weir sends three signals to an OpenTelemetry Collector 0.161 over ${IDS.join(", ")}`,
  install: installCollector,
  run,
};

async function run(check: Check): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "weir-to-collector-"));
  const ports = await freePorts(9);
  const [own = 0, health = 0, metrics = 0, grpc = 0, http = 0, seen = 0, end = 0] = ports;
  const [endHealth = 0, endMetrics = 0] = ports.slice(7);
  const config = join(directory, "weir.yaml");
  const endConfig = join(directory, "end.yaml");
  const collectorConfig = join(directory, "collector.yaml");
  await writeFile(config, weirConfig(directory, { own, health, metrics, grpc, http }));
  await writeFile(endConfig, endOfLine({ end, health: endHealth, metrics: endMetrics }));
  await writeFile(collectorConfig, collector({ grpc, http, seen, end }));
  const service = new Service(config, health, metrics);
  const last = new Service(endConfig, endHealth, endMetrics);
  let child: ChildProcess | undefined;
  const startCollector = async () => {
    child = spawn(program(), ["--config", collectorConfig], { stdio: "ignore" });
    await listening(grpc);
  };
  try {
    await Promise.all([service.start(), last.start()]);
    for (const signal of SIGNALS) generate(signal, "grpc", `127.0.0.1:${own}`, "first", COUNT);
    const waiting = await service.law();
    check(
      "without the Collector everything waits",
      waiting.length === IDS.length && waiting.every((law) => law.queued === law.appended),
    );
    await startCollector();
    await drained(service);
    const wanted = SIGNALS.reduce((sum, signal) => sum + itemsOf(signal, COUNT), 0);
    const arrived = await atTheEnd(last, wanted * IDS.length);
    check(
      `the Collector passed on what ${IDS.length} exporters sent: ${wanted} items each`,
      arrived === wanted * IDS.length,
      String(arrived),
    );
    child?.kill("SIGKILL");
    for (const signal of SIGNALS) generate(signal, "grpc", `127.0.0.1:${own}`, "second", COUNT);
    await startCollector();
    await drained(service);
    for (const law of await service.law())
      check(
        `${law.exporter}: all delivered, and the law balances`,
        isBalanced(law) && law.delivered > 0 && law.delivered === law.appended,
        JSON.stringify(law),
      );
  } finally {
    child?.kill("SIGKILL");
    await service.kill("SIGKILL");
    await last.kill("SIGKILL");
    await rm(directory, { recursive: true, force: true });
  }
}

async function drained(service: Service): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(100))
    if ((await service.law()).every(({ queued }) => queued === 0)) return;
}

/** Items behind the Collector, once there are as many, or when time is up. */
async function atTheEnd(last: Service, wanted: number): Promise<number> {
  let items = 0;
  for (const end = Date.now() + 20_000; Date.now() < end && items < wanted; await sleep(100)) {
    const [law] = await last.law();
    items = law?.delivered ?? 0;
  }
  return items;
}

type Ports = Readonly<Record<string, number>>;

const telemetry = (port: number | undefined) =>
  `telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${port} } } } }] } }`;

function weirConfig(directory: string, { own, health, metrics, grpc, http }: Ports): string {
  const exporters = WAYS.map((way) => {
    const endpoint = `http://127.0.0.1:${way.startsWith("otlp_grpc") ? grpc : http}`;
    return `  ${way}, endpoint: "${endpoint}", sending_queue: { storage: file_storage }, retry_on_failure: { max_interval: 1s } }`;
  });
  const pipeline = `{ receivers: [otlp], exporters: [${IDS.join(", ")}] }`;
  return `
receivers:
  otlp: { protocols: { grpc: { endpoint: "127.0.0.1:${own}" } } }
extensions:
  health_check: { endpoint: "127.0.0.1:${health}" }
  file_storage: { directory: "${directory}/queue" }
exporters:
${exporters.join("\n")}
service:
  extensions: [health_check, file_storage]
  ${telemetry(metrics)}
  pipelines: { logs: ${pipeline}, metrics: ${pipeline}, traces: ${pipeline} }
`;
}

function endOfLine({ end, health, metrics }: Ports): string {
  const pipeline = "{ receivers: [otlp], exporters: [debug] }";
  return `
receivers: { otlp: { protocols: { grpc: { endpoint: "127.0.0.1:${end}" } } } }
extensions: { health_check: { endpoint: "127.0.0.1:${health}" } }
exporters: { debug: {} }
service:
  extensions: [health_check]
  ${telemetry(metrics)}
  pipelines: { logs: ${pipeline}, metrics: ${pipeline}, traces: ${pipeline} }
`;
}

function collector({ grpc, http, seen, end }: Ports): string {
  const pipeline = "{ receivers: [otlp], exporters: [otlp_grpc] }";
  return `
receivers: { otlp: { protocols: { grpc: { endpoint: "127.0.0.1:${grpc}" }, http: { endpoint: "127.0.0.1:${http}" } } } }
exporters: { otlp_grpc: { endpoint: "127.0.0.1:${end}", tls: { insecure: true } } }
service:
  telemetry:
    logs: { level: warn }
    metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${seen} } } } }] }
  pipelines: { logs: ${pipeline}, metrics: ${pipeline}, traces: ${pipeline} }
`;
}
