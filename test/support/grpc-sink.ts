import {
  createSecureServer,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";

export interface GrpcSinkCall {
  readonly headers: IncomingHttpHeaders;
  /** The message as it came, without its prefix. */
  readonly message: Buffer;
  readonly isCompressed: boolean;
}

/** What the sink does with a call. `onHead` runs before the message is read, `raw` after it. */
export type GrpcSinkAnswer =
  | {
      readonly code?: number;
      readonly message?: string;
      readonly details?: Uint8Array;
      readonly reply?: Uint8Array;
      readonly delayMs?: number;
    }
  | { readonly onHead: (stream: ServerHttp2Stream) => void }
  | { readonly raw: (stream: ServerHttp2Stream) => void };

export interface GrpcSink extends AsyncDisposable {
  /** host:port */
  readonly address: string;
  readonly calls: GrpcSinkCall[];
  /** Connections made so far. */
  readonly connections: number;
  answer: (call: GrpcSinkCall, index: number) => GrpcSinkAnswer;
}

/** A scriptable gRPC server over node:http2, with TLS when it is given a key. Answers in the given order, the last one again and again. */
export async function grpcSink(
  script: readonly GrpcSinkAnswer[],
  tls?: { readonly key: string; readonly cert: string },
): Promise<GrpcSink> {
  const calls: GrpcSinkCall[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const sockets = new Set<Socket>();
  let connections = 0;
  let heads = 0;
  const server = tls === undefined ? createServer() : createSecureServer(tls);
  server.on("error", () => {});
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("session", (session) => {
    connections += 1;
    sessions.add(session);
    session.on("error", () => {});
    session.on("close", () => sessions.delete(session));
  });
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on("error", () => {});
    const index = heads++;
    const now = script[Math.min(index, script.length - 1)];
    if (now !== undefined && "onHead" in now) {
      now.onHead(stream);
      return;
    }
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      const bytes = Buffer.concat(chunks);
      if (bytes.length < 5 || bytes.length !== 5 + bytes.readUInt32BE(1)) return;
      const call = { headers, message: bytes.subarray(5), isCompressed: bytes[0] === 1 };
      calls.push(call);
      perform(sink.answer(call, index), stream);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const sink: GrpcSink = {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    get connections() {
      return connections;
    },
    answer: (_call, index) => script[Math.min(index, script.length - 1)] ?? {},
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return sink;
}

function perform(answer: GrpcSinkAnswer, stream: ServerHttp2Stream): void {
  if ("onHead" in answer || "raw" in answer) {
    if ("raw" in answer) answer.raw(stream);
    return;
  }
  const { code = 0, message = "", details, reply = new Uint8Array(0), delayMs = 0 } = answer;
  setTimeout(() => {
    if (stream.destroyed) return;
    stream.respond(GRPC_HEAD, { waitForTrailers: true });
    stream.on("wantTrailers", () =>
      stream.sendTrailers({
        "grpc-status": String(code),
        ...(message !== "" && { "grpc-message": encodeURIComponent(message) }),
        ...(details && { "grpc-status-details-bin": Buffer.from(details).toString("base64") }),
      }),
    );
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(reply.length, 1);
    stream.end(code === 0 ? Buffer.concat([prefix, reply]) : undefined);
  }, delayMs);
}

/** Head of every gRPC answer. */
export const GRPC_HEAD = { ":status": 200, "content-type": "application/grpc" } as const;
