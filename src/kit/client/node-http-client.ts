import type * as http from "node:http";
import { errorText } from "../error-text.ts";
import { Agent, request as httpRequest, nodeHttps } from "../server/node-http.ts";
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

/**
 * The client of the Lambda extension, over Node's own module, which its server needs anyway: undici would be half a megabyte of code to
 * read at each cold start. Takes neither certificates of its own nor a proxy.
 */
export class NodeHttpClient implements HttpPoster {
  readonly #options: HttpClientOptions;
  readonly #origin: URL;
  readonly #agent: http.Agent;

  constructor(options: HttpClientOptions) {
    if (options.tls !== undefined || (options.proxy ?? "") !== "")
      throw new Error("this client knows neither tls options nor a proxy: use HttpClient");
    this.#options = options;
    this.#origin = new URL(options.origin);
    const AgentOf = this.#isSecure ? nodeHttps().Agent : Agent;
    this.#agent = new AgentOf({
      keepAlive: true,
      maxSockets: Math.max(1, options.connections),
      timeout: KEEP_ALIVE_MS,
    });
  }

  get #isSecure(): boolean {
    return this.#origin.protocol === "https:";
  }

  post(path: string, headers: string[], body: Uint8Array, stop: AbortSignal): Promise<HttpAnswer> {
    if (stop.aborted) return Promise.resolve({ error: errorText(stop.reason) });
    const { auth, connectTimeoutMs = CONNECT_TIMEOUT_MS } = this.#options;
    const request = this.#request(path);
    const answer = exchange(request, stop);
    limitConnecting(request, connectTimeoutMs, this.#isSecure ? "secureConnect" : "connect");
    try {
      const all = withAuth(headers, auth);
      for (let i = 0; i + 1 < all.length; i += 2)
        request.appendHeader(all[i] ?? "", all[i + 1] ?? "");
      request.setHeader("content-length", body.length);
      request.end(body);
    } catch (reason) {
      request.destroy(reason instanceof Error ? reason : new Error(String(reason)));
    }
    return answer;
  }

  async close(): Promise<void> {
    this.#agent.destroy();
  }

  #request(path: string): http.ClientRequest {
    const { protocol, hostname, port } = this.#origin;
    return httpRequest({
      agent: this.#agent,
      protocol,
      host: hostname.replace(/^\[|\]$/g, ""),
      ...(port !== "" && { port: Number(port) }),
      path,
      method: "POST",
      maxHeaderSize: HEADER_BYTES,
    });
  }
}

/** Settles when the request is over, and with it the last reader of its body. */
function exchange(request: http.ClientRequest, stop: AbortSignal): Promise<HttpAnswer> {
  const { promise, resolve } = Promise.withResolvers<HttpAnswer>();
  const parts = new AnswerParts();
  let known: HttpAnswer | undefined;
  const failed = (reason: unknown) => {
    known ??= { error: errorText(stop.aborted ? stop.reason : reason) };
  };
  const cut = (reason: unknown) => {
    failed(reason);
    request.destroy();
    // It waits for a connection: nobody has seen the body yet, and nobody will.
    if (request.socket === null) resolve(known ?? { error: errorText(reason) });
  };
  const onStop = () => cut(stop.reason);
  stop.addEventListener("abort", onStop);
  request.on("response", (response) => {
    parts.head(response.statusCode ?? 0, response.headers);
    response.on("data", (chunk: Buffer) => {
      if (parts.data(chunk)) return;
      known ??= parts.answer();
      request.destroy();
    });
    response.on("error", failed);
    response.on("end", () => {
      known ??= parts.answer();
      // An answer that came before the whole request was read: the rest of the body must not go out from memory that is reused.
      if ((request.socket?.writableLength ?? 0) > 0) request.destroy();
    });
  });
  request.on("error", failed);
  request.on("close", () => {
    stop.removeEventListener("abort", onStop);
    resolve(known ?? { error: "the connection was closed without an answer" });
  });
  return promise;
}

function limitConnecting(
  request: http.ClientRequest,
  timeoutMs: number,
  connected: "connect" | "secureConnect",
): void {
  request.on("socket", (socket) => {
    if (!socket.connecting) return;
    const timer = setTimeout(
      () => request.destroy(new Error(`no connection within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const isOver = () => clearTimeout(timer);
    socket.once(connected, isOver);
    request.once("close", isOver);
  });
}
