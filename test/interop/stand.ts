import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts, isBalanced, Service } from "../support/service.ts";
import type { Check } from "./peer.ts";

/** What senders to `Stand.influxdb` give. */
export const INFLUXDB_TOKEN = "interop-token";

/** A running service with all three signals from `otlp` into the embedded store, on ports of its own. */
export class Stand {
  readonly directory: string;
  readonly grpc: string;
  readonly http: string;
  /** Takes INFLUXDB_TOKEN, and hands queries to the store. */
  readonly influxdb: string;
  readonly loki: string;
  readonly forward: string;
  /** The same, with the key emp-shared, the user "user" and the password "pass". */
  readonly forwardSecured: string;
  /** The same as `forward`, as unix:///path. */
  readonly forwardSocket: string;
  readonly service: Service;
  readonly #store: string;

  private constructor(directory: string, service: Service, ports: Ports) {
    this.directory = directory;
    this.service = service;
    this.grpc = `127.0.0.1:${ports.grpc}`;
    this.http = `127.0.0.1:${ports.http}`;
    this.influxdb = `127.0.0.1:${ports.influxdb}`;
    this.loki = `127.0.0.1:${ports.loki}`;
    this.forward = `127.0.0.1:${ports.forward}`;
    this.forwardSecured = `127.0.0.1:${ports.forwardSecured}`;
    this.forwardSocket = socketIn(directory);
    this.#store = `http://127.0.0.1:${ports.store}`;
  }

  static async start(): Promise<Stand> {
    const directory = await mkdtemp(join(tmpdir(), "weir-interop-"));
    const free = await freePorts(PORTS.length);
    const ports = Object.fromEntries(PORTS.map((name, i) => [name, free[i]])) as Ports;
    const { health, metrics } = ports;
    const config = join(directory, "weir.yaml");
    await writeFile(config, weirConfig(directory, ports));
    const stand = new Stand(directory, new Service(config, health, metrics), ports);
    await stand.service.start();
    return stand;
  }

  /** Rows of a query; none as long as the table does not exist. */
  async rows(q: string): Promise<readonly Row[]> {
    const answer = await fetch(`${this.#store}/api/v3/query_sql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ db: "weir", q, format: "json" }),
    });
    return answer.ok ? ((await answer.json()) as Row[]) : [];
  }

  /** The first value of the first row, as a number. */
  async count(q: string): Promise<number> {
    const [row] = await this.rows(q);
    return Number(Object.values(row ?? {})[0] ?? 0);
  }

  /** Waits until the store has everything that was acknowledged. */
  async drained(): Promise<void> {
    for (const end = Date.now() + 20_000; Date.now() < end; await sleep(100))
      if ((await this.service.law()).every(({ queued }) => queued === 0)) return;
  }

  /** The checks that every peer ends with. */
  async end(check: Check): Promise<void> {
    const laws = await this.service.law();
    check(
      "the law balances, nothing is dropped",
      laws.length > 0 && laws.every((law) => isBalanced(law) && law.delivered === law.appended),
      JSON.stringify(laws),
    );
    check("SIGTERM ends it with exit code 0", (await this.service.kill("SIGTERM")) === 0);
  }

  async remove(): Promise<void> {
    await this.service.kill("SIGKILL");
    await rm(this.directory, { recursive: true, force: true });
  }
}

export type Row = Readonly<Record<string, unknown>>;
const PORTS = [
  "grpc",
  "http",
  "store",
  "health",
  "metrics",
  "influxdb",
  "loki",
  "forward",
  "forwardSecured",
] as const;
type Ports = Readonly<Record<(typeof PORTS)[number], number>>;

const socketIn = (directory: string) => `unix://${join(directory, "forward.sock")}`;

function weirConfig(directory: string, ports: Ports): string {
  return `
receivers:
  otlp: { protocols: { grpc: { endpoint: "127.0.0.1:${ports.grpc}" }, http: { endpoint: "127.0.0.1:${ports.http}" } } }
  influxdb: { endpoint: "127.0.0.1:${ports.influxdb}", tokens: [${INFLUXDB_TOKEN}], query_upstream: "http://127.0.0.1:${ports.store}" }
  loki: { endpoint: "127.0.0.1:${ports.loki}" }
  fluent_forward: { endpoint: "127.0.0.1:${ports.forward}" }
  fluent_forward/socket: { endpoint: "${socketIn(directory)}" }
  fluent_forward/secured: { endpoint: "127.0.0.1:${ports.forwardSecured}", shared_key: emp-shared, username: user, password: pass }
extensions:
  health_check: { endpoint: "127.0.0.1:${ports.health}" }
  file_storage: { directory: "${directory}/queue" }
  embedded_store: { endpoint: "127.0.0.1:${ports.store}", directory: "${directory}/store" }
exporters:
  influxdb:
    endpoint: "http://127.0.0.1:${ports.store}"
    database: weir
    sending_queue: { storage: file_storage, batch: { flush_timeout: 50ms } }
    retry_on_failure: { initial_interval: 200ms, max_interval: 1s }
service:
  extensions: [health_check, file_storage, embedded_store]
  telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${ports.metrics} } } } }] } }
  pipelines:
    logs: { receivers: [otlp, influxdb, loki, fluent_forward, fluent_forward/socket, fluent_forward/secured], exporters: [influxdb] }
    traces: { receivers: [otlp], exporters: [influxdb] }
    metrics: { receivers: [otlp], exporters: [influxdb] }
`;
}
