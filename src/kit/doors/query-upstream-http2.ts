import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { refuseCall } from "../server/grpc-refusals.ts";
import type { UpstreamTimes } from "./query-upstream.ts";
import { forwardedHeaders, isLoop, passedHeaders } from "./query-upstream-headers.ts";

const CONNECT_MS = 5_000;
const SILENCE_MS = 240_000;
/** gRPC's UNAVAILABLE. */
const UNAVAILABLE = 14;

/**
 * Hands calls over HTTP/2 to the database that answers them, with their trailers. Each connection of a client has one of its own there, so that a
 * client that does not read stops nobody else's flow.
 */
export class Http2QueryUpstream {
  readonly #url: URL;
  readonly #option: string;
  readonly #connectMs: number;
  readonly #silenceMs: number;
  readonly #sessions = new WeakMap<Http2Session, ClientHttp2Session>();

  /** `option`: where `url` is configured, for what people read. */
  constructor(url: string, option: string, times: UpstreamTimes = {}) {
    this.#url = new URL(url);
    this.#option = option;
    this.#connectMs = times.connectMs ?? CONNECT_MS;
    this.#silenceMs = times.silenceMs ?? SILENCE_MS;
  }

  /** Takes the stream over. */
  forward(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const { session } = stream;
    if (session === undefined) return;
    const address = session.socket.remoteAddress ?? "";
    if (isLoop(headers)) {
      this.#fail(stream, new Error("it leads back here"));
      return;
    }
    let upstream: ClientHttp2Stream;
    try {
      upstream = this.#sessionFor(session).request(
        {
          ...forwardedHeaders(headers, address),
          ":method": headers[":method"] ?? "POST",
          ":path": headers[":path"] ?? "/",
          ":scheme": "http",
          ":authority": this.#url.host,
          te: "trailers",
        },
        { endStream: stream.endAfterHeaders },
      );
    } catch (reason) {
      this.#fail(stream, reason);
      return;
    }
    upstream.setTimeout(this.#silenceMs, () => {
      this.#fail(stream, new Error("it took too long"));
      upstream.close(constants.NGHTTP2_CANCEL);
    });
    this.#join(stream, upstream);
  }

  #join(stream: ServerHttp2Stream, upstream: ClientHttp2Stream): void {
    let trailers: IncomingHttpHeaders = {};
    upstream.on("trailers", (given: IncomingHttpHeaders) => {
      trailers = given;
    });
    stream.on("wantTrailers", () => stream.sendTrailers(passedHeaders(trailers)));
    upstream.on("response", (head, flags) => {
      if (stream.destroyed || stream.closed || stream.headersSent) return;
      const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      const answer = { ":status": head[":status"] ?? 502, ...passedHeaders(head) };
      stream.respond(answer, endStream ? { endStream } : { waitForTrailers: true });
      if (!endStream) upstream.pipe(stream);
    });
    upstream.on("error", (error) => this.#fail(stream, error));
    upstream.on("close", () => {
      if (upstream.rstCode !== constants.NGHTTP2_NO_ERROR) this.#fail(stream, undefined);
    });
    stream.on("close", () => {
      if (!upstream.closed) upstream.close(constants.NGHTTP2_CANCEL);
    });
    if (!stream.endAfterHeaders) stream.pipe(upstream);
  }

  /** The database gave no answer, or stopped in the middle of one. */
  #fail(stream: ServerHttp2Stream, reason: unknown): void {
    if (stream.destroyed || stream.closed) return;
    if (stream.headersSent) {
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      return;
    }
    const why = reason instanceof Error ? `: ${reason.message}` : "";
    refuseCall(stream, {
      code: UNAVAILABLE,
      message: `the database at ${this.#url.host} (${this.#option}) does not answer${why}; is it running, and does it take gRPC?`,
    });
  }

  #sessionFor(client: Http2Session): ClientHttp2Session {
    const known = this.#sessions.get(client);
    if (known !== undefined && !known.closed && !known.destroyed) return known;
    const session = connect(this.#url);
    this.#sessions.set(client, session);
    const cut = setTimeout(
      () => session.destroy(new Error("no connection in time")),
      this.#connectMs,
    );
    const stop = () => clearTimeout(cut);
    session.on("connect", stop);
    session.on("error", ignore);
    session.on("frameError", ignore);
    const end = () => session.close();
    client.on("close", end);
    session.on("close", () => {
      stop();
      client.off("close", end);
    });
    return session;
  }
}

function ignore(): void {}
