import type { Server } from "node:http";
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { http2Limits } from "./http2-limits.ts";
import { nodeHttp2, nodeTls } from "./node-http.ts";

/** A request of a client that speaks HTTP/2. Errors of the stream are taken care of. */
export type OnHttp2Stream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/** Beginning of what such a client sends first (RFC 9113 §3.4); no method of HTTP/1 begins so. */
const PREFACE = Buffer.from("PRI");
/** A connection without streams is closed after this. */
const IDLE_MS = 300_000;

/** The connections of a port that speak HTTP/2. */
export interface Http2Sessions {
  /** Takes no new streams; lets those that are open end. */
  close(): void;
}

/**
 * ALPN: HTTP/1.1 for whoever speaks it, so that clients that know both get every path, and h2 for who speaks nothing else, as gRPC clients
 * do.
 */
export function preferHttp1({
  protocols,
}: {
  readonly protocols: readonly string[];
}): string | undefined {
  if (protocols.includes("http/1.1")) return "http/1.1";
  return protocols.includes("h2") ? "h2" : undefined;
}

/**
 * Lets clients speak HTTP/2 on the port of an HTTP/1.1 server: by prior knowledge, or with TLS by ALPN. Call it before anybody else listens
 * to the server's connections. A client that says nothing for `firstByteMs` (0: no limit) is cut.
 */
export function shareWithHttp2(
  server: Server,
  isTls: boolean,
  firstByteMs: number,
  onStream: OnHttp2Stream,
): Http2Sessions {
  const event = isTls ? "secureConnection" : "connection";
  const takers = server.listeners(event);
  server.removeAllListeners(event);
  const http1 = (socket: Socket) => {
    for (const take of takers) take.call(server, socket);
  };
  const sessions = new Sessions(onStream);
  const { TLSSocket } = nodeTls();
  server.on(event, (socket: Socket) => {
    if (socket instanceof TLSSocket)
      if (socket.alpnProtocol === "h2") sessions.welcome(socket);
      else http1(socket);
    else lookAhead(socket, firstByteMs, (isHttp2) => (isHttp2 ? sessions.welcome : http1)(socket));
  });
  return sessions;
}

class Sessions implements Http2Sessions {
  readonly #open = new Set<ServerHttp2Session>();
  readonly #onStream: OnHttp2Stream;

  constructor(onStream: OnHttp2Stream) {
    this.#onStream = onStream;
  }

  readonly welcome = (socket: Socket): void => {
    const session = nodeHttp2().performServerHandshake(socket, http2Limits());
    session.on("error", ignore);
    session.on("frameError", ignore);
    session.setTimeout(IDLE_MS, () => session.close());
    session.on("close", () => this.#open.delete(session));
    session.on("stream", (stream, headers) => {
      stream.on("error", ignore);
      if (!stream.destroyed) this.#onStream(stream, headers);
    });
    this.#open.add(session);
  };

  close(): void {
    for (const session of this.#open) session.close();
  }
}

/** Waits for the first bytes, says whose they are and leaves them in the socket. */
function lookAhead(socket: Socket, firstByteMs: number, decide: (isHttp2: boolean) => void): void {
  let seen: Buffer = Buffer.alloc(0);
  const cut = firstByteMs > 0 ? setTimeout(() => socket.destroy(), firstByteMs) : undefined;
  const stop = () => {
    clearTimeout(cut);
    socket.off("readable", look);
    socket.off("close", stop);
  };
  const look = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk !== null) seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const known = Math.min(seen.length, PREFACE.length);
    const isPreface = seen.compare(PREFACE, 0, known, 0, known) === 0;
    if (isPreface && known < PREFACE.length && !socket.readableEnded && !socket.destroyed) return;
    stop();
    if (socket.destroyed) return;
    if (seen.length > 0) socket.unshift(seen);
    decide(isPreface && known === PREFACE.length);
  };
  socket.on("error", ignore);
  socket.on("close", stop);
  socket.on("readable", look);
}

function ignore(): void {}
