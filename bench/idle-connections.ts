/** Connections to every TCP door that were used once, or never, and stay open. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { encode } from "@msgpack/msgpack";
import { callOf, HTTP2_PREFACE } from "./raw-http2.ts";

/** What a connection said before it fell silent. */
export type Said = "nothing" | "a small request" | "a request of 256 KiB";
const LARGE = 256 << 10;
/** Opened at once; more would meet the listeners' queues. */
const AT_ONCE = 64;
const ANSWER_MS = 10_000;
/** Doors that answer nothing have taken it by then (ms). */
const QUIET_MS = 200;

interface Door {
  readonly door: string;
  /** In all-doors.yaml. */
  readonly port: number;
  readonly answers: boolean;
  /** A message of about so many bytes that is taken. */
  readonly message: (bytes: number) => Uint8Array;
}

const pad = (text: string, bytes: number) => text.padEnd(bytes, " ");
/** Comments are no points. */
const lines = (bytes: number) => `${"#".padEnd(Math.max(1, bytes - 12), "x")}\nidle v=1i\n`;
const now = () => `${Date.now()}000000`;

function http(
  door: string,
  port: number,
  path: string,
  type: string,
  body: (n: number) => string,
): Door {
  const message = (bytes: number) => {
    const text = body(bytes);
    return Buffer.from(
      `POST ${path} HTTP/1.1\r\nHost: idle\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    );
  };
  return { door, port, answers: true, message };
}

const JSON_TYPE = "application/json";
const DOORS: readonly Door[] = [
  http("otlp, HTTP", 4318, "/v1/logs", JSON_TYPE, (n) => pad('{"resourceLogs":[]}', n)),
  {
    ...{ door: "otlp, gRPC", port: 4317, answers: true },
    message: (n) => Buffer.concat([HTTP2_PREFACE, callOf(n)]),
  },
  http("influxdb", 8086, "/api/v2/write?org=o&bucket=b", "text/plain", lines),
  http("datakit", 9529, "/v1/write/metric", "text/plain", lines),
  http("http_logs", 8080, "/logs/ingest", JSON_TYPE, (n) => pad('{"log":"idle"}', n)),
  http("loki", 3100, "/loki/api/v1/push", JSON_TYPE, (n) =>
    pad(`{"streams":[{"stream":{"job":"idle"},"values":[["${now()}","idle"]]}]}`, n),
  ),
  http("telemetry_api", 4323, "/", JSON_TYPE, (n) => pad("[]", n)),
  {
    ...{ door: "fluent_forward", port: 24224, answers: true },
    message: (n) => encode(["idle", 1, { log: pad("idle", n) }, { chunk: "idle" }]),
  },
  {
    ...{ door: "line_protocol", port: 8094, answers: false },
    message: (n) => Buffer.from(lines(n)),
  },
];

/** So many connections, spread over the doors. */
export class IdleConnections {
  readonly #sockets: Socket[] = [];

  /** Of those that were opened: the service may close what is too much. */
  get open(): number {
    return this.#sockets.filter(({ readyState }) => readyState === "open").length;
  }

  static get doors(): readonly string[] {
    return DOORS.map(({ door }) => door);
  }

  /** Opens them at these doors, and has each say something; resolves when all were answered. */
  async fill(
    count: number,
    said: Said,
    portOf: (port: number) => number,
    names: readonly string[] = IdleConnections.doors,
  ): Promise<void> {
    const doors = DOORS.filter(({ door }) => names.includes(door));
    for (let i = 0; i < count; i += AT_ONCE)
      await Promise.all(
        Array.from({ length: Math.min(AT_ONCE, count - i) }, (_, k) => {
          const door = doors[(i + k) % doors.length];
          return door === undefined ? undefined : this.#use(door, said, portOf(door.port));
        }),
      );
    await sleep(QUIET_MS);
  }

  close(): void {
    for (const socket of this.#sockets.splice(0)) socket.destroy();
  }

  async #use({ answers, message }: Door, said: Said, port: number): Promise<void> {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    this.#sockets.push(socket);
    const signal = AbortSignal.timeout(ANSWER_MS);
    await once(socket, "connect", { signal });
    if (said === "nothing") return;
    const answered = answers ? once(socket, "data", { signal }) : undefined;
    socket.write(message(said === "a small request" ? 0 : LARGE));
    await answered;
    socket.resume();
  }
}
