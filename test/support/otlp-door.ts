import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createBudget } from "../../src/kit/budget.ts";
import type { Batch } from "../../src/otlp/batch.ts";
import type { Indexed, Indexer } from "../../src/otlp/indexer.ts";
import type { Keys } from "../../src/otlp/keys.ts";
import { PipelineError, type Refusal } from "../../src/otlp/status.ts";
import { SIGNALS, type Signal } from "../../src/otlp/tape.ts";
import type { ServerAuth } from "../../src/pipeline/auth.ts";
import type { Intake } from "../../src/pipeline/contracts.ts";
import type { Context } from "../../src/pipeline/factory.ts";
import type { Labels, Meter } from "../../src/pipeline/telemetry.ts";
import { config } from "../../src/receivers/otlp/config.ts";
import { OtlpReceiver } from "../../src/receivers/otlp/index.ts";
import { decodeRequest, type Json } from "./otlp.ts";

const MIB = 1024 * 1024;
const NO_KEYS: Keys = {
  id: () => {
    throw new Error("the doors need no keys");
  },
  seek: () => {
    throw new Error("the doors need no keys");
  },
  mayOccur: () => true,
  name: () => "",
};

/** What a test may script. */
export interface DoorOptions {
  readonly budgetBytes?: number;
  readonly signals?: readonly Signal[];
  readonly protocols?: Record<string, unknown>;
  readonly submit?: (batches: readonly Batch[]) => Promise<void>;
  readonly admit?: (signal: Signal, bytes: number) => Refusal | undefined;
  readonly index?: (signal: Signal, bytes: Uint8Array, length: number) => Indexed<Signal>;
  readonly indexer?: Indexer | undefined;
  readonly auth?: ServerAuth;
}

/** An `otlp` receiver on real sockets, with a budget and everything that it told the rest of the house. */
export class Door {
  readonly budget;
  readonly submitted: Batch[] = [];
  readonly rejected: { signal: Signal; items: number; why: string }[] = [];
  readonly logged: string[] = [];
  readonly admitted: number[] = [];
  readonly counts = new Map<string, number>();
  readonly #receiver: OtlpReceiver;

  constructor(options: DoorOptions = {}) {
    this.budget = createBudget(options.budgetBytes ?? 256 * MIB);
    const protocols = options.protocols ?? {
      grpc: { endpoint: "127.0.0.1:0" },
      http: { endpoint: "127.0.0.1:0" },
    };
    this.#receiver = new OtlpReceiver(
      config.parse({ protocols }),
      this.#context(options),
      this.#intake(options),
    );
  }

  async start(): Promise<this> {
    await this.#receiver.start();
    return this;
  }

  stop(deadline = AbortSignal.timeout(2_000)): Promise<void> {
    return this.#receiver.stop(deadline);
  }

  get http(): string {
    return `http://${this.httpAddress}`;
  }
  get httpAddress(): string {
    return this.#receiver.address("http") ?? "";
  }
  get grpcAddress(): string {
    return this.#receiver.address("grpc") ?? "";
  }

  outcome(transport: "http" | "grpc", outcome: string): number {
    return this.counts.get(`${transport}/${outcome}`) ?? 0;
  }

  #intake({ signals = SIGNALS, submit, admit }: DoorOptions): Intake {
    return {
      signals: new Set(signals),
      admit: (signal, bytes) => {
        this.admitted.push(bytes);
        return (
          admit?.(signal, bytes) ??
          this.budget.take(bytes) ?? { kind: "refused", retryAfterMs: 1000, why: "budget is full" }
        );
      },
      submit: async (batches) => {
        await submit?.(batches);
        this.submitted.push(...batches);
      },
      rejected: (signal, items, why) => this.rejected.push({ signal, items, why }),
    };
  }

  #context(options: DoorOptions): Context {
    const log = (fields: object, text: string) => {
      this.logged.push(`${text} ${JSON.stringify(fields)}`);
    };
    const index = options.index ?? indexByOracle;
    const meter: Meter = {
      counter: (_name, _help, labels: Labels) => ({
        add: (n) => {
          const { transport, outcome } = labels;
          const key = `${transport}/${outcome}`;
          this.counts.set(key, (this.counts.get(key) ?? 0) + n);
        },
      }),
      observe: () => {},
    };
    return {
      id: "otlp",
      log: { debug: () => {}, info: () => {}, warn: log, error: log },
      meter,
      indexer: options.indexer ?? {
        keys: NO_KEYS,
        index: index as Indexer["index"],
        indexSlowly: (async (...[signal, bytes, length]) =>
          index(signal, bytes, length)) as Indexer["indexSlowly"],
      },
      ...(options.auth !== undefined && {
        authenticator: () => ({
          server: options.auth as ServerAuth,
          start: async () => {},
          stop: async () => {},
        }),
      }),
      nowMs: Date.now,
      fail: (error) => this.logged.push(`fail ${error.message}`),
    };
  }
}

/** Counts items with the oracle; a record whose body is the text "bad" is cut out. */
export function indexByOracle(signal: Signal, bytes: Uint8Array, length: number): Indexed<Signal> {
  try {
    const items = itemsOf(decodeRequest(signal, bytes.subarray(0, length)));
    const bad = items.filter((item) => JSON.stringify(item).includes('"bad"')).length;
    const good = items.length - bad;
    return {
      batch: fakeBatch(signal, bytes, length, good),
      rejected: bad,
      why: bad > 0 ? "body is bad" : "",
    };
  } catch (error) {
    return { refused: "malformed", why: `not an OTLP request: ${PipelineError.from(error).why}` };
  }
}

/** A batch that carries bytes and a count, for tests that look no further. */
export function fakeBatch(signal: Signal, bytes: Uint8Array, length: number, items: number): Batch {
  return {
    signal,
    bytes,
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    length,
    tape: new Int32Array(items * 16),
    items,
    draft: () => {
      throw new Error("no drafts of fake batches");
    },
  };
}

function itemsOf(json: unknown): Json[] {
  if (Array.isArray(json)) return json.flatMap(itemsOf);
  if (typeof json !== "object" || json === null) return [];
  const found: Json[] = [];
  for (const [name, value] of Object.entries(json))
    if (["logRecords", "spans", "dataPoints"].includes(name) && Array.isArray(value))
      found.push(...(value as Json[]));
    else found.push(...itemsOf(value));
  return found;
}

/** A request with `count` items of the signal; bodies or names are `text`. */
export function requestOf(signal: Signal, count: number, text = "hello"): object {
  const items = Array.from({ length: count }, (_, i) => i);
  if (signal === "logs")
    return {
      resourceLogs: [
        {
          scopeLogs: [
            {
              logRecords: items.map((i) => ({
                timeUnixNano: String(i + 1),
                body: { stringValue: text },
              })),
            },
          ],
        },
      ],
    };
  if (signal === "traces")
    return {
      resourceSpans: [
        {
          scopeSpans: [
            { spans: items.map((i) => ({ name: text, startTimeUnixNano: String(i + 1) })) },
          ],
        },
      ],
    };
  return {
    resourceMetrics: [
      {
        scopeMetrics: [
          {
            metrics: [
              { name: text, gauge: { dataPoints: items.map((i) => ({ asInt: String(i) })) } },
            ],
          },
        ],
      },
    ],
  };
}

/** A raw TCP connection. */
export async function dial(address: string): Promise<Socket> {
  const colon = address.lastIndexOf(":");
  const socket = connect(Number(address.slice(colon + 1)), address.slice(0, colon));
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

/** Everything that the server says until it closes. */
export async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  if (!socket.closed) await once(socket, "close");
  return Buffer.concat(chunks).toString("latin1");
}
