import { connect, type Socket } from "node:net";
import { decodeMulti } from "@msgpack/msgpack";
import { expect } from "vitest";
import { fluentForward } from "../../../src/receivers/fluent_forward/index.ts";
import { ReceiverRig } from "../../support/receiver-rig.ts";
import { until } from "../../support/until.ts";

const stops: (() => Promise<void>)[] = [];

/** After each test: every sender is gone, every receiver stops and has given back what it leased. */
export async function stopAll(): Promise<void> {
  for (const stop of stops.splice(0).reverse()) await stop();
}

/** A receiver that listens on a free port. */
export async function start(
  options: object = {},
  rig: ReceiverRig = new ReceiverRig("fluent_forward"),
) {
  const config = fluentForward.schema.parse({ endpoint: "127.0.0.1:0", ...options });
  const receiver = fluentForward.create(config, rig.context, rig.intake);
  await receiver.start();
  stops.push(async () => {
    await receiver.stop(AbortSignal.timeout(2_000));
    expect(rig.budget.used, "every lease is given back").toBe(0);
  });
  const port = Number(receiver.address()?.split(":").at(-1));
  return { rig, port, receiver };
}

/** A sender that remembers what it is told. */
export class Sender {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  isClosed = false;
  #parts: Buffer[] = [];

  constructor(port: number, socket: Socket = connect(port, "127.0.0.1")) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (part: Buffer) => this.#parts.push(part));
    socket.on("error", () => {});
    this.closed = new Promise((resolve) =>
      socket.on("close", () => {
        this.isClosed = true;
        resolve();
      }),
    );
    stops.push(async () => void socket.destroy());
  }

  send(...parts: readonly Uint8Array[]): this {
    this.socket.write(Buffer.concat(parts));
    return this;
  }

  /** All bytes so far. */
  get told(): Buffer {
    return Buffer.concat(this.#parts);
  }

  /** The answers so far. */
  answers(): unknown[] {
    return [...decodeMulti(this.told)];
  }

  async acks(count: number): Promise<unknown[]> {
    await until(() => this.answers().length >= count);
    return this.answers().map((answer) => (answer as { ack: unknown }).ack);
  }
}
