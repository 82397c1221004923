import { serverSurroundings } from "../../kit/server/server-surroundings.ts";
import { socketPath } from "../../kit/server/unix-socket.ts";
import type { Component, Intake } from "../../pipeline/contracts.ts";
import type { Context, ReceiverFactory } from "../../pipeline/factory.ts";
import { type Config, config } from "./config.ts";
import { MessageDoor } from "./door.ts";
import { Heartbeats } from "./heartbeats.ts";
import { ForwardListener } from "./tcp.ts";

/** Connections and heartbeats of one receiver. */
export class FluentForwardReceiver implements Component {
  readonly #listener: ForwardListener;
  /** Undefined: there is no port for them. */
  readonly #heartbeats: Heartbeats | undefined;

  constructor(options: Config, context: Context, intake: Intake) {
    const { tls } = serverSurroundings(options, context, `receivers.${context.id}`);
    const door = new MessageDoor(options, context, intake);
    this.#listener = new ForwardListener(options, door, tls);
    if (socketPath(options.endpoint) !== undefined) return;
    this.#heartbeats = new Heartbeats(context, () => this.address() ?? options.endpoint);
  }

  async start(): Promise<void> {
    await this.#listener.start();
    try {
      await this.#heartbeats?.start();
    } catch (reason) {
      await this.#listener.stop(AbortSignal.abort());
      throw reason;
    }
  }

  /** "127.0.0.1:24224"; undefined while not listening, and of a socket in the file system. */
  address(): string | undefined {
    return this.#listener.address();
  }

  async stop(deadline: AbortSignal): Promise<void> {
    await this.#heartbeats?.stop();
    await this.#listener.stop(deadline);
  }
}

/** Takes what Fluent Bit, Fluentd, Docker's logging driver and the fluent-loggers send by the forward protocol. */
export const fluentForward = {
  kind: "receiver",
  type: "fluent_forward",
  summary: "Log records by the forward protocol: Fluent Bit, Fluentd, Docker, fluent-logger.",
  stability: { logs: "beta" },
  schema: config,
  example: { endpoint: "127.0.0.1:24224" },
  create: (options: Config, context: Context, intake: Intake): FluentForwardReceiver =>
    new FluentForwardReceiver(options, context, intake),
} satisfies ReceiverFactory<Config>;
