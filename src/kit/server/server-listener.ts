import type { AddressInfo, ListenOptions, Server, Socket } from "node:net";
import { parseEndpoint } from "./listen-endpoint.ts";
import { describeListenError } from "./listen-error.ts";

/** Pending connections that the system may hold for us. */
const BACKLOG = 1_024;

/** How long a client may take to close its side of a connection. */
const LINGER_MS = 2_000;

/** What an endpoint starts with that is a socket in the file system; its path follows. */
export const UNIX = "unix:";

/** What a listener is called and where it listens. */
export interface Listening {
  readonly endpoint: string;
  readonly what: string;
  /** Where the endpoint is configured, for error messages. */
  readonly option?: string;
  readonly reusePort?: boolean;
}

/** Resolves when the server listens; rejects with an error that says who wanted which address, and what to do. */
export async function listen(server: Server, listening: Listening): Promise<void> {
  try {
    await begin(server, listening);
  } catch (reason) {
    const { what, endpoint, option } = listening;
    const error = reason instanceof Error ? reason : new Error(String(reason));
    if (endpoint.startsWith(UNIX))
      throw new Error(`${what} cannot listen on ${endpoint}: ${error.message}`, { cause: error });
    throw await describeListenError(error, {
      what,
      endpoint,
      ...(option !== undefined && { option }),
    });
  }
}

function begin(server: Server, { endpoint, reusePort = false }: Listening): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ ...placeOf(endpoint, reusePort), backlog: BACKLOG }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function placeOf(endpoint: string, reusePort: boolean): ListenOptions {
  if (endpoint.startsWith(UNIX)) return { path: endpoint.slice(UNIX.length) };
  const { host, port } = parseEndpoint(endpoint);
  return { port, ...(host !== undefined && { host }), reusePort };
}

/** "127.0.0.1:4318" or "[::1]:4318"; undefined while not listening. */
export function addressOf(server: Server): string | undefined {
  const address = server.address();
  return address === null || typeof address === "string" ? undefined : format(address);
}

function format({ address, port, family }: AddressInfo): string {
  return family === "IPv6" ? `[${address}]:${port}` : `${address}:${port}`;
}

/**
 * The connections of one server, whatever state they are in: also those that still agree on TLS, and those whose HTTP/2 session has ended well while
 * the client has not closed.
 */
export class Connections {
  readonly #sockets = new Set<Socket>();

  constructor(server: Server) {
    server.on("connection", (socket) => {
      socket.on("error", ignore);
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      cutAfterEnd(socket);
    });
    server.on("secureConnection", cutAfterEnd);
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** A client that does not close its side after we have closed ours would keep the connection for ever. */
function cutAfterEnd(socket: Socket): void {
  socket.once("finish", () => {
    const cut = setTimeout(() => socket.destroy(), LINGER_MS);
    cut.unref();
    socket.once("close", () => clearTimeout(cut));
  });
}

function ignore(): void {}

/** Closes the listener and waits for its connections; when `deadline` aborts, `cut` ends the ones that are left. */
export async function closeListener(
  server: Server,
  deadline: AbortSignal,
  cut: () => void,
): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  if (deadline.aborted) cut();
  deadline.addEventListener("abort", cut, { once: true });
  await closed;
  deadline.removeEventListener("abort", cut);
}
