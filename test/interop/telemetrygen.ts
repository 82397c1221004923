import { spawnSync } from "node:child_process";
import { goInstall } from "./install.ts";
import type { Check, Peer } from "./peer.ts";
import { Stand } from "./stand.ts";

export const SIGNALS = ["logs", "metrics", "traces"] as const;

/** Items that telemetrygen makes of `count`: a trace of its kind is two spans. */
export const itemsOf = (signal: (typeof SIGNALS)[number], count: number) =>
  signal === "traces" ? 2 * count : count;

const PROGRAM = [
  "telemetrygen",
  "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen",
  "v0.161.0",
] as const;

/** Sends `count` of a signal to an OTLP endpoint; whether it ended well. */
export function generate(
  signal: (typeof SIGNALS)[number],
  protocol: "grpc" | "http",
  endpoint: string,
  service: string,
  count: number,
): boolean {
  const { path } = goInstall(...PROGRAM);
  const args = [
    signal,
    "--otlp-insecure",
    "--otlp-endpoint",
    endpoint,
    `--${signal}`,
    String(count),
  ];
  if (protocol === "http") args.push("--otlp-http");
  return (
    spawnSync(path, [...args, "--service", service, "--rate", "0"], { timeout: 60_000 }).status ===
    0
  );
}

export const telemetrygenMissing = () => goInstall(...PROGRAM).missing;

/** The generator of the OpenTelemetry project straight into Weir: as many rows as were made. */
export const telemetrygen: Peer = {
  name: "telemetrygen",
  what: "telemetrygen sends logs, metrics and traces over gRPC and HTTP",
  install: async () => telemetrygenMissing(),
  run,
};

async function run(check: Check): Promise<void> {
  const stand = await Stand.start();
  try {
    for (const protocol of ["grpc", "http"] as const)
      for (const signal of SIGNALS) {
        const service = `tg-${protocol}`;
        const fine = generate(signal, protocol, stand[protocol], service, 500);
        await stand.drained();
        const rows = await stand.count(countOf(signal, service));
        const wanted = itemsOf(signal, 500);
        check(
          `${protocol}: ${wanted} ${signal} made, as many rows`,
          fine && rows === wanted,
          String(rows),
        );
      }
    await stand.end(check);
  } finally {
    await stand.remove();
  }
}

/** The query that counts what a service sent of a signal. telemetrygen's metric is called gen. */
export function countOf(signal: (typeof SIGNALS)[number], service: string): string {
  const table = { logs: "logs", metrics: "gen", traces: "spans" }[signal];
  return `SELECT count(*) FROM ${table} WHERE service_name = '${service}'`;
}
