import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

export interface SinkRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  /** As they came: name, value, name, value … */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

/** What the sink does with a request. `hang` never answers; `reset` cuts the connection; `early` answers before it reads the body. */
export type SinkAnswer =
  | {
      readonly status: number;
      readonly body?: string | Uint8Array;
      readonly headers?: Readonly<Record<string, string | string[]>>;
      readonly delayMs?: number;
      readonly early?: boolean;
    }
  | { readonly does: "hang" | "reset" }
  | { readonly raw: (socket: Socket) => void };

export interface HttpSink extends AsyncDisposable {
  readonly url: string;
  readonly requests: SinkRequest[];
  /** Requests being answered now, and the most at a time. */
  readonly open: number;
  readonly mostOpen: number;
  readonly connections: number;
  /** Called for each request; replaces the script. */
  answer: (request: SinkRequest, index: number) => SinkAnswer | Promise<SinkAnswer>;
}

/** A scriptable HTTP server on a free port: answers in the given order, the last one again and again; records every request. */
export async function httpSink(...script: readonly SinkAnswer[]): Promise<HttpSink> {
  const requests: SinkRequest[] = [];
  const sockets = new Set<Socket>();
  const state = { open: 0, mostOpen: 0, connections: 0 };
  const server = createServer(async (incoming, response) => {
    state.open += 1;
    state.mostOpen = Math.max(state.mostOpen, state.open);
    response.on("close", () => {
      state.open -= 1;
    });
    incoming.on("error", () => {});
    const chunks: Buffer[] = [];
    const peek = script[Math.min(requests.length, script.length - 1)];
    const early = peek !== undefined && "early" in peek && peek.early === true;
    if (!early) {
      try {
        for await (const chunk of incoming) chunks.push(chunk as Buffer);
      } catch {
        return; // the client went away
      }
    }
    const request = {
      method: incoming.method ?? "",
      url: incoming.url ?? "",
      headers: incoming.headers,
      rawHeaders: incoming.rawHeaders,
      body: Buffer.concat(chunks),
    };
    const index = requests.push(request) - 1;
    await perform(await sink.answer(request, index), response);
  });
  server.on("connection", (socket) => {
    state.connections += 1;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const sink: HttpSink = {
    url: `http://127.0.0.1:${port}`,
    requests,
    get open() {
      return state.open;
    },
    get mostOpen() {
      return state.mostOpen;
    },
    get connections() {
      return state.connections;
    },
    answer: (_request, index) => script[Math.min(index, script.length - 1)] ?? { status: 204 },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return sink;
}

async function perform(answer: SinkAnswer, response: ServerResponse): Promise<void> {
  if ("raw" in answer) return answer.raw(response.socket as Socket);
  if ("does" in answer) {
    if (answer.does === "reset") response.socket?.resetAndDestroy();
    return;
  }
  if (answer.delayMs !== undefined)
    await new Promise((resolve) => setTimeout(resolve, answer.delayMs));
  response.writeHead(answer.status, answer.headers);
  response.end(answer.body);
}
