import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { encode } from "@msgpack/msgpack";
import { eventTime } from "../support/event-time.ts";

/** Between two tries of a chunk, and between two chunks (ms). */
const PAUSE_MS = 20;
const PACE_MS = 5;
/** The last chunk is acknowledged within this time, or never (ms). */
const END_MS = 60_000;
/** An answer that does not come for so long will not come (ms). */
const ANSWER_MS = 10_000;
/** Seconds since 1970 of a sender's first chunk; each chunk has a second of its own. Loki takes nothing that is a week old, or to come. */
const BASE = Math.floor(Date.now() / 1_000) - 86_400;

/** How one kind of sender delivers a chunk of records, and how its rows are found again. */
export interface DoorKind {
  readonly door: string;
  readonly sender: string;
  /** The port in all-doors.yaml. */
  readonly port: number;
  /** Records of a chunk. */
  readonly records: number;
  /** SQL that answers with rows of `chunk` and `n`: how many rows each chunk has. */
  readonly rows: string;
  /** Resolves with whether the chunk was acknowledged. */
  readonly make: (port: number) => (chunk: number) => Promise<boolean>;
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);
const rowsOfJob = (name: string) =>
  `SELECT split_part(job_id, '-', 2) AS chunk, count(*) AS n FROM logs WHERE job_id LIKE '${name}-%' GROUP BY 1`;

function post(url: string, headers: Readonly<Record<string, string>>, body: string) {
  const signal = AbortSignal.timeout(ANSWER_MS);
  return fetch(url, { method: "POST", headers, body, signal }).then(
    async (answer) => {
      await answer.arrayBuffer();
      return answer.ok;
    },
    () => false,
  );
}

/** Sends messages of the forward protocol on one connection, and on a new one after each failure. */
function forward(messageOf: (chunk: number, id: string) => unknown): DoorKind["make"] {
  return (port) => {
    let socket: Socket | undefined;
    return (chunk) => {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const id = `chunk-${chunk}`;
      const expected = encode({ ack: id });
      socket ??= opened(port);
      socket.removeAllListeners("data").removeAllListeners("close");
      socket.on("data", (answer: Buffer) => resolve(answer.equals(expected)));
      socket.on("close", () => {
        socket = undefined;
        resolve(false);
      });
      socket.write(encode(messageOf(chunk, id)));
      return promise;
    };
  };
}

function opened(port: number): Socket {
  const socket = connect(port, "127.0.0.1");
  return socket.setTimeout(ANSWER_MS, () => socket.destroy()).on("error", () => {});
}

/** Senders that keep what they send until they are told that it was taken. */
export const DOOR_KINDS: readonly DoorKind[] = [
  {
    door: "fluent_forward",
    sender: "Fluent Bit",
    port: 24224,
    records: 50,
    rows: rowsOfJob("bit"),
    make: forward((chunk, id) => {
      const entries = numbers(50).map((n) =>
        encode([eventTime(BASE + chunk, n), { message: `${chunk}/${n}`, job_id: `bit-${chunk}` }]),
      );
      return ["killed", Buffer.concat(entries), { chunk: id }];
    }),
  },
  {
    door: "fluent_forward",
    sender: "Docker",
    port: 24224,
    records: 1,
    rows: rowsOfJob("docker"),
    // A line has the second that it was written in.
    make: forward((chunk, id) => [
      "killed",
      BASE + Math.floor(chunk / 20),
      { log: `${chunk}`, source: "stdout", job_id: `docker-${chunk}` },
      { chunk: id },
    ]),
  },
  {
    door: "datakit",
    sender: "DataFlux Func",
    port: 9529,
    records: 100,
    rows: `SELECT split_part(origin_id, '-', 2) AS chunk, count(*) AS n FROM "DFF_func_call" WHERE origin_id LIKE 'kill-%' GROUP BY 1`,
    // Points of one second, ten of which are always equal, as its groups of points are.
    make: (port) => (chunk) =>
      post(
        `http://127.0.0.1:${port}/v1/write/metric`,
        { connection: "close" },
        numbers(100)
          .map(
            (n) =>
              `DFF_func_call,func_id=demo__test.run,origin=asyncAPI,origin_id=kill-${chunk}-${n % 10},task_status=success run_cost=${chunk}i ${BASE}000000000`,
          )
          .join("\n"),
      ),
  },
  {
    door: "http_logs",
    sender: "Fluent Bit, json_lines",
    port: 8080,
    records: 50,
    rows: rowsOfJob("http"),
    make: (port) => (chunk) =>
      post(
        `http://127.0.0.1:${port}/logs/ingest`,
        { "content-type": "application/x-ndjson", "user-agent": "Fluent-Bit" },
        numbers(50)
          .map((n) => {
            const date = `${BASE + chunk}.${String(n).padStart(6, "0")}`;
            return `{"date":${date},"log":"${chunk}/${n}","job_id":"http-${chunk}"}\n`;
          })
          .join(""),
      ),
  },
  {
    door: "loki",
    sender: "promtail, JSON",
    port: 3100,
    records: 50,
    rows: rowsOfJob("loki"),
    make: (port) => (chunk) => {
      const values = numbers(50).map((n) => [
        String(BigInt(BASE + chunk) * 1_000_000_000n + BigInt(n)),
        `${chunk}/${n}`,
        { job_id: `loki-${chunk}` },
      ]);
      const body = JSON.stringify({ streams: [{ stream: { service_name: "killed" }, values }] });
      const headers = { "content-type": "application/json" };
      return post(`http://127.0.0.1:${port}/loki/api/v1/push`, headers, body);
    },
  },
  {
    door: "influxdb",
    sender: "Telegraf, v2",
    port: 8086,
    records: 100,
    rows: "SELECT chunk, count(*) AS n FROM killed GROUP BY 1",
    make: (port) => (chunk) =>
      post(
        `http://127.0.0.1:${port}/api/v2/write?org=o&bucket=b&precision=ns`,
        { authorization: "Token t" },
        numbers(100)
          .map(
            (n) =>
              `killed,chunk=${chunk} n=${n}i ${BigInt(BASE + chunk) * 1_000_000_000n + BigInt(n)}`,
          )
          .join("\n"),
      ),
  },
];

/** Sends chunk after chunk; each again until it is acknowledged. */
export class RepeatingSender {
  /** Chunks. */
  acknowledged = 0;
  /** Tries without an acknowledgement. */
  repeated = 0;
  readonly kind: DoorKind;
  readonly #port: number;
  readonly #done: Promise<void>;
  #endsAtMs = Number.POSITIVE_INFINITY;

  constructor(kind: DoorKind, port: number) {
    this.kind = kind;
    this.#port = port;
    this.#done = this.#run();
  }

  /** Resolves when its last chunk is acknowledged; rejects when that takes too long. */
  stop(): Promise<void> {
    this.#endsAtMs = performance.now() + END_MS;
    return this.#done;
  }

  async #run(): Promise<void> {
    const send = this.kind.make(this.#port);
    for (let isTaken = true; !isTaken || this.#endsAtMs === Number.POSITIVE_INFINITY; ) {
      if (performance.now() > this.#endsAtMs)
        throw new Error(
          `${this.kind.door}: chunk ${this.acknowledged} of ${this.kind.sender} is not acknowledged`,
        );
      isTaken = await send(this.acknowledged);
      if (isTaken) this.acknowledged++;
      else this.repeated++;
      await sleep(isTaken ? PACE_MS : PAUSE_MS);
    }
  }
}
