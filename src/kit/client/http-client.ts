import { createRequire } from "node:module";
import type { Socket } from "node:net";
import type * as undici from "undici";
import { asError, errorText } from "../error-text.ts";
import type { ClientTlsOptions } from "../tls/tls-options.ts";
import {
  AnswerParts,
  CONNECT_TIMEOUT_MS,
  HEADER_BYTES,
  type HttpAnswer,
  type HttpClientOptions,
  type HttpPoster,
  KEEP_ALIVE_MS,
  withAuth,
} from "./http-answer.ts";
import { type Proxied, throughProxy } from "./http-proxy.ts";

/** Only the two parts that are used: the whole package (fetch, caches, mocks) would hold 14 MB more. Its version is pinned. */
const part = createRequire(import.meta.url);
const Client = part("undici/lib/dispatcher/client.js") as typeof undici.Client;
const buildConnector = part("undici/lib/core/connect.js") as typeof undici.buildConnector;

const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// RFC 9110 §5.5.
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Headers that the client writes itself, or that belong to the connection. */
const MANAGED = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Undefined when the header can be sent; else what is wrong with it, without its value (it may be a secret). */
export function headerProblem(name: string, value: string): string | undefined {
  if (!NAME.test(name)) return `${JSON.stringify(name)} is not a header name`;
  if (MANAGED.has(name.toLowerCase())) return `header ${name} is written by the client itself`;
  if (!VALUE.test(value))
    return `the value of header ${name} holds a line break or a character that HTTP does not allow`;
  return undefined;
}

/** The service's client: undici's, with certificates that may change and proxies. */
export class HttpClient implements HttpPoster {
  readonly #lines: Line[];
  readonly #free: Line[];
  readonly #options: HttpClientOptions;
  #turn = 0;

  constructor(options: HttpClientOptions) {
    this.#options = options;
    this.#lines = Array.from({ length: Math.max(1, options.connections) }, () => new Line(options));
    this.#free = [...this.#lines];
  }

  async post(
    path: string,
    headers: string[],
    body: Uint8Array,
    stop: AbortSignal,
  ): Promise<HttpAnswer> {
    const free = this.#free.pop();
    const line = free ?? this.#lines[this.#turn++ % this.#lines.length];
    if (line === undefined) return { error: "the client has no connections" };
    try {
      return await line.post(path, withAuth(headers, this.#options.auth), body, stop);
    } finally {
      if (free !== undefined) this.#free.push(free);
    }
  }

  async close(): Promise<void> {
    this.#options.tls?.stop();
    await Promise.all(this.#lines.map((line) => line.close()));
  }
}

/** One connection, opened on demand and again after a failure. */
class Line {
  readonly #client: undici.Client;
  readonly #proxied: Proxied | undefined;
  #socket: Socket | undefined;

  constructor({
    origin,
    connectTimeoutMs = CONNECT_TIMEOUT_MS,
    tls,
    proxy = "",
  }: HttpClientOptions) {
    const connectorOf = (tlsOptions: ClientTlsOptions | undefined) =>
      buildConnector({ ...tlsOptions, timeout: connectTimeoutMs, allowH2: false });
    let used = tls?.options;
    let connector = connectorOf(used);
    const direct: undici.buildConnector.connector = (options, callback) => {
      if (used !== tls?.options) {
        used = tls?.options;
        connector = connectorOf(used);
      }
      connector(options, callback);
    };
    if (proxy !== "")
      this.#proxied = throughProxy(
        new URL(proxy),
        new URL(origin),
        direct,
        connectorOf(undefined),
        connectTimeoutMs,
      );
    const connect = this.#proxied?.connect ?? direct;
    this.#client = new Client(new URL(origin).origin, {
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: HEADER_BYTES,
      connect: (options, callback) =>
        connect(options, (...[error, socket]) => {
          if (error !== null) return callback(error, null);
          this.#socket = socket;
          callback(null, socket);
        }),
    });
  }

  post(path: string, headers: string[], body: Uint8Array, stop: AbortSignal): Promise<HttpAnswer> {
    if (stop.aborted) return Promise.resolve({ error: errorText(stop.reason) });
    const exchange = new Exchange(stop);
    const { pathPrefix = "", headers: own = [] } = this.#proxied ?? {};
    try {
      this.#client.dispatch(
        { path: pathPrefix + path, method: "POST", headers: [...headers, ...own], body },
        exchange,
      );
    } catch (reason) {
      exchange.onResponseError(undefined, reason);
    }
    return exchange.answer.then((answer) => {
      // An answer that came before the whole request was read: the rest of the body must not go out from memory that is reused.
      const socket = this.#socket;
      if (socket !== undefined && socket.writableLength > 0) socket.destroy();
      return answer;
    });
  }

  async close(): Promise<void> {
    await this.#client.destroy();
  }
}

/** Collects one response. */
class Exchange implements undici.Dispatcher.DispatchHandler {
  readonly answer: Promise<HttpAnswer>;
  readonly #resolve: (answer: HttpAnswer) => void;
  readonly #stop: AbortSignal;
  readonly #onStop = () => {
    // Without a controller nothing was written yet (still connecting): the request is aborted when its turn comes.
    if (this.#controller === undefined) this.onResponseError(undefined, this.#stop.reason);
    else this.#controller.abort(asError(this.#stop.reason));
  };
  #controller: undici.Dispatcher.DispatchController | undefined;
  readonly #parts = new AnswerParts();

  constructor(stop: AbortSignal) {
    const { promise, resolve } = Promise.withResolvers<HttpAnswer>();
    this.answer = promise;
    this.#resolve = resolve;
    this.#stop = stop;
    stop.addEventListener("abort", this.#onStop);
  }

  onRequestStart(controller: undici.Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#stop.aborted) controller.abort(asError(this.#stop.reason));
  }

  onResponseStart(
    _controller: undici.Dispatcher.DispatchController,
    status: number,
    headers: NodeJS.Dict<string | string[]>,
  ): void {
    this.#parts.head(status, headers);
  }

  onResponseData(controller: undici.Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#parts.data(chunk)) return;
    this.#finish();
    controller.abort(new Error("the response is over 4 MiB"));
  }

  onResponseEnd(): void {
    this.#finish();
  }

  onResponseError(_controller: unknown, reason: unknown): void {
    this.#settle({ error: errorText(this.#stop.aborted ? this.#stop.reason : reason) });
  }

  #finish(): void {
    this.#settle(this.#parts.answer());
  }

  #settle(answer: HttpAnswer): void {
    this.#stop.removeEventListener("abort", this.#onStop);
    this.#resolve(answer);
  }
}
