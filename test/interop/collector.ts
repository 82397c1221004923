import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "../support/service.ts";
import { folder, goInstall, once, step } from "./install.ts";
import type { Check, Peer } from "./peer.ts";
import { Stand } from "./stand.ts";
import { countOf, generate, itemsOf, SIGNALS, telemetrygenMissing } from "./telemetrygen.ts";

const BUILDER = ["builder", "go.opentelemetry.io/collector/cmd/builder", "v0.161.0"] as const;
const HOME = "collector-0.161.0";
const COUNT = 500;

/** Every way in which the Collector can send OTLP. */
const WAYS = [
  { name: "grpc-none", exporter: "otlp_grpc", options: "compression: none" },
  { name: "grpc-gzip", exporter: "otlp_grpc", options: "compression: gzip" },
  { name: "grpc-zstd", exporter: "otlp_grpc", options: "compression: zstd" },
  { name: "http-none", exporter: "otlp_http", options: "compression: none" },
  { name: "http-gzip", exporter: "otlp_http", options: "compression: gzip" },
  { name: "http-zstd", exporter: "otlp_http", options: "compression: zstd" },
  { name: "http-json", exporter: "otlp_http", options: "encoding: json, compression: none" },
] as const;

/** A real Collector between telemetrygen and Weir: counts on both sides agree, whatever the protocol and the compression. */
export const collector: Peer = {
  name: "collector",
  what: `an OpenTelemetry Collector 0.161 forwards three signals over ${WAYS.map(({ name }) => name).join(", ")}`,
  install,
  run,
};

async function install(): Promise<string | undefined> {
  const missing = telemetrygenMissing();
  if (missing !== undefined) return missing;
  const home = folder(HOME);
  return once(home, "collector.yaml", "collector.yaml", () => {
    const builder = goInstall(...BUILDER);
    return builder.missing ?? step(builder.path, ["--config", "collector.yaml"], { cwd: home });
  });
}

/** Whether the Collector is there, and where. */
export const installCollector = install;
export const program = () => join(folder(HOME), "out", "otelcol");

async function run(check: Check): Promise<void> {
  const stand = await Stand.start();
  try {
    for (const way of WAYS) {
      const [grpc = 0, metrics = 0] = await freePorts(2);
      const config = join(stand.directory, `${way.name}.yaml`);
      const to = way.exporter === "otlp_grpc" ? stand.grpc : `http://${stand.http}`;
      await writeFile(config, collectorConfig(grpc, metrics, way, to));
      const child = spawn(program(), ["--config", config], { stdio: ["ignore", "ignore", "pipe"] });
      let log = "";
      child.stderr.on("data", (text) => {
        log = (log + String(text)).slice(-2_000);
      });
      try {
        await listening(grpc);
        for (const signal of SIGNALS)
          generate(signal, "grpc", `127.0.0.1:${grpc}`, way.name, COUNT);
        const sent = await everythingSent(metrics);
        await stand.drained();
        for (const signal of SIGNALS) {
          const rows = await stand.count(countOf(signal, way.name));
          const wanted = itemsOf(signal, COUNT);
          check(
            `${way.name}: the Collector sent ${wanted} ${signal}, as many rows`,
            sent[signal] === wanted && rows === wanted,
            `sent ${sent[signal]}, rows ${rows}${rows === wanted ? "" : `; ${log}`}`,
          );
        }
      } finally {
        child.kill("SIGKILL");
      }
    }
    await stand.end(check);
  } finally {
    await stand.remove();
  }
}

/** What the Collector itself counts as sent, once it no longer rises. */
async function everythingSent(port: number): Promise<Record<(typeof SIGNALS)[number], number>> {
  const names = { logs: "log_records", metrics: "metric_points", traces: "spans" };
  const sent = { logs: 0, metrics: 0, traces: 0 };
  for (const end = Date.now() + 10_000; Date.now() < end; await sleep(200)) {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`).catch(() => undefined);
    const text = (await answer?.text()) ?? "";
    for (const signal of SIGNALS) {
      const name = `otelcol_exporter_sent_${names[signal]}`;
      sent[signal] = Number(
        new RegExp(`^${name}(?:_total)?\\{[^}]*\\} (\\S+)$`, "m").exec(text)?.[1] ?? 0,
      );
    }
    if (SIGNALS.every((signal) => sent[signal] >= itemsOf(signal, COUNT))) break;
  }
  return sent;
}

/** Resolves when somebody listens on a port, or after 10 s. */
export async function listening(port: number): Promise<void> {
  for (const end = Date.now() + 10_000; Date.now() < end; await sleep(50)) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
    if (isOpen) return;
  }
}

function collectorConfig(
  grpc: number,
  metrics: number,
  way: (typeof WAYS)[number],
  to: string,
): string {
  const pipeline = "{ receivers: [otlp], processors: [batch], exporters: [EXPORTER] }".replace(
    "EXPORTER",
    way.exporter,
  );
  return `
receivers: { otlp: { protocols: { grpc: { endpoint: "127.0.0.1:${grpc}" } } } }
processors: { batch: { timeout: 100ms } }
exporters:
  ${way.exporter}: { endpoint: "${to}", ${way.options}, tls: { insecure: true } }
service:
  telemetry:
    logs: { level: warn }
    metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${metrics} } } } }] }
  pipelines: { logs: ${pipeline}, metrics: ${pipeline}, traces: ${pipeline} }
`;
}
