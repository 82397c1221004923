import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { defaultMaxConnections } from "../../kit/budget.ts";
import { addressOf, Connections, closeListener, listen } from "../../kit/server/server-listener.ts";
import { removeStale, socketPath } from "../../kit/server/unix-socket.ts";
import type { ServerTls } from "../../kit/tls/tls-server.ts";
import type { Component } from "../../pipeline/contracts.ts";
import type { Config } from "./config.ts";
import { ForwardConnection } from "./connection.ts";
import type { MessageDoor } from "./door.ts";
import { Security } from "./handshake.ts";

/** After so long without a packet the system asks whether the other side is still there. */
const PROBE_MS = 60_000;
/** Senders that end their side wait for acknowledgements. */
const SETTINGS = {
  allowHalfOpen: true,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: PROBE_MS,
};

/** Listens for senders of messages. */
export class ForwardListener implements Component {
  readonly #config: Config;
  readonly #door: MessageDoor;
  readonly #security: Security;
  readonly #tls: ServerTls | undefined;
  readonly #open = new Set<ForwardConnection>();
  #server: Server | undefined;
  #sockets: Connections | undefined;

  constructor(config: Config, door: MessageDoor, tls: ServerTls | undefined) {
    this.#config = config;
    this.#door = door;
    this.#security = new Security(config);
    this.#tls = tls;
  }

  async start(): Promise<void> {
    const { endpoint, max_connections = defaultMaxConnections() } = this.#config;
    const { id } = this.#door.context;
    const server = this.#create();
    server.maxConnections = max_connections;
    server.on("drop", () => this.#door.ended("refused", "max_connections are open"));
    this.#sockets = new Connections(server);
    const path = socketPath(endpoint);
    if (path !== undefined) await removeStale(path);
    await listen(server, {
      endpoint,
      what: `receiver ${id}`,
      option: `receivers.${id}.endpoint`,
    });
    server.on("error", (error) => this.#door.context.fail(error));
    this.#server = server;
  }

  /** "127.0.0.1:24224"; undefined while not listening, and of a socket in the file system. */
  address(): string | undefined {
    return this.#server && addressOf(this.#server);
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#tls?.stop();
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    for (const connection of this.#open) connection.close();
    const open = [...this.#open].map(({ done }) => done);
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const cut = () => {
      this.#sockets?.cut();
      resolve();
    };
    await closeListener(server, deadline, cut);
    await Promise.race([Promise.all(open), late]);
  }

  #create(): Server {
    if (this.#tls === undefined) return createServer(SETTINGS, (socket) => this.#accept(socket));
    const server = createTlsServer({ ...SETTINGS, ...this.#tls.options() }, (socket) =>
      this.#accept(socket),
    );
    this.#tls.follow(server);
    server.on("tlsClientError", (error, socket) => {
      this.#door.ended("invalid", `no TLS connection: ${error.message}`);
      socket.destroy();
    });
    return server;
  }

  #accept(socket: Socket): void {
    const connection = new ForwardConnection(socket, this.#config, this.#security, this.#door);
    this.#open.add(connection);
    connection.done
      .catch((reason: unknown) => this.#door.failed(reason))
      .finally(() => this.#open.delete(connection));
  }
}
