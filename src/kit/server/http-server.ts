import type {
  IncomingHttpHeaders,
  IncomingMessage,
  OutgoingHttpHeaders,
  Server,
  ServerOptions,
  ServerResponse,
} from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { PipelineError, STATUS } from "../../otlp/status.ts";
import type { Denial, ServerAuth } from "../../pipeline/auth.ts";
import { defaultMaxConnections } from "../budget.ts";
import type { ServerTls } from "../tls/tls-server.ts";
import type { Body, Growing } from "./compression.ts";
import { ClientGone, readBody } from "./http-server-body.ts";
import { type Cors, CorsPolicy } from "./http-server-cors.ts";
import {
  type Http2Sessions,
  type OnHttp2Stream,
  preferHttp1,
  shareWithHttp2,
} from "./http-server-http2.ts";
import { answerBrokenRequest, lingerOnClose } from "./http-server-socket.ts";
import { isUpgrade, listenForUpgrades, SWITCHED, type Upgrades } from "./http-server-upgrade.ts";
import { createServer, nodeHttps } from "./node-http.ts";
import { addressOf, Connections, closeListener, listen } from "./server-listener.ts";

const HEADER_BYTES = 16 * 1024;
/** Unread bodies up to this length are read and thrown away, so the connection can go on. */
const DRAIN_BYTES = 64 * 1024;
/** Longest body of an answer that is remembered together with its head. */
const KEPT_BYTES = 1_024;
/** Longest stay of a connection on which nothing moves, whatever state it is in. */
const SILENCE_MS = 300_000;

/** What an HTTP server needs to know. */
export interface HttpServerOptions {
  /** "host:port"; port 0 lets the system choose. */
  readonly endpoint: string;
  /** Who listens, for error messages: "receiver otlp (HTTP)". */
  readonly what: string;
  /** Where the endpoint is configured, for error messages: "receivers.otlp.protocols.http.endpoint". */
  readonly option?: string;
  /** Called when the head of a request has arrived; the body waits until `readBody`. A throw becomes 500 (or the PipelineError's status). */
  readonly onRequest: (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;
  /** Failures that concern no single request, e.g. no file descriptors left for a new connection. */
  readonly onTrouble?: (error: Error) => void;
  /** Default: what fits the byte budget, at most 10,000. */
  readonly maxConnections?: number;
  /** Here and below, 0 = no limit. */
  readonly headersTimeoutMs?: number;
  /** From the first byte of a request to the last byte of its body. */
  readonly requestTimeoutMs?: number;
  /** From the head of a request to the last byte of its answer. Default: no limit. */
  readonly writeTimeoutMs?: number;
  /** How long an idle connection stays; long, because clients keep pools (DESIGN §7). */
  readonly keepAliveMs?: number;
  /** false: every answer closes its connection. */
  readonly isKeptAlive?: boolean;
  /** Longest head of a request. Default: 16 KiB. */
  readonly maxHeaderBytes?: number;
  /** Several processes on one port (Linux). */
  readonly reusePort?: boolean;
  /** HTTPS. */
  readonly tls?: ServerTls | undefined;
  /** Who may come in; asked before `onRequest`. */
  readonly auth?: ServerAuth | undefined;
  /** The 401 in the words of the receiver's protocol; WWW-Authenticate is added. Default: plain text. */
  readonly onDenied?: (request: HttpRequest, why: string) => HttpAnswer;
  /** Preflights are answered before `auth`: browsers send them without credentials. */
  readonly cors?: Cors | undefined;
  /** Takes the streams of clients that speak HTTP/2 on this port: gRPC, by prior knowledge or, with `tls`, by ALPN. Neither `auth` nor `cors` hold for them. */
  readonly onHttp2Stream?: OnHttp2Stream | undefined;
  /** Takes connections of clients that go on with WebSocket. Absent: their requests are like all others. */
  readonly upgrades?: Upgrades | undefined;
  /** On every answer; an answer's own headers win. */
  readonly responseHeaders?: Readonly<Record<string, string>>;
}

/** An answer. A string or bytes go out at once; an iterable is streamed at the client's pace. */
export interface HttpAnswer {
  readonly status: number;
  readonly contentType?: string;
  readonly body?: string | Uint8Array | AsyncIterable<string | Uint8Array>;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** Asked for when a streamed body is over. */
  readonly trailers?: () => Readonly<Record<string, string | undefined>>;
}

/** A listening HTTP/1.1 server. */
export interface HttpServer {
  start(): Promise<void>;
  /** Accepts nothing more, finishes what is in flight; when `deadline` aborts, cuts what is left. Safe without start, and twice. */
  stop(deadline: AbortSignal): Promise<void>;
  /** "127.0.0.1:4318", with the real port; undefined while not listening. */
  address(): string | undefined;
}

/** The head of a request, and its body on demand. */
export class HttpRequest {
  readonly method: string;
  /** As sent, not percent-decoded; "" when the target is not a path. */
  readonly path: string;
  /** Behind the "?", as sent. */
  readonly query: string;
  /** Content-Length; -1 when the body is chunked, 0 when there is none. */
  readonly declaredBytes: number;
  readonly #message: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #waitsForContinue: boolean;
  #isTaken = false;
  constructor(message: IncomingMessage, response: ServerResponse, waitsForContinue: boolean) {
    this.#message = message;
    this.#response = response;
    this.#waitsForContinue = waitsForContinue;
    this.method = message.method ?? "";
    const target = pathAndQuery(message.url ?? "");
    const mark = target.indexOf("?");
    this.path = mark < 0 ? target : target.slice(0, mark);
    this.query = mark < 0 ? "" : target.slice(mark + 1);
    const { "content-length": length, "transfer-encoding": transfer } = message.headers;
    this.declaredBytes = transfer !== undefined ? -1 : length === undefined ? 0 : Number(length);
  }
  get headers(): IncomingHttpHeaders {
    return this.#message.headers;
  }
  /** By lower-case name; of repeated ones what node:http makes of them. */
  header(name: string): string | undefined {
    const value = this.#message.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }
  get remoteAddress(): string {
    return this.#message.socket.remoteAddress ?? "";
  }
  /**
   * Reads the body, once. `lease` must cover `firstLeaseBytes` of it already; the rest is taken from `lease` while it arrives. Rejects with PipelineError (`too_large`, `refused`) or ClientGone; let both pass through.
   */
  readBody(limitBytes: number, lease?: Growing): Promise<Body> {
    if (this.#isTaken) return Promise.reject(new Error("the body has been read already"));
    this.#isTaken = true;
    if (this.#waitsForContinue && this.declaredBytes <= limitBytes) this.#response.writeContinue();
    return readBody(this.#message, this.declaredBytes, limitBytes, lease);
  }
  /** The body as it arrives, once, instead of `readBody`: at the pace of who reads it, without a limit. */
  bodyStream(): Readable {
    if (this.#isTaken) throw new Error("the body has been read already");
    this.#isTaken = true;
    if (this.#waitsForContinue) this.#response.writeContinue();
    return this.#message;
  }
  /** Whether the rest of the body is too long to be thrown away in passing, or may never come. */
  get hasLongRest(): boolean {
    if (this.#message.complete || this.declaredBytes === 0) return false;
    if (this.#waitsForContinue && !this.#isTaken) return true;
    return this.declaredBytes < 0 || this.declaredBytes > DRAIN_BYTES;
  }
}

/** A server that listens only after `start()`. */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  return new NodeHttpServer(options);
}

class NodeHttpServer implements HttpServer {
  readonly #options: HttpServerOptions;
  readonly #server: Server;
  readonly #connections: Connections;
  readonly #cors: CorsPolicy | undefined;
  readonly #http2: Http2Sessions | undefined;
  /** In lower case, as are the headers of answers that come from elsewhere: these win over ours of the same name. */
  readonly #responseHeaders: Readonly<Record<string, string>>;
  #isStopping = false;
  #lastHead: { readonly answer: HttpAnswer; readonly head: OutgoingHttpHeaders } | undefined;
  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#cors = options.cors && new CorsPolicy(options.cors);
    this.#responseHeaders = Object.fromEntries(
      Object.entries(options.responseHeaders ?? {}).map(([name, value]) => [
        name.toLowerCase(),
        value,
      ]),
    );
    const requestTimeout = options.requestTimeoutMs ?? 60_000;
    // Node throws at a head that may take longer than its request.
    const headersTimeout = Math.min(
      options.headersTimeoutMs ?? 10_000,
      requestTimeout || Number.POSITIVE_INFINITY,
    );
    const settings = {
      headersTimeout,
      requestTimeout,
      keepAliveTimeout: options.keepAliveMs ?? 120_000,
      connectionsCheckingInterval: Math.min(
        1_000,
        headersTimeout || 1_000,
        requestTimeout || 1_000,
      ),
      maxHeaderSize: options.maxHeaderBytes ?? HEADER_BYTES,
      noDelay: true,
    };
    this.#server = this.#create(settings);
    const { onHttp2Stream, tls } = options;
    if (onHttp2Stream !== undefined)
      this.#http2 = shareWithHttp2(this.#server, tls !== undefined, headersTimeout, onHttp2Stream);
    this.#connections = new Connections(this.#server);
    this.#server.timeout = SILENCE_MS;
    this.#server.maxConnections = options.maxConnections ?? defaultMaxConnections();
    // Who ends its side behind a whole request (nc, socat) still reads the answer. Node has no option for it, but this member.
    Object.assign(this.#server, { httpAllowHalfOpen: true });
    this.#server.on("clientError", answerBrokenRequest);
    this.#server.on("error", (error) => this.#options.onTrouble?.(error));
    this.#server.on("request", (message, response) => this.#take(message, response, false));
    this.#server.on("checkContinue", (message, response) => this.#take(message, response, true));
    const { upgrades } = options;
    if (upgrades !== undefined)
      listenForUpgrades(this.#server, upgrades, (message, response, take) =>
        this.#take(message, response, false, take),
      );
  }

  #create(settings: ServerOptions): Server {
    const { tls, upgrades } = this.#options;
    if (upgrades !== undefined)
      settings.shouldUpgradeCallback = (message) => isUpgrade(message, upgrades);
    if (tls === undefined) return createServer(settings);
    const alpn = this.#options.onHttp2Stream !== undefined && { ALPNCallback: preferHttp1 };
    const server = nodeHttps().createServer({ ...settings, ...tls.options(), ...alpn });
    tls.follow(server);
    return server;
  }

  async start(): Promise<void> {
    await listen(this.#server, this.#options);
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#isStopping = true;
    this.#options.tls?.stop();
    this.#http2?.close();
    await closeListener(this.#server, deadline, () => this.#connections.cut());
  }

  address(): string | undefined {
    return addressOf(this.#server);
  }

  #take(
    message: IncomingMessage,
    response: ServerResponse,
    waitsForContinue: boolean,
    upgrade?: HttpServerOptions["onRequest"],
  ): void {
    response.on("error", ignore);
    if (upgrade === undefined) this.#limitWriting(response);
    const request = new HttpRequest(message, response, waitsForContinue);
    try {
      const answer = this.#answer(request, upgrade ?? this.#options.onRequest);
      if (answer instanceof Promise)
        answer.then(
          (later) => this.#send(request, response, later),
          (reason: unknown) => this.#sendFailure(request, response, reason),
        );
      else this.#send(request, response, answer);
    } catch (reason) {
      this.#sendFailure(request, response, reason);
    }
  }

  #answer(
    request: HttpRequest,
    onRequest: HttpServerOptions["onRequest"],
  ): HttpAnswer | Promise<HttpAnswer> {
    const { auth } = this.#options;
    const preflight = this.#cors?.preflight(request);
    if (preflight !== undefined) return preflight;
    if (auth === undefined) return onRequest(request);
    const denial = auth.check((name) => request.header(name));
    const decide = (denied: Denial | undefined) =>
      denied === undefined ? onRequest(request) : this.#deny(request, denied);
    return denial instanceof Promise ? denial.then(decide) : decide(denial);
  }

  #deny(request: HttpRequest, { why, challenge }: Denial): HttpAnswer {
    const { onDenied } = this.#options;
    const answer = onDenied?.(request, why) ?? {
      status: STATUS.unauthorized.http,
      contentType: "text/plain; charset=utf-8",
      body: `${why}\n`,
    };
    return { ...answer, headers: { ...answer.headers, "WWW-Authenticate": challenge } };
  }

  #limitWriting(response: ServerResponse): void {
    const { writeTimeoutMs = 0 } = this.#options;
    if (writeTimeoutMs <= 0) return;
    const timer = setTimeout(() => response.req.socket.destroy(), writeTimeoutMs);
    response.on("close", () => clearTimeout(timer));
  }

  #send(request: HttpRequest, response: ServerResponse, answer: HttpAnswer): void {
    // Not the response's own socket: behind another answer of a pipeline it has none yet.
    const { socket } = response.req;
    if (response.headersSent || response.destroyed || socket.destroyed) return;
    if (answer === SWITCHED) return;
    const { body = "" } = answer;
    const { isKeptAlive = true } = this.#options;
    const head = this.#headOf(request, answer);
    const hasLongRest = request.hasLongRest;
    const isLast = hasLongRest || this.#isStopping || !isKeptAlive;
    if (hasLongRest) lingerOnClose(socket);
    try {
      response.writeHead(answer.status, isLast ? { ...head, connection: "close" } : head);
      if (!isWhole(body)) stream(body, response, answer.trailers);
      else if (body.length === 0) response.end();
      else response.end(body);
    } catch (error) {
      // An answer that cannot be written, e.g. a line break in a header: our mistake, and only this request's.
      this.#options.onTrouble?.(error instanceof Error ? error : new Error(String(error)));
      socket.destroy();
    }
  }

  /** The common answers are one object each: the head is made once for several in a row. Nobody may write to it. */
  #headOf(request: HttpRequest, answer: HttpAnswer): Readonly<OutgoingHttpHeaders> {
    if (this.#lastHead?.answer === answer) return this.#lastHead.head;
    const { body = "" } = answer;
    const head: OutgoingHttpHeaders = { ...this.#responseHeaders, ...answer.headers };
    if (this.#cors !== undefined && !("Vary" in head))
      Object.assign(head, this.#cors.headers(request));
    if (answer.contentType !== undefined) head["content-type"] = answer.contentType;
    if (isWhole(body) && answer.status !== 204)
      head["content-length"] = typeof body === "string" ? Buffer.byteLength(body) : body.length;
    const isSmall = isWhole(body) && body.length <= KEPT_BYTES;
    if (isSmall && this.#cors === undefined) this.#lastHead = { answer, head };
    return head;
  }

  #sendFailure(request: HttpRequest, response: ServerResponse, reason: unknown): void {
    if (reason instanceof ClientGone) return;
    const error = PipelineError.from(reason);
    if (error.kind === "internal") this.#options.onTrouble?.(error);
    this.#send(request, response, {
      status: STATUS[error.kind].http,
      contentType: "text/plain; charset=utf-8",
      body: `${error.kind === "internal" ? "internal error" : error.why}\n`,
      ...(error.retryAfterMs > 0 && {
        headers: { "Retry-After": String(Math.ceil(error.retryAfterMs / 1000)) },
      }),
    });
  }
}

function isWhole(body: NonNullable<HttpAnswer["body"]>): body is string | Uint8Array {
  return typeof body === "string" || body instanceof Uint8Array;
}

function stream(
  body: AsyncIterable<string | Uint8Array>,
  response: ServerResponse,
  trailers: HttpAnswer["trailers"],
): void {
  const whole = trailers === undefined ? body : withTrailers(body, response, trailers);
  // A failure in the middle has cut the connection: the client sees that the answer is not whole.
  pipeline(Readable.from(whole), response).catch(ignore);
}

async function* withTrailers(
  body: AsyncIterable<string | Uint8Array>,
  response: ServerResponse,
  trailers: NonNullable<HttpAnswer["trailers"]>,
): AsyncGenerator<string | Uint8Array> {
  yield* body;
  response.addTrailers(trailers());
}

function ignore(): void {}

/** Origin form as it is; absolute form without its origin (no URL parser, which throws on hostile targets); else "". */
function pathAndQuery(target: string): string {
  if (target.startsWith("/")) return target;
  const origin = /^https?:\/\/[^/?#]*/i.exec(target);
  if (origin === null) return "";
  const rest = target.slice(origin[0].length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}
