import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { plainAnswer, pushCases } from "../receivers/loki/cases.ts";
import { freePorts, isBalanced, Service } from "../support/service.ts";
import { buildLoki, Loki, lokiConfig } from "./loki.ts";
import type { Check, Peer } from "./peer.ts";

const TENANT = { "x-scope-orgid": "pushes" };
const FIXTURE = new URL("../fixtures/loki/push-answers.json", import.meta.url);

/**
 * A real Loki beside the loki receiver: the same pushes to both, and the receiver's way through Weir into that Loki. `UPDATE=1` records the
 * answers for the tests.
 */
export const lokiPushes: Peer = {
  name: "loki-pushes",
  what: "Grafana Loki 3.7.8 beside the loki receiver: statuses and texts of the same pushes, entries and labels after them",
  install: buildLoki,
  run,
};

async function run(check: Check): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "weir-loki-pushes-"));
  const [http = 0, grpc = 0, door = 0, health = 0, metrics = 0] = await freePorts(5);
  const server = new Loki(directory, http, grpc, usualLimits);
  const config = join(directory, "weir.yaml");
  await writeFile(config, weirConfig(directory, { loki: http, door, health, metrics }));
  const service = new Service(config, health, metrics);
  try {
    await server.start();
    await service.start();
    await answers(check, http, door);
    await throughWeir(check, service, server, http, door);
    await tailed(check, door);
    const laws = await service.law();
    check("the law balances", laws.length > 0 && laws.every(isBalanced), JSON.stringify(laws));
  } finally {
    await service.kill("SIGKILL");
    await server.stop("SIGKILL");
    await rm(directory, { recursive: true, force: true });
  }
}

/** Each case to both. */
async function answers(check: Check, loki: number, weir: number): Promise<void> {
  const told: Record<string, string> = {};
  const recorded = JSON.parse(readFileSync(FIXTURE, "utf8")) as Record<string, string>;
  const cases = pushCases(Date.now());
  let same = 0;
  for (const { name, path, headers, body } of cases) {
    const [theirs = "", ours = ""] = await Promise.all(
      [loki, weir].map(async (port) => {
        const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
          method: "POST",
          headers: { ...headers, ...TENANT },
          body,
        });
        return plainAnswer(answer.status, await answer.text());
      }),
    );
    told[name] = theirs;
    if (theirs === ours) same++;
    else check(name, false, `Loki ${theirs}, Weir ${ours}`);
  }
  check(`${cases.length} pushes: as many equal answers`, same === cases.length, String(same));
  if (process.env["UPDATE"] === "1")
    await writeFile(FIXTURE, `${JSON.stringify(told, undefined, 2)}\n`);
  check("they are those that the tests know", JSON.stringify(told) === JSON.stringify(recorded));
}

/** One push to Loki, and the same through Weir: equal streams but for the level, which Weir gives to each. */
async function throughWeir(
  check: Check,
  service: Service,
  server: Loki,
  loki: number,
  weir: number,
): Promise<void> {
  const now = BigInt(Date.now()) * 1_000_000n;
  const values = Array.from({ length: 50 }, (_, i) => [
    String(now + BigInt(i)),
    `line ${i}: "ä" \\ \t ${"x".repeat(i)}`,
    { user: `u${i}`, trace_id: "0af7651916cd43dd8448eb211c80319c" },
  ]);
  for (const [port, app] of [
    [loki, "direct"],
    [weir, "through"],
  ] as const) {
    const stream = { app, source: "Lambda", function: 'res"ize', job: "j" };
    const body = JSON.stringify({ streams: [{ stream, values }] });
    const headers = { "content-type": "application/json", ...TENANT };
    await fetch(`http://127.0.0.1:${port}/loki/api/v1/push`, { method: "POST", headers, body });
  }
  for (const end = Date.now() + 30_000; Date.now() < end; await sleep(100))
    if ((await service.law()).every(({ queued }) => queued === 0)) break;
  const found = async (app: string) => {
    const query = `{app="${app}", source="Lambda", function="res\\"ize", job="j", service_name="${app}"}`;
    await server.count(query, "pushes", values.length);
    const streams = await server.streams(query, "pushes");
    return streams
      .flatMap(({ stream, values }) => values.map((value) => ({ ...stream, value: [...value] })))
      .map((entry) =>
        JSON.stringify(entry)
          .replaceAll(app, "app")
          .replace(/"level":"unknown",/, ""),
      )
      .sort();
  };
  const [direct, through] = [await found("direct"), await found("through")];
  const isEqual = JSON.stringify(direct) === JSON.stringify(through);
  check(
    `${values.length} entries, the same labels, lines, times and metadata`,
    direct.length === values.length && isEqual,
    `${direct[0]} ${through[0]}`,
  );
}

/** Live tailing of that Loki over the receiver's port, as Grafana and logcli do it: what is pushed to Weir is seen there. */
async function tailed(check: Check, weir: number): Promise<void> {
  const query = encodeURIComponent('{app="tailed"}');
  const url = `ws://127.0.0.1:${weir}/loki/api/v1/tail?query=${query}`;
  const socket = new WebSocket(url, { headers: TENANT });
  let seen = "";
  socket.addEventListener("message", ({ data }) => {
    seen += String(data);
  });
  const send = (line: string) =>
    fetch(`http://127.0.0.1:${weir}/loki/api/v1/push`, {
      method: "POST",
      headers: { "content-type": "application/json", ...TENANT },
      body: JSON.stringify({
        streams: [{ stream: { app: "tailed" }, values: [[`${Date.now()}000000`, line]] }],
      }),
    });
  for (let i = 0; i < 60 && !seen.includes("line of a tail"); i++) {
    await send(`line of a tail ${i}`);
    await sleep(500);
  }
  check("live tailing shows what is pushed", seen.includes("line of a tail"), seen.slice(0, 200));
  socket.close();
}

function usualLimits(directory: string, http: number, grpc: number): string {
  return lokiConfig(directory, http, grpc)
    .replace(/\n +(?:max_structured_metadata_entries_count|ingestion_\w+): .*/g, "")
    .replace(/\ndistributor: .*/, "")
    .concat("\n")
    .replace(
      "allow_structured_metadata: true",
      "allow_structured_metadata: true\n  ingestion_rate_mb: 100\n  ingestion_burst_size_mb: 100",
    );
}

function weirConfig(
  directory: string,
  ports: Readonly<Record<"loki" | "door" | "health" | "metrics", number>>,
): string {
  return `
receivers:
  loki: { endpoint: "127.0.0.1:${ports.door}", query_upstream: "http://127.0.0.1:${ports.loki}" }
extensions:
  health_check: { endpoint: "127.0.0.1:${ports.health}" }
  file_storage: { directory: "${directory}/queue" }
exporters:
  loki:
    endpoint: "http://127.0.0.1:${ports.loki}"
    tenant_id: pushes
    labels: [app, job]
    sending_queue: { storage: file_storage }
service:
  extensions: [health_check, file_storage]
  telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${ports.metrics} } } } }] } }
  pipelines:
    logs: { receivers: [loki], exporters: [loki] }
`;
}
