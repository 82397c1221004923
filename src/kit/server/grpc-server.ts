import {
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import type { Socket } from "node:net";
import type { Denial, ServerAuth } from "../../pipeline/auth.ts";
import { defaultMaxConnections } from "../budget.ts";
import {
  type EnforcedPings,
  guardPings,
  type KeepalivePings,
  sendPings,
} from "../client/grpc-pings.ts";
import type { ServerTls } from "../tls/tls-server.ts";
import { type CallHost, UnaryCall, type UnaryMethod } from "./grpc-call.ts";
import { answerStranger, grpcHttpStatus, refuseCall, single } from "./grpc-refusals.ts";
import { GrpcCode } from "./grpc-status.ts";
import { http2Limits } from "./http2-limits.ts";
import { addressOf, Connections, closeListener, listen } from "./server-listener.ts";

/** Of a connection. Nothing is ever paused, so this only saves round trips. */
const SESSION_WINDOW_BYTES = 1024 * 1024;
const AGE_GRACE_MS = 60_000;
const SWEEP_MS = 1_000;
const STRANGER_TEXT = "this port takes gRPC: POST with content-type application/grpc\n";

/** What a gRPC server needs to know. */
export interface GrpcServerOptions {
  /** "host:port"; port 0 lets the system choose. */
  readonly endpoint: string;
  /** Who listens, for error messages: "receiver otlp (gRPC)". */
  readonly what: string;
  /** Where the endpoint is configured, for error messages: "receivers.otlp.protocols.http.endpoint". */
  readonly option?: string;
  /** By path: "/package.Service/Method". */
  readonly methods: ReadonlyMap<string, UnaryMethod>;
  /** Of a message, before and after decompression. */
  readonly maxRecvMsgSizeBytes: number;
  /** Per connection. Default 100. */
  readonly maxConcurrentStreams?: number;
  /** Default: what fits the byte budget, at most 10,000. */
  readonly maxConnections?: number;
  /** From the head of a call to the end of its message. Default 60 s. */
  readonly requestTimeoutMs?: number;
  /** A connection without calls is closed after this. Default 5 min; here and in the next two, 0 = no limit. */
  readonly maxIdleMs?: number;
  /** A connection is asked to move (GOAWAY) after this, ± 10 %. Default 30 min. */
  readonly maxAgeMs?: number;
  /** After that GOAWAY, calls in flight have this long. Default 60 s. */
  readonly ageGraceMs?: number;
  /** Default: the server sends no pings. */
  readonly pings?: KeepalivePings | undefined;
  /** Default: clients may ping as they like. */
  readonly enforcedPings?: EnforcedPings | undefined;
  /** TLS, with h2 by ALPN. */
  readonly tls?: ServerTls | undefined;
  /** Who may call; asked when the head of a call has arrived. */
  readonly auth?: ServerAuth | undefined;
  /** Failures that concern no single call, and methods that threw something unforeseen. */
  readonly onTrouble?: (error: Error) => void;
  /** Several processes on one port (Linux). */
  readonly reusePort?: boolean;
}

/** A listening gRPC server: unary calls over HTTP/2. */
export interface GrpcServer {
  start(): Promise<void>;
  /** Accepts nothing more, sends GOAWAY, finishes what is in flight; when `deadline` aborts, cuts what is left. Safe without start, and twice. */
  stop(deadline: AbortSignal): Promise<void>;
  /** "127.0.0.1:4317", with the real port; undefined while not listening. */
  address(): string | undefined;
}

/** A server that listens only after `start()`. */
export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  return new Http2GrpcServer(options);
}

class Http2GrpcServer implements GrpcServer, CallHost {
  readonly maxMessageBytes: number;
  readonly #options: GrpcServerOptions;
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #connections: Connections;
  /** Calls whose message is not complete, oldest first. */
  readonly #incomplete = new Set<UnaryCall>();
  readonly #requestTimeoutMs: number;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.maxMessageBytes = options.maxRecvMsgSizeBytes;
    this.#requestTimeoutMs = options.requestTimeoutMs ?? 60_000;
    this.#server = this.#create(http2Limits(options.maxConcurrentStreams));
    this.#server.maxConnections = options.maxConnections ?? defaultMaxConnections();
    this.#connections = new Connections(this.#server);
    this.#server.on("tlsClientError", (_error: Error, socket: Socket) => socket.destroy());
    this.#server.on("sessionError", ignore);
    this.#server.on("error", (error) => this.trouble(error));
    this.#server.on("session", (session) => this.#welcome(session));
    this.#server.on("stream", (stream, headers) => this.#open(stream, headers));
  }

  /** Of the secure server only what both have is used. */
  #create(settings: ServerOptions): Http2Server {
    const { tls } = this.#options;
    if (tls === undefined) return createServer(settings);
    const server = createSecureServer({ ...settings, ...tls.options() });
    tls.follow(server);
    return server;
  }

  async start(): Promise<void> {
    await listen(this.#server, this.#options);
    const everyMs = Math.min(SWEEP_MS, this.#requestTimeoutMs);
    this.#sweeper = setInterval(() => this.#sweep(), everyMs);
    this.#sweeper.unref();
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#options.tls?.stop();
    const closed = closeListener(this.#server, deadline, () => {
      for (const session of this.#sessions) session.destroy();
      this.#connections.cut();
    });
    for (const session of this.#sessions) session.close();
    await closed;
    clearInterval(this.#sweeper);
  }

  address(): string | undefined {
    return addressOf(this.#server);
  }

  received(call: UnaryCall): void {
    this.#incomplete.delete(call);
  }

  trouble(error: Error): void {
    this.#options.onTrouble?.(error);
  }

  #welcome(session: ServerHttp2Session): void {
    session.on("error", ignore);
    session.on("frameError", ignore);
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    this.#sessions.add(session);
    session.setTimeout(this.#options.maxIdleMs ?? 300_000, () => session.close());
    const timer = this.#retire(session);
    const { pings, enforcedPings } = this.#options;
    const stopPings = pings && sendPings(session, pings);
    if (enforcedPings !== undefined) guardPings(session, enforcedPings);
    session.on("close", () => {
      clearTimeout(timer);
      stopPings?.();
      this.#sessions.delete(session);
    });
  }

  /** After its age, GOAWAY; after the grace, the end of calls in flight. */
  #retire(session: ServerHttp2Session): NodeJS.Timeout | undefined {
    const { maxAgeMs = 1_800_000, ageGraceMs = AGE_GRACE_MS } = this.#options;
    if (maxAgeMs === 0) return undefined;
    const timer = setTimeout(
      () => {
        session.close();
        if (ageGraceMs === 0 || session.destroyed) return;
        const cut = setTimeout(() => session.destroy(), ageGraceMs);
        cut.unref();
        session.on("close", () => clearTimeout(cut));
      },
      maxAgeMs * (0.9 + Math.random() * 0.2),
    );
    timer.unref();
    return timer;
  }

  #open(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on("error", ignore);
    if (stream.destroyed) return;
    const status = grpcHttpStatus(headers);
    if (status !== 200) {
      answerStranger(stream, status, STRANGER_TEXT, this.#requestTimeoutMs);
      return;
    }
    const denial = this.#options.auth?.check((name) => single(headers[name]));
    if (denial instanceof Promise)
      denial
        .then((denied) => this.#route(stream, headers, denied))
        .catch((reason: unknown) => {
          this.trouble(reason instanceof Error ? reason : new Error(String(reason)));
          stream.close();
        });
    else this.#route(stream, headers, denial);
  }

  #route(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    denial: Denial | undefined,
  ): void {
    if (stream.destroyed) return;
    const path = headers[":path"] ?? "";
    const method = this.#options.methods.get(path);
    if (denial !== undefined) {
      const failure = { code: GrpcCode.unauthenticated, message: denial.why };
      method?.onUnhandled?.(failure);
      refuseCall(stream, failure);
      return;
    }
    if (method === undefined) {
      const message = `no method ${path.slice(0, 200)} here`;
      refuseCall(stream, { code: GrpcCode.unimplemented, message });
      return;
    }
    const call = new UnaryCall(stream, headers, method, this);
    if (!stream.closed) this.#incomplete.add(call);
  }

  #sweep(): void {
    const since = performance.now() - this.#requestTimeoutMs;
    for (const call of this.#incomplete) {
      if (call.startedMs > since) return;
      call.giveUp(this.#requestTimeoutMs);
    }
  }
}

function ignore(): void {}
