import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from "node:http2";
import type { Socket } from "node:net";
import { sleep } from "../../lib/sleep.ts";
import type { ClientAuth } from "../../pipeline/auth.ts";
import { errorText } from "../error-text.ts";
import { type DialOptions, dial } from "./grpc-dial.ts";
import { type GrpcAnswer, GrpcExchange } from "./grpc-exchange.ts";
import { type KeepalivePings, sendPings } from "./grpc-pings.ts";
import { authorityOf } from "./grpc-target.ts";

export interface GrpcClientOptions extends DialOptions {
  /** Connections at most: the route's lanes. */
  readonly connections: number;
  readonly auth: ClientAuth | undefined;
  /** `:authority`; default: the endpoint's. */
  readonly authority: string | undefined;
  readonly keepalive: (KeepalivePings & { readonly withoutCalls: boolean }) | undefined;
  /** A call waits until there is a connection, as long as its time allows. */
  readonly waitForReady: boolean;
  /** Largest message. */
  readonly maxMessageBytes: number;
}

/** One unary call. */
export interface GrpcCall {
  readonly path: string;
  readonly message: Uint8Array;
  /** Coding of the message; undefined: none. */
  readonly encoding: string | undefined;
  /** Metadata; names in lower case. */
  readonly headers: OutgoingHttpHeaders;
}

/** Pause between attempts of a call that waits for a connection. */
const DIAL_AGAIN_MS = 500;
const MIB = 1 << 20;
/** Of a session, beside the message that is sent. */
const SESSION_MB = 10;

/**
 * Unary gRPC calls to one target over at most `connections` kept HTTP/2 connections, one call at a time on each: what happens to one
 * call costs no other. Turns every failure into a value, and tries nothing again by itself.
 */
export class GrpcClient {
  readonly #lines: Line[];
  readonly #free: Line[];
  readonly #options: GrpcClientOptions;
  #turn = 0;

  constructor(options: GrpcClientOptions) {
    this.#options = options;
    const nextTurn = () => this.#turn++;
    this.#lines = Array.from(
      { length: Math.max(1, options.connections) },
      () => new Line(options, nextTurn),
    );
    this.#free = [...this.#lines];
  }

  /** Settles only when the message is no longer read by anyone. */
  async call(call: GrpcCall, stop: AbortSignal): Promise<GrpcAnswer> {
    const line = this.#free.pop();
    if (line === undefined) return { error: "more calls at once than the client has connections" };
    try {
      return await line.call(call, stop);
    } finally {
      this.#free.push(line);
    }
  }

  /** Cuts all connections; calls in flight answer with an error. */
  close(): void {
    this.#options.tls?.stop();
    for (const line of this.#lines) line.close();
  }
}

/** One connection, opened on demand and again after a failure. */
class Line {
  readonly #options: GrpcClientOptions;
  readonly #nextTurn: () => number;
  readonly #closed = new AbortController();
  readonly #authority: string;
  readonly #scheme: string;
  #session: ClientHttp2Session | undefined;

  constructor(options: GrpcClientOptions, nextTurn: () => number) {
    this.#options = options;
    this.#nextTurn = nextTurn;
    this.#authority = options.authority ?? authorityOf(options.target);
    this.#scheme = options.target.isTls ? "https" : "http";
  }

  async call(call: GrpcCall, stop: AbortSignal): Promise<GrpcAnswer> {
    const session = await this.#ready(stop);
    if ("error" in session) return session;
    const { auth, keepalive } = this.#options;
    const endPings =
      keepalive === undefined || keepalive.withoutCalls ? undefined : sendPings(session, keepalive);
    try {
      return await new GrpcExchange(
        session,
        {
          ":method": "POST",
          ":scheme": this.#scheme,
          ":authority": this.#authority,
          ":path": call.path,
          "content-type": "application/grpc",
          te: "trailers",
          ...(call.encoding !== undefined && { "grpc-encoding": call.encoding }),
          ...call.headers,
          ...metadataOf(auth),
        },
        call.message,
        call.encoding !== undefined,
        stop,
      ).answer;
    } catch (reason) {
      session.destroy();
      return { error: errorText(reason) };
    } finally {
      endPings?.();
    }
  }

  close(): void {
    this.#closed.abort(new Error("the client was closed"));
    this.#session?.destroy();
  }

  /** The session in use, or a new one. */
  async #ready(stop: AbortSignal): Promise<ClientHttp2Session | { readonly error: string }> {
    const open = this.#session;
    if (open !== undefined && !open.closed && !open.destroyed) return open;
    const end = AbortSignal.any([stop, this.#closed.signal]);
    for (;;) {
      try {
        return this.#openOn(await dial(this.#options, this.#nextTurn(), end));
      } catch (reason) {
        if (end.aborted || !this.#options.waitForReady)
          return { error: errorText(end.aborted ? end.reason : reason) };
        await sleep(DIAL_AGAIN_MS, end);
      }
    }
  }

  #openOn(socket: Socket): ClientHttp2Session {
    const session = connect(`${this.#scheme}://${authorityOf(this.#options.target)}`, {
      createConnection: () => socket,
      settings: { enablePush: false },
      // What is sent counts, although it is the caller's memory: a session at its limit would stall.
      maxSessionMemory: SESSION_MB + Math.ceil(this.#options.maxMessageBytes / MIB),
    });
    const { keepalive } = this.#options;
    const endPings = keepalive?.withoutCalls ? sendPings(session, keepalive) : undefined;
    // The call on it hears of it through its stream.
    session.on("error", () => {});
    session.once("close", endPings ?? (() => {}));
    this.#session = session;
    return session;
  }
}

function metadataOf(auth: ClientAuth | undefined): OutgoingHttpHeaders {
  const headers: Record<string, string> = {};
  const list = auth?.headers() ?? [];
  for (let i = 0; i + 1 < list.length; i += 2)
    headers[(list[i] ?? "").toLowerCase()] = list[i + 1] ?? "";
  return headers;
}
