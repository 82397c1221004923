import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, credentials } from "@grpc/grpc-js";
import { encode } from "@msgpack/msgpack";
import { request } from "undici";
import { encodeRequest } from "../support/otlp.ts";

const PATH = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

interface Load {
  /** Number of the first request. */
  readonly from: number;
  /** Records per request. */
  readonly items: number;
  /** Between two requests of one sender. */
  readonly pauseMs: number;
}

const FAST: Load = { from: 0, items: 20, pauseMs: 0 };
/** Requests of one record, about twenty per second; their numbers are nobody else's. */
export const SLOW: Load = { from: 1_000_000_000, items: 1, pauseMs: 200 };

/** Sends requests over HTTP, gRPC and the forward protocol, and remembers the ids of those that were acknowledged. */
export class Senders {
  readonly acknowledged: string[] = [];
  /** Items acknowledged, by protocol. */
  readonly told = new Map<string, number>();
  sent = 0;
  refused = 0;
  failed = 0;
  #next: number;
  #isOver = false;
  readonly #load: Load;
  readonly #loops: Promise<void>[] = [];

  constructor(load: Load = FAST) {
    this.#load = load;
    this.#next = load.from;
  }

  start(httpPort: number, grpcPort?: number, forwardPort?: number): void {
    for (let i = 0; i < 4; i++)
      this.#loops.push(this.#run("HTTP", (ids) => post(httpPort, payload(ids))));
    if (forwardPort !== undefined)
      for (let i = 0; i < 2; i++)
        this.#loops.push(this.#run("forward", (ids) => forward(forwardPort, ids)));
    if (grpcPort === undefined) return;
    const client = new Client(`127.0.0.1:${grpcPort}`, credentials.createInsecure(), {
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 200,
    });
    for (let i = 0; i < 4; i++)
      this.#loops.push(this.#run("gRPC", (ids) => call(client, payload(ids))));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
  }

  async #run(
    protocol: string,
    send: (ids: readonly string[]) => Promise<"acknowledged" | "refused">,
  ): Promise<void> {
    const { items, pauseMs } = this.#load;
    while (!this.#isOver) {
      const number = this.#next++;
      const ids = Array.from({ length: items }, (_, item) => `tw-${number}-${item}-z`);
      this.sent += items;
      if (pauseMs > 0) await sleep(pauseMs);
      try {
        if ((await send(ids)) === "acknowledged") {
          this.acknowledged.push(...ids);
          this.told.set(protocol, (this.told.get(protocol) ?? 0) + items);
          continue;
        }
        this.refused += items;
      } catch {
        this.failed += items; // no answer: the service may have it or not
      }
      await sleep(20);
    }
  }
}

function payload(ids: readonly string[]): Uint8Array {
  const now = BigInt(Date.now()) * 1_000_000n;
  const text = (key: string, stringValue: string) => ({ key, value: { stringValue } });
  const logRecords = ids.map((id, i) => ({
    timeUnixNano: String(now + BigInt(i)),
    body: { stringValue: "torture" },
    attributes: [
      text("function.id", "f"),
      text("execution.id", id),
      { key: "exit_code", value: { intValue: "0" } },
    ],
  }));
  return encodeRequest("logs", { resourceLogs: [{ resource: {}, scopeLogs: [{ logRecords }] }] });
}

/** A chunk on a connection of its own, as a sender that has just lost its connection sends it. */
async function forward(port: number, ids: readonly string[]): Promise<"acknowledged"> {
  const chunk = ids[0] ?? "";
  const seconds = Math.floor(Date.now() / 1_000);
  const entries = ids.map((id) => [
    seconds,
    { message: "torture", "function.id": "f", "execution.id": id, exit_code: 0 },
  ]);
  const socket = connect(port, "127.0.0.1");
  try {
    socket.setTimeout(10_000, () => socket.destroy());
    socket.write(encode(["torture", entries, { chunk }]));
    const gone = once(socket, "close").then(() => [undefined]);
    const [answer] = (await Promise.race([once(socket, "data"), gone])) as [Buffer | undefined];
    if (!answer?.equals(encode({ ack: chunk }))) throw new Error("no acknowledgement");
    return "acknowledged";
  } finally {
    socket.destroy();
  }
}

async function post(port: number, body: Uint8Array): Promise<"acknowledged" | "refused"> {
  const { statusCode, body: answer } = await request(`http://127.0.0.1:${port}/v1/logs`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body,
    headersTimeout: 10_000,
  });
  await answer.dump();
  if (statusCode === 200) return "acknowledged";
  if (statusCode === 503 || statusCode === 429) return "refused";
  throw new Error(`unexpected status ${statusCode}`);
}

function call(client: Client, body: Uint8Array): Promise<"acknowledged" | "refused"> {
  const deadline = Date.now() + 10_000;
  const same = (bytes: Buffer) => bytes;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(PATH, same, same, Buffer.from(body), { deadline }, (error) => {
      if (error === null) resolve("acknowledged");
      else if (error.code === 14 && /full|stopping|budget|disk/.test(error.details))
        resolve("refused");
      else reject(error);
    });
  });
}
