import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import { pipeline } from "node:stream/promises";
import type { HttpAnswer, HttpRequest } from "../server/http-server.ts";
import { ClientGone } from "../server/http-server-body.ts";
import { SWITCHED } from "../server/http-server-upgrade.ts";
import { Agent, request as httpRequest } from "../server/node-http.ts";
import { forwardedHeaders, isLoop, passedHeaders } from "./query-upstream-headers.ts";
import { join, switched, Tunnels } from "./query-upstream-tunnel.ts";

const CONNECT_MS = 5_000;
/** Without a byte for this long, a query is given up: below the silence after which our server cuts its client. */
const SILENCE_MS = 240_000;
/** Idle connections are closed before most servers do it (5 s and more): a request on a connection that is just being closed is lost. */
const IDLE_MS = 4_000;
/** Most connections that are tunnels at once. */
export const TUNNELS_MAX: number = 64;

/** The database behind `query_upstream` gave no answer. */
export class UpstreamDown extends Error {
  /** 502, or 504 when it took too long; 503 when it was not asked, because too many others do. */
  readonly status: 502 | 503 | 504;
  constructor(status: 502 | 503 | 504, why: string) {
    super(why);
    this.name = "UpstreamDown";
    this.status = status;
  }
}

/** How long the database may take. */
export interface UpstreamTimes {
  readonly connectMs?: number;
  readonly silenceMs?: number;
}

/** Hands requests to the database that answers them, over HTTP/1.1: streamed both ways, at the pace of the slower side. */
export class QueryUpstream {
  readonly #url: URL;
  readonly #option: string;
  readonly #connectMs: number;
  readonly #silenceMs: number;
  readonly #tunnels = new Tunnels(TUNNELS_MAX);
  readonly #agent = new Agent({ keepAlive: true, timeout: IDLE_MS });

  /** `option`: where `url` is configured, for what people read. */
  constructor(url: string, option: string, times: UpstreamTimes = {}) {
    this.#url = new URL(url);
    this.#option = option;
    this.#connectMs = times.connectMs ?? CONNECT_MS;
    this.#silenceMs = times.silenceMs ?? SILENCE_MS;
  }

  /** `body`: of the request, where it has been read already. Rejects with UpstreamDown or ClientGone. */
  async forward(request: HttpRequest, body?: Uint8Array): Promise<HttpAnswer> {
    if (isLoop(request.headers)) throw this.#down("it leads back here");
    const upstream = this.#open(request);
    const head = this.#head(upstream);
    try {
      await Promise.race([head, upload(request, upstream, body)]);
      return answerOf(await head);
    } catch (reason) {
      upstream.destroy();
      head.catch(ignore);
      if (reason instanceof ClientGone) throw reason;
      throw reason instanceof UpstreamDown ? reason : this.#down(reason);
    }
  }

  /** Tunnels that are open. */
  get tunnels(): number {
    return this.#tunnels.count;
  }

  /** The same for a client that goes on with WebSocket: joins the two connections, where the database agrees. */
  async tunnel(request: HttpRequest, client: Socket, head: Uint8Array): Promise<HttpAnswer> {
    if (isLoop(request.headers)) throw this.#down("it leads back here");
    if (this.#tunnels.isFull)
      throw new UpstreamDown(503, `${TUNNELS_MAX} connections are handed on: close one of them`);
    this.#tunnels.hold(client);
    const { upgrade } = request.headers;
    const upstream = this.#open(request, { connection: "Upgrade", upgrade });
    const leave = () => upstream.destroy();
    client.once("close", leave);
    try {
      upstream.end();
      const answer = await switched(upstream);
      if (answer.socket === undefined) return answerOf(answer.message);
      join(client, head, answer);
      return SWITCHED;
    } catch (reason) {
      if (client.destroyed) throw new ClientGone();
      throw reason instanceof UpstreamDown ? reason : this.#down(reason);
    } finally {
      client.off("close", leave);
    }
  }

  /** Closes tunnels. Call it before the connections of clients are waited for. */
  closeTunnels(): void {
    this.#tunnels.stop();
  }

  stop(): void {
    this.#agent.destroy();
  }

  #open(request: HttpRequest, besides: OutgoingHttpHeaders = {}): ClientRequest {
    const { hostname, port, host } = this.#url;
    const upstream = httpRequest({
      agent: this.#agent,
      host: hostname.replace(/^\[|\]$/g, ""),
      port: port === "" ? 80 : Number(port),
      method: request.method,
      path: request.query === "" ? request.path : `${request.path}?${request.query}`,
      headers: { ...forwardedHeaders(request.headers, request.remoteAddress), ...besides, host },
      timeout: this.#silenceMs,
      setHost: false,
    });
    upstream.on("error", ignore);
    upstream.on("timeout", () => upstream.destroy(this.#late()));
    upstream.on("socket", (socket) => {
      if (!socket.connecting) return;
      const cut = setTimeout(() => upstream.destroy(this.#late()), this.#connectMs);
      const stop = () => clearTimeout(cut);
      socket.once("connect", stop);
      socket.once("close", stop);
    });
    return upstream;
  }

  #head(upstream: ClientRequest): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      upstream.on("response", resolve);
      upstream.on("error", reject);
      upstream.on("close", () => reject(new Error("the connection was closed without an answer")));
    });
  }

  #late(): UpstreamDown {
    return new UpstreamDown(
      504,
      `the database at ${this.#url.host} (${this.#option}) took too long to answer`,
    );
  }

  #down(reason: unknown): UpstreamDown {
    const why = reason instanceof Error ? reason.message : String(reason);
    return new UpstreamDown(
      502,
      `the database at ${this.#url.host} (${this.#option}) does not answer: ${why}; is it running?`,
    );
  }
}

/** Settles only when it fails: an answer may come before the whole request is sent. */
async function upload(
  request: HttpRequest,
  upstream: ClientRequest,
  body: Uint8Array | undefined,
): Promise<never> {
  if (body !== undefined || request.declaredBytes === 0) {
    upstream.end(body);
    return new Promise<never>(ignore);
  }
  const source = request.bodyStream();
  try {
    await pipeline(source, upstream);
  } catch {
    // Where the database is at fault, the promise of its head says so in better words.
    if (source.errored !== null || source.readableAborted) throw new ClientGone();
  }
  return new Promise<never>(ignore);
}

function answerOf(message: IncomingMessage): HttpAnswer {
  const { statusCode: status = 502, headers } = message;
  return {
    status,
    headers: passedHeaders(headers),
    body: message as AsyncIterable<Uint8Array>,
    ...(headers.trailer !== undefined && { trailers: () => message.trailers }),
  };
}

function ignore(): void {}
