import { createSocket, type Socket } from "node:dgram";
import { parseEndpoint } from "../../kit/server/listen-endpoint.ts";
import { describeListenError } from "../../kit/server/listen-error.ts";
import type { Component } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";

/** What Fluentd sends, and what it wants to see. */
const ANSWER = Uint8Array.of(0);

/** Answers the heartbeats that Fluentd sends over UDP to the port of its connections. */
export class Heartbeats implements Component {
  readonly #context: Context;
  readonly #endpoint: () => string;
  #socket: Socket | undefined;

  /** The endpoint is asked for at the start: its port may have been chosen by the system. */
  constructor(context: Context, endpoint: () => string) {
    this.#context = context;
    this.#endpoint = endpoint;
  }

  async start(): Promise<void> {
    const { host, port } = parseEndpoint(this.#endpoint());
    const socket = createSocket(host?.includes(":") ? "udp6" : "udp4");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once("error", reject);
    socket.bind({ port, ...(host !== undefined && { address: host }) }, resolve);
    try {
      await promise;
    } catch (reason) {
      socket.close();
      const { id } = this.#context;
      throw await describeListenError(
        reason instanceof Error ? reason : new Error(String(reason)),
        {
          what: `receiver ${id} (heartbeats)`,
          endpoint: this.#endpoint(),
          option: `receivers.${id}.endpoint`,
          transport: "udp",
        },
      );
    }
    socket.off("error", reject);
    socket.on("error", (error) => this.#context.fail(error));
    socket.on("message", (_message, from) =>
      socket.send(ANSWER, from.port, from.address, () => {}),
    );
    this.#socket = socket;
  }

  async stop(): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket !== undefined) await new Promise<void>((resolve) => socket.close(() => resolve()));
  }
}
