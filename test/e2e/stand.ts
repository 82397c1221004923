import { createSocket } from "node:dgram";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { CoreWaits } from "../support/core-waits.ts";
import { encodeRequest } from "../support/otlp.ts";
import { freePorts, type Law, Service } from "../support/service.ts";
import { PATIENCE_MS } from "../support/until.ts";

const CONTROL_RESOLUTION_MS = 20;
const LONGEST_STALL_MS = 100;

/** The real service in a directory of its own, with free ports, for one test. */
export class Stand implements AsyncDisposable {
  readonly directory: string;
  readonly ports: Readonly<Record<PortName, number>>;
  readonly service: Service;
  readonly config: string;
  /** What the machine costs the service and this process. */
  readonly waits: CoreWaits;
  readonly #control = monitorEventLoopDelay({ resolution: CONTROL_RESOLUTION_MS });

  private constructor(directory: string, ports: Record<PortName, number>) {
    this.directory = directory;
    this.ports = ports;
    this.config = join(directory, "config.yaml");
    this.service = new Service(this.config, ports.health, ports.metrics);
    this.waits = new CoreWaits(() => [process.pid, this.service.pid]);
    this.#control.enable();
  }

  /** `yaml` gets the stand's directory and ports; `service.extensions` and telemetry are added. */
  static async open(yaml: (stand: Stand) => string): Promise<Stand> {
    const directory = await mkdtemp(join(tmpdir(), "weir-e2e-"));
    const numbers = await freePorts(PORTS.length);
    const ports = Object.fromEntries(
      PORTS.map((name, i) => [name, numbers[i] as number]),
    ) as Record<PortName, number>;
    const stand = new Stand(directory, ports);
    await stand.configure(yaml);
    return stand;
  }

  async configure(yaml: (stand: Stand) => string): Promise<void> {
    await writeFile(this.config, yaml(this));
  }

  /** The parts that nearly every configuration has. */
  get frame(): string {
    const { ports } = this;
    return `
extensions:
  health_check: { endpoint: "127.0.0.1:${ports.health}" }
  file_storage: { directory: "${this.path("queue")}" }
receivers:
  otlp: { protocols: { grpc: { endpoint: "127.0.0.1:${ports.grpc}" }, http: { endpoint: "127.0.0.1:${ports.http}" } } }
  line_protocol: { udp: { endpoint: "127.0.0.1:${ports.line}" }, tcp: { endpoint: "127.0.0.1:${ports.line}" } }
`;
  }

  /** `service:` with the given pipelines. */
  serviceWith(pipelines: string): string {
    return `
service:
  extensions: [health_check, file_storage]
  telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${this.ports.metrics} } } } }] } }
  pipelines:
${pipelines.replace(/^/gm, "    ")}
`;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Posts records whose bodies are the given texts; resolves with the status and headers. */
  async post(texts: readonly string[], path = "/v1/logs"): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.ports.http}${path}`, {
      method: "POST",
      headers: { "content-type": "application/x-protobuf" },
      body: request(texts),
    });
  }

  async datagram(text: string): Promise<void> {
    const socket = createSocket("udp4");
    await new Promise<void>((resolve, reject) =>
      socket.send(text, this.ports.line, "127.0.0.1", (error) =>
        error === null ? resolve() : reject(error),
      ),
    );
    socket.close();
  }

  /** Waits until `isSo` holds for the laws of all routes; fails after a minute. */
  async until(isSo: (laws: readonly Law[]) => boolean): Promise<readonly Law[]> {
    for (const end = Date.now() + PATIENCE_MS; ; await sleep(50)) {
      const laws = await this.service.law();
      if (isSo(laws)) return laws;
      if (Date.now() > end)
        throw new Error(`still not so: ${JSON.stringify(laws)}\n${this.service.log}`);
    }
  }

  /** Longest delay of the service's event loop in milliseconds, minus what this process, as a control, had to bear. */
  async loopDelayMs(): Promise<number> {
    const seconds = await this.service.metric("weir_event_loop_delay_max_seconds");
    return seconds * 1_000 - Math.max(0, this.#control.max / 1e6 - CONTROL_RESOLUTION_MS);
  }

  /**
   * Every test ends here: the service, if it still runs, must never have stalled for 100 ms (DESIGN §11), what it waited for a core not
   * counted; longer where more processes want to run than there are cores.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    const delayMs = this.service.isAlive ? await this.loopDelayMs() : 0;
    const waitedMs = this.waits.within(delayMs);
    this.#control.disable();
    this.waits[Symbol.dispose]();
    await this.#remove();
    const [load = 0] = loadavg();
    if (delayMs - waitedMs > LONGEST_STALL_MS * Math.max(1, load / availableParallelism()))
      throw new Error(
        `the event loop of the service was busy for ${delayMs} ms at a stretch, of which it waited for a core at most ${waitedMs} ms`,
      );
  }

  async #remove(): Promise<void> {
    await this.service.kill("SIGKILL");
    await rm(this.directory, { recursive: true, force: true });
  }
}

const PORTS = ["http", "grpc", "line", "health", "metrics", "store"] as const;
type PortName = (typeof PORTS)[number];

/** An OTLP request with one record per text. */
export function request(texts: readonly string[]): Uint8Array<ArrayBuffer> {
  const logRecords = texts.map((text, i) => ({
    timeUnixNano: String(1_705_314_600_000_000_000n + BigInt(i)),
    body: { stringValue: text },
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    attributes: [
      { key: "function.id", value: { stringValue: "f" } },
      { key: "execution.id", value: { stringValue: text } },
      { key: "exit_code", value: { intValue: "0" } },
    ],
  }));
  const resource = { attributes: [{ key: "service.name", value: { stringValue: "e2e" } }] };
  return Uint8Array.from(
    encodeRequest("logs", { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] }),
  );
}
