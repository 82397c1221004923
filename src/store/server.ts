import { createHash, randomUUID, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { StoreError, textOf } from "./duck.ts";
import { QueryError } from "./guard.ts";
import { HttpError } from "./http-body.ts";
import { answerQuery, type QueryRoom } from "./query-door.ts";
import { writeLines } from "./write-door.ts";
import type { StoreWriter } from "./writer.ts";

export interface StoreServerOptions {
  readonly host: string;
  readonly port: number;
  readonly writer: StoreWriter;
  readonly queries: QueryRoom;
  /** Largest body of a write, as sent and after decompression. */
  readonly maxRequestBytes: number;
  /** Asked for when not empty. */
  readonly token: string;
  readonly version: string;
  readonly log: (text: string) => void;
}

const MAX_CONNECTIONS = 512;
const KEEP_ALIVE_MS = 120_000;
const BUILD = "Weir";

/** The store's port: InfluxDB 3's write and query API over HTTP. */
export class StoreServer {
  readonly #options: StoreServerOptions;
  readonly #server: Server;
  readonly #clusterId = randomUUID();
  /** Nobody but this machine reaches the port. */
  #isLoopback = false;

  constructor(options: StoreServerOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => this.#fail(response, error));
    });
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.keepAliveTimeout = KEEP_ALIVE_MS;
    this.#server.on("clientError", (_error, socket) => {
      if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
      else socket.destroy();
    });
  }

  /** Listens; returns where. */
  start(): Promise<string> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", (error: NodeJS.ErrnoException) => {
        const inUse = error.code === "EADDRINUSE";
        const text = inUse
          ? `${host}:${port} is in use (an InfluxDB 3 or another weir store?): stop it, or choose another --endpoint`
          : `cannot listen on ${host}:${port}: ${error.message}`;
        reject(new StoreError(text));
      });
      this.#server.listen(port, host, () => {
        const { address, family, port: bound } = this.#server.address() as AddressInfo;
        this.#isLoopback = /^(?:127\.|::1$|::ffff:127\.)/.test(address);
        resolve(family === "IPv6" ? `[${address}]:${bound}` : `${address}:${bound}`);
      });
    });
  }

  /** Takes no more requests; resolves when those in flight are answered or `graceMs` is over. */
  async stop(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const late = setTimeout(() => this.#server.closeAllConnections(), graceMs);
    await closed;
    clearTimeout(late);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader("access-control-allow-origin", "*");
    response.setHeader("cluster-uuid", this.#clusterId);
    const url = new URL(request.url ?? "/", "http://store");
    const isRead = request.method === "GET" || request.method === "POST";
    if (request.method === "OPTIONS") return void response.writeHead(204).end();
    if (url.pathname === "/health" || url.pathname === "/api/v1/health")
      return void response.writeHead(200, { "content-type": "text/plain" }).end("OK");
    this.#authenticate(request);
    if (url.pathname === "/ping" && isRead) return this.#pong(response);
    const { writer, queries, maxRequestBytes } = this.#options;
    if (url.pathname === "/api/v3/write_lp" && request.method === "POST") {
      const answer = await writeLines(request, url.searchParams, writer, maxRequestBytes);
      return void response.writeHead(answer.status).end(answer.body);
    }
    if (url.pathname === "/api/v3/query_sql" && isRead)
      return await answerQuery(
        request,
        response,
        url.searchParams,
        queries,
        this.#mayDelete(request),
      );
    throw new HttpError(404, "Not found");
  }

  /**
   * Who may remove rows: with a token, whoever has it; without one, programs on this machine. A web page, which could reach
   * a port of this machine through its reader's browser, always names its origin with a POST.
   */
  #mayDelete(request: IncomingMessage): boolean {
    if (request.method !== "POST") return false;
    if (this.#options.token !== "") return true;
    // Through a proxy on this machine anybody may come.
    const isProxied = request.headers["x-forwarded-for"] !== undefined;
    return request.headers.origin === undefined && !isProxied && this.#isLoopback;
  }

  #pong(response: ServerResponse): void {
    const id = randomUUID();
    const { version } = this.#options;
    const body = {
      product_name: "Weir embedded store",
      version,
      revision: version,
      process_id: this.#clusterId,
    };
    response
      .writeHead(200, {
        "content-type": "application/json",
        "request-id": id,
        "x-request-id": id,
        "x-influxdb-build": BUILD,
        "x-influxdb-version": version,
      })
      .end(JSON.stringify(body));
  }

  #authenticate(request: IncomingMessage): void {
    const { token } = this.#options;
    if (token === "") return;
    const [scheme = "", given = ""] = (request.headers.authorization ?? "").split(" ", 2);
    let secret = /^(?:bearer|token)$/i.test(scheme) ? given : "";
    if (/^basic$/i.test(scheme))
      secret = Buffer.from(given, "base64")
        .toString()
        .replace(/^[^:]*:/, "");
    if (!timingSafeEqual(digest(secret), digest(token)))
      throw new HttpError(401, JSON.stringify({ error: "the request was not authenticated" }));
  }

  #fail(response: ServerResponse, error: unknown): void {
    const isKnown = error instanceof HttpError || error instanceof QueryError;
    if (response.headersSent) {
      // The answer cannot be taken back: a broken connection says that it is not whole.
      response.destroy();
      return;
    }
    const status = isKnown ? error.status : 500;
    const text = textOf(error);
    if (!isKnown) this.#options.log(`a request failed: ${text}`);
    const body =
      status === 404 && error instanceof QueryError ? JSON.stringify({ error: text }) : text;
    // What is left of a refused body is not read.
    if (status === 413 || status === 401) response.setHeader("connection", "close");
    if (status === 503) response.setHeader("retry-after", "1");
    response.writeHead(status).end(body);
  }
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
