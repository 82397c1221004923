import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { defaultMaxConnections } from "./budget.ts";
import { type CallHost, UnaryCall, type UnaryMethod } from "./grpc-call.ts";
import { GrpcCode, trailersOf } from "./grpc-status.ts";
import { addressOf, closeListener, listen } from "./server-listener.ts";

/** A paused stream buffers one full window, so windows stay small. */
const WINDOW_BYTES = 64 * 1024;
/** Of a connection. Nothing is ever paused, so this only saves round trips. */
const SESSION_WINDOW_BYTES = 1024 * 1024;
const HEADER_LIST_BYTES = 16 * 1024;
const HEADER_PAIRS = 100;
/** MB that one connection's HTTP/2 machinery may hold. */
const SESSION_MEMORY_MB = 16;
const INVALID_FRAMES = 10;
/** After GOAWAY for age, calls in flight have this long. */
const AGE_GRACE_MS = 60_000;
const SWEEP_MS = 1_000;

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
  /** A connection without calls is closed after this. Default 5 min. */
  readonly maxIdleMs?: number;
  /** A connection is asked to move (GOAWAY) after this, ± 10 %. Default 30 min. */
  readonly maxAgeMs?: number;
  /** Failures that concern no single call, and methods that threw something unforeseen. */
  readonly onTrouble?: (error: Error) => void;
  /** Several processes on one port (Linux). */
  readonly reusePort?: boolean;
}

/** A listening gRPC server: unary calls over HTTP/2 without TLS. */
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
  /** Calls whose message is not complete, oldest first. */
  readonly #incomplete = new Set<UnaryCall>();
  readonly #requestTimeoutMs: number;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.maxMessageBytes = options.maxRecvMsgSizeBytes;
    this.#requestTimeoutMs = options.requestTimeoutMs ?? 60_000;
    this.#server = createServer({
      maxSessionMemory: SESSION_MEMORY_MB,
      maxHeaderListPairs: HEADER_PAIRS,
      maxSessionInvalidFrames: INVALID_FRAMES,
      settings: {
        initialWindowSize: WINDOW_BYTES,
        maxConcurrentStreams: options.maxConcurrentStreams ?? 100,
        maxHeaderListSize: HEADER_LIST_BYTES,
        enablePush: false,
      },
    });
    this.#server.maxConnections = options.maxConnections ?? defaultMaxConnections();
    this.#server.on("connection", (socket) => socket.on("error", ignore));
    this.#server.on("sessionError", ignore);
    this.#server.on("error", (error) => this.trouble(error));
    this.#server.on("session", (session) => this.#welcome(session));
    this.#server.on("stream", (stream, headers) => this.#open(stream, headers));
  }

  async start(): Promise<void> {
    await listen(this.#server, this.#options);
    const everyMs = Math.min(SWEEP_MS, this.#requestTimeoutMs);
    this.#sweeper = setInterval(() => this.#sweep(), everyMs);
    this.#sweeper.unref();
  }

  async stop(deadline: AbortSignal): Promise<void> {
    const closed = closeListener(this.#server, deadline, () => {
      for (const session of this.#sessions) session.destroy();
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
    const ageMs = (this.#options.maxAgeMs ?? 1_800_000) * (0.9 + Math.random() * 0.2);
    let timer = setTimeout(() => {
      session.close();
      timer = setTimeout(() => session.destroy(), AGE_GRACE_MS);
      timer.unref();
    }, ageMs);
    timer.unref();
    session.on("close", () => {
      clearTimeout(timer);
      this.#sessions.delete(session);
    });
  }

  #open(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on("error", ignore);
    if (stream.destroyed) return;
    const status = httpStatusOf(headers);
    if (status !== 200) {
      reply(stream, { ":status": status });
      return;
    }
    const path = headers[":path"] ?? "";
    const method = this.#options.methods.get(path);
    if (method === undefined) {
      const message = `no method ${path.slice(0, 200)} here`;
      const trailers = trailersOf({ code: GrpcCode.unimplemented, message });
      reply(stream, { ":status": 200, "content-type": "application/grpc", ...trailers });
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

/** What is not gRPC is answered in HTTP's own terms ("Errors", gRPC over HTTP/2). */
function httpStatusOf(headers: IncomingHttpHeaders): number {
  if (headers[":method"] !== "POST") return 405;
  return /^application\/grpc(?:$|[+;])/i.test(headers["content-type"] ?? "") ? 200 : 415;
}

/** A head that is the whole answer; the rest of the request is not wanted. */
function reply(stream: ServerHttp2Stream, head: Record<string, string | number>): void {
  stream.respond(head, { endStream: true });
  stream.resume();
  if (!stream.readableEnded) stream.close();
}

function ignore(): void {}
