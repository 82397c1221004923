import type { ClientRequest, IncomingMessage } from "node:http";
import type { Socket } from "node:net";

/** Without a byte from a side for this long, a tunnel is closed: WebSocket servers ask for a sign of life every few seconds. */
const SILENCE_MS = 300_000;

/** The other side of a connection, or its answer when it does not switch. */
export type Switched =
  | { readonly message: IncomingMessage; readonly socket: Socket; readonly head: Uint8Array }
  | { readonly message: IncomingMessage; readonly socket: undefined };

/** Connections that are joined to others, byte for byte: each holds what the sockets' own buffers hold. */
export class Tunnels {
  readonly #open = new Set<Socket>();
  readonly #most: number;
  #isOver = false;

  constructor(most: number) {
    this.#most = most;
  }

  get count(): number {
    return this.#open.size;
  }

  get isFull(): boolean {
    return this.#isOver || this.#open.size >= this.#most;
  }

  /** Counts a connection from now on until it is closed. */
  hold(socket: Socket): void {
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
  }

  /** Closes all of them, and takes no more. */
  stop(): void {
    this.#isOver = true;
    for (const socket of this.#open) socket.destroy();
  }
}

/** Resolves when the server has switched, or has answered otherwise. */
export function switched(upstream: ClientRequest): Promise<Switched> {
  return new Promise((resolve, reject) => {
    upstream.on("upgrade", (message, socket, head) => resolve({ message, socket, head }));
    upstream.on("response", (message) => resolve({ message, socket: undefined }));
    upstream.on("error", reject);
    upstream.on("close", () => reject(new Error("the connection was closed without an answer")));
  });
}

/** Tells the client that the server has switched, and joins the two until either leaves. */
export function join(
  client: Socket,
  clientHead: Uint8Array,
  { message, socket: server, head }: Extract<Switched, { head: Uint8Array }>,
): void {
  for (const [one, other] of [
    [client, server],
    [server, client],
  ] as const) {
    one.on("error", ignore);
    one.once("close", () => other.destroy());
    one.setTimeout(SILENCE_MS, () => one.destroy());
  }
  if (client.destroyed) {
    server.destroy();
    return;
  }
  client.write(switchingHead(message));
  client.write(head);
  server.write(clientHead);
  server.pipe(client);
  client.pipe(server);
}

/** The head of the server's answer as it came. */
function switchingHead({ rawHeaders, statusMessage = "" }: IncomingMessage): string {
  const lines = [`HTTP/1.1 101 ${statusMessage}`];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2)
    lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function ignore(): void {}
