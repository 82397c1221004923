import { createServer, type Server, type Socket } from "node:net";
import { parseEndpoint } from "../../kit/server/listen-endpoint.ts";
import { describeListenError } from "../../kit/server/listen-error.ts";
import { LineReader } from "../../line/reader.ts";
import type { Component } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import type { LineDoor } from "../../series/doors/door.ts";
import type { TcpConfig } from "./config.ts";
import { DoorPool } from "./door-pool.ts";
import type { HandOver } from "./hand-over.ts";
import { TcpConnection } from "./tcp-connection.ts";

const LOG_EVERY_MS = 10_000;

/** Newline-separated lines over connections. */
export class TcpListener implements Component {
  readonly #config: TcpConfig;
  readonly #context: Context;
  readonly #handOver: HandOver;
  readonly #doors: DoorPool;
  /** Finds the ends of lines for all connections, one call at a time. */
  readonly #reader = new LineReader();
  readonly #connections = new Set<TcpConnection>();
  #server: Server | undefined;
  #saidMs = Number.NEGATIVE_INFINITY;

  constructor(config: TcpConfig, context: Context, handOver: HandOver, makeDoor: () => LineDoor) {
    this.#config = config;
    this.#context = context;
    this.#handOver = handOver;
    this.#doors = new DoorPool(makeDoor);
  }

  async start(): Promise<void> {
    const { endpoint, max_connections } = this.#config;
    const { host, port } = parseEndpoint(endpoint);
    const server = createServer((socket) => this.#accept(socket));
    server.maxConnections = max_connections;
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen({ port, ...(host !== undefined && { host }) }, () => {
          server.off("error", reject);
          resolve();
        });
      });
    } catch (reason) {
      const error = reason instanceof Error ? reason : new Error(String(reason));
      const what = `${this.#context.id} (tcp)`;
      const option = `receivers.${this.#context.id}.tcp.endpoint`;
      throw await describeListenError(error, { what, endpoint, option });
    }
    server.on("error", (error) => this.#context.fail(error));
    server.on("drop", () => this.#sayFull());
    this.#server = server;
  }

  /** Port that the system chose or the configuration named; undefined while not listening. */
  get port(): number | undefined {
    const address = this.#server?.address();
    return typeof address === "object" ? address?.port : undefined;
  }

  async stop(deadline: AbortSignal): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    server.close();
    const open = [...this.#connections];
    for (const connection of open) connection.close();
    if (deadline.aborted) return;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    deadline.addEventListener("abort", () => resolve(), { once: true });
    await Promise.race([Promise.allSettled(open.map(({ done }) => done)), late]);
  }

  #accept(socket: Socket): void {
    const connection = new TcpConnection(
      socket,
      this.#config,
      this.#handOver,
      this.#doors,
      this.#reader,
      this.#context.nowMs,
    );
    this.#connections.add(connection);
    const forget = () => this.#connections.delete(connection);
    connection.done.then(forget, (error: unknown) => {
      forget();
      this.#context.log.error(
        { receiver: this.#context.id, error: String(error) },
        "a connection failed inside weir",
      );
    });
  }

  #sayFull(): void {
    const now = this.#context.nowMs();
    if (now - this.#saidMs < LOG_EVERY_MS) return;
    this.#saidMs = now;
    const { max_connections } = this.#config;
    const fields = { receiver: this.#context.id, max_connections };
    this.#context.log.warn(fields, "a connection was closed at once: tcp.max_connections are open");
  }
}
