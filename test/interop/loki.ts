import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { copyFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeRequest } from "../support/otlp.ts";
import { freePorts, isBalanced, Service } from "../support/service.ts";
import { folder, once as installOnce, SOURCES, step } from "./install.ts";
import type { Check, Peer } from "./peer.ts";
import { generate, telemetrygenMissing } from "./telemetrygen.ts";

const HOME = "loki-3.7.8";
const TRACE = "0af7651916cd43dd8448eb211c80319c";
/** Of Loki, small enough that each is met. */
const LIMITS = { pairs: 16, bodyBytes: 200_000, burstMb: 0.3 };
const BODY_BYTES = 250_000;
/** Records of 1.4 KB in a request: below what Weir sends, above what Loki takes. */
const LARGE = 155;

/** A real Loki as a destination: labels and trace ids are found, its 400, 413 and 429 and its restart cost nothing but what it names. */
export const loki: Peer = {
  name: "loki",
  what: "Grafana Loki 3.7.8 with small limits as a destination, both APIs, restarted during the run",
  install: installLoki,
  run,
};

async function installLoki(): Promise<string | undefined> {
  return telemetrygenMissing() ?? buildLoki();
}

/** Builds it from source; why not, when it cannot be. */
export async function buildLoki(): Promise<string | undefined> {
  const home = folder(HOME);
  for (const name of ["main.go", "go.sum"])
    copyFileSync(join(SOURCES, "loki", name), join(home, name));
  return installOnce(home, "loki/go.mod", "go.mod", () =>
    step("go", ["build", "-o", "loki", "."], { cwd: home }),
  );
}

async function run(check: Check): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "weir-loki-"));
  const [http = 0, grpc = 0, otlpGrpc = 0, otlpHttp = 0, health = 0, metrics = 0] =
    await freePorts(6);
  const server = new Loki(directory, http, grpc);
  const config = join(directory, "weir.yaml");
  await writeFile(
    config,
    weirConfig(directory, { loki: http, otlpGrpc, otlpHttp, health, metrics }),
  );
  const service = new Service(config, health, metrics);
  const stand = { service, server, grpc: `127.0.0.1:${otlpGrpc}`, http: `127.0.0.1:${otlpHttp}` };
  try {
    await server.start();
    await service.start();
    await everyRecord(check, stand);
    await fields(check, stand);
    await refusals(check, stand);
    await restart(check, stand);
    const laws = await service.law();
    check(
      "the law balances on both routes, nothing is dropped",
      laws.length === 2 && laws.every((law) => isBalanced(law) && law.dropped === 0),
      JSON.stringify(laws),
    );
    check("SIGTERM ends it with exit code 0", (await service.kill("SIGTERM")) === 0);
  } finally {
    await service.kill("SIGKILL");
    await server.stop("SIGKILL");
    await rm(directory, { recursive: true, force: true });
  }
}

interface Stand {
  readonly service: Service;
  readonly server: Loki;
  readonly grpc: string;
  readonly http: string;
}

/** telemetrygen → Weir → Loki: as many entries as records, on both of Loki's APIs. */
async function everyRecord(check: Check, { service, server, ...stand }: Stand): Promise<void> {
  for (const protocol of ["grpc", "http"] as const) {
    const name = `tg-${protocol}`;
    const isFine = generate("logs", protocol, stand[protocol], name, 500);
    await drained(service);
    for (const tenant of ["push", "otlp"]) {
      const entries = await server.count(`{service_name="${name}"}`, tenant, 500);
      check(
        `${protocol}, api: ${tenant}: 500 made, as many entries`,
        isFine && entries === 500,
        String(entries),
      );
    }
  }
}

/** Labels, structured metadata and lines as Loki gives them back. */
async function fields(check: Check, { service, server, http }: Stand): Promise<void> {
  const status = await post(http, [
    {
      timeUnixNano: nanos(),
      severityNumber: 17,
      body: { stringValue: 'Function "x" failed\nin line 2' },
      eventName: "app.failed",
      traceId: TRACE,
      spanId: "b7ad6b7169203331",
      attributes: attributes({
        "function.name": 'res"ize',
        "http.route": "/ä/{id}",
        "9lives": "n",
        東京: "t",
      }),
    },
  ]);
  await drained(service);
  const [found] = await server.streams(
    `{level="error", function="res\\"ize"} | trace_id="${TRACE}"`,
    "push",
  );
  const { stream = {}, values = [] } = found ?? {};
  check(
    "found by labels and by trace_id",
    status === 200 && values.length === 1,
    JSON.stringify(found),
  );
  check(
    "the line is whole",
    values[0]?.[1] === 'Function "x" failed\nin line 2',
    JSON.stringify(values),
  );
  const expected = {
    service_name: "interop",
    level: "error",
    function: 'res"ize',
    trace_id: TRACE,
    span_id: "b7ad6b7169203331",
    event_name: "app.failed",
    http_route: "/ä/{id}",
    key_9lives: "n",
    key_: "t", // Loki makes one underscore of several
    host_name: "h1",
  };
  check(
    "labels and structured metadata are as sent",
    JSON.stringify({ ...stream, ...expected }) === JSON.stringify(stream),
    JSON.stringify(stream),
  );
}

/** Limits that Weir does not know of, so that Loki itself refuses. */
async function refusals(check: Check, { service, server, http }: Stand): Promise<void> {
  const before = await lawOf(service);
  const many = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`k${i}`, "v"]));
  const good = Array.from({ length: 5 }, (_, i) => record(`good ${i}`, "partial"));
  await post(http, [
    ...good,
    { ...record("bad", "partial"), attributes: attributes({ function: "partial", ...many }) },
  ]);
  await drained(service);
  const entries = await server.count('{function="partial"}', "push", 5);
  const unconfirmed = (await lawOf(service)).unconfirmed - before.unconfirmed;
  check("400: 6 items unconfirmed, sent once", unconfirmed === 6, String(unconfirmed));
  check("… and the 5 good ones are stored", entries === 5, String(entries));
  check("… of which Loki says why", /too many structured metadata/.test(service.log));

  // In requests that are each too large for Loki, and faster than it wants them.
  const large = Array.from({ length: 5 * LARGE }, (_, i) =>
    record(`${i} ${randomBytes(700).toString("hex")}`, "large"),
  );
  for (let i = 0; i < large.length; i += LARGE) await post(http, large.slice(i, i + LARGE));
  await drained(service);
  const stored = await server.count('{function="large"}', "push", large.length);
  check(
    `429 and 413: ${large.length} large records, as many entries`,
    stored === large.length,
    String(stored),
  );
  const refused = async (code: number) => server.answered(code);
  const [limited, tooLarge] = [await refused(429), await refused(413)];
  check("… after so many 429", limited > 0, String(limited));
  check("… and so many 413", tooLarge > 0, String(tooLarge));
}

/** Loki goes away while records come, and is back. */
async function restart(check: Check, { service, server, http, grpc }: Stand): Promise<void> {
  const first = generate("logs", "grpc", grpc, "tg-restart", 300);
  const stopped = server.stop("SIGTERM");
  for (let i = 0; i < 20; i++) await post(http, [record(`while down ${i}`, "restart")]);
  await stopped;
  const second = generate("logs", "grpc", grpc, "tg-restart", 300);
  const queued = (await lawOf(service)).queued;
  check("while Loki is down, records wait", queued > 0, String(queued));
  await server.start();
  await drained(service);
  const made = await server.count('{service_name="tg-restart"}', "push", 600);
  const own = await server.count('{function="restart"}', "push", 20);
  check(
    "after its restart Loki has all 600 + 20",
    first && second && made === 600 && own === 20,
    `${made} + ${own}`,
  );
}

/** A Loki of this machine, with small limits. */
export class Loki {
  readonly #directory: string;
  readonly #http: number;
  readonly #grpc: number;
  readonly #config: typeof lokiConfig;
  #child: ChildProcess | undefined;
  #log = "";

  /** `config`: its YAML, for other limits. */
  constructor(directory: string, http: number, grpc: number, config = lokiConfig) {
    this.#directory = directory;
    this.#http = http;
    this.#grpc = grpc;
    this.#config = config;
  }

  async start(): Promise<void> {
    const config = join(this.#directory, "loki.yaml");
    await writeFile(config, this.#config(this.#directory, this.#http, this.#grpc));
    const child = spawn(join(folder(HOME), "loki"), [`-config.file=${config}`], {
      cwd: this.#directory,
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child = child;
    child.stderr.on("data", (text) => {
      this.#log = (this.#log + String(text)).slice(-4_000);
    });
    for (const end = Date.now() + 90_000; Date.now() < end; await sleep(250)) {
      if (child.exitCode !== null)
        throw new Error(`Loki ended with ${child.exitCode}:\n${this.#log}`);
      const answer = await fetch(`http://127.0.0.1:${this.#http}/ready`).catch(() => undefined);
      if (answer?.status === 200) return;
    }
    throw new Error(`Loki was not ready within 90 s:\n${this.#log}`);
  }

  async stop(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }

  async streams(query: string, tenant: string): Promise<readonly LokiStream[]> {
    const end = BigInt(Date.now() + 60_000) * 1_000_000n;
    const range = {
      query,
      start: String(end - 3_600_000_000_000n),
      end: String(end),
      limit: "5000",
    };
    const answer = await fetch(
      `http://127.0.0.1:${this.#http}/loki/api/v1/query_range?${new URLSearchParams(range)}`,
      { headers: { "x-scope-orgid": tenant } },
    );
    if (!answer.ok) throw new Error(`Loki answers ${answer.status}: ${await answer.text()}`);
    const { data } = (await answer.json()) as { data: { result: readonly LokiStream[] } };
    return data.result;
  }

  /** Entries that a query finds, once they are as many as expected, or a while later. */
  async count(query: string, tenant: string, expected: number): Promise<number> {
    let found = -1;
    for (const end = Date.now() + 10_000; Date.now() < end && found !== expected; await sleep(200))
      found = (await this.streams(query, tenant)).reduce((n, { values }) => n + values.length, 0);
    return found;
  }

  /** Pushes that it has answered with a status since it started. */
  async answered(code: number): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.#http}/metrics`)).text();
    const series = new RegExp(
      `^loki_request_duration_seconds_count\\{[^}]*route="loki_api_v1_push"[^}]*status_code="${code}"[^}]*\\} (\\d+)$`,
      "gm",
    );
    return [...text.matchAll(series)].reduce((n, [, value]) => n + Number(value), 0);
  }
}

interface LokiStream {
  readonly stream: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [string, string])[];
}

const nanos = () => `${Date.now()}${String(process.hrtime()[1] % 1_000_000).padStart(6, "0")}`;
const attributes = (from: Readonly<Record<string, string>>) =>
  Object.entries(from).map(([key, stringValue]) => ({ key, value: { stringValue } }));
const record = (text: string, name: string) => ({
  timeUnixNano: nanos(),
  body: { stringValue: text },
  attributes: attributes({ function: name }),
});

async function post(host: string, logRecords: readonly object[]): Promise<number> {
  const resource = { attributes: attributes({ "service.name": "interop", "host.name": "h1" }) };
  const answer = await fetch(`http://${host}/v1/logs`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body: encodeRequest("logs", { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] }),
  });
  return answer.status;
}

async function lawOf(service: Service) {
  const law = (await service.law()).find(({ exporter }) => exporter === "loki/push");
  return law ?? { unconfirmed: 0, queued: 0 };
}

async function drained(service: Service): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(100))
    if ((await service.law()).every(({ appended, queued }) => appended > 0 && queued === 0)) return;
}

/** YAML. */
export function lokiConfig(directory: string, http: number, grpc: number): string {
  return `
auth_enabled: true
server: { http_listen_address: 127.0.0.1, http_listen_port: ${http}, grpc_listen_address: 127.0.0.1, grpc_listen_port: ${grpc}, log_level: warn }
common:
  instance_addr: 127.0.0.1
  path_prefix: "${directory}/loki"
  storage: { filesystem: { chunks_directory: "${directory}/loki/chunks", rules_directory: "${directory}/loki/rules" } }
  replication_factor: 1
  ring: { kvstore: { store: inmemory } }
distributor: { max_recv_msg_size: ${LIMITS.bodyBytes} }
schema_config:
  configs: [{ from: 2024-01-01, store: tsdb, object_store: filesystem, schema: v13, index: { prefix: index_, period: 24h } }]
limits_config:
  allow_structured_metadata: true
  max_structured_metadata_entries_count: ${LIMITS.pairs}
  ingestion_rate_mb: ${LIMITS.burstMb}
  ingestion_burst_size_mb: ${LIMITS.burstMb}
analytics: { reporting_enabled: false }
`;
}

function weirConfig(
  directory: string,
  ports: Record<"loki" | "otlpGrpc" | "otlpHttp" | "health" | "metrics", number>,
): string {
  const common = `
    endpoint: "http://127.0.0.1:${ports.loki}"
    max_body_size: ${BODY_BYTES}
    sending_queue: { storage: file_storage, batch: { flush_timeout: 50ms } }
    retry_on_failure: { initial_interval: 100ms, max_interval: 1s }`;
  return `
receivers:
  otlp: { protocols: { grpc: { endpoint: "127.0.0.1:${ports.otlpGrpc}" }, http: { endpoint: "127.0.0.1:${ports.otlpHttp}" } } }
extensions:
  health_check: { endpoint: "127.0.0.1:${ports.health}" }
  file_storage: { directory: "${directory}/queue" }
exporters:
  loki/push:${common}
    tenant_id: push
  loki/otlp:${common}
    tenant_id: otlp
    api: otlp
service:
  extensions: [health_check, file_storage]
  telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${ports.metrics} } } } }] } }
  pipelines:
    logs: { receivers: [otlp], exporters: [loki/push, loki/otlp] }
`;
}
