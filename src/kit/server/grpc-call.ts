import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { isRefusal, type Refusal } from "../../otlp/status.ts";
import type { Lease } from "../../pipeline/contracts.ts";
import { outOfMemory } from "../budget.ts";
import { ACCEPTED_CODINGS, type Body, type Coding, codingOf, decompress } from "./compression.ts";
import { firstLeaseBytes, GrowingBody } from "./growing-body.ts";
import {
  failureOf,
  failureOfRefusal,
  GrpcCode,
  type GrpcFailure,
  parseGrpcTimeout,
  trailersOf,
} from "./grpc-status.ts";

/** Compressed flag (1 byte) and message length (4 bytes, big endian). */
const PREFIX_BYTES = 5;
/** Deadlines are rounded up to this, so that calls share timer lists. */
const DEADLINE_STEP_MS = 50;
/** A longer deadline than setTimeout can take is no deadline. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const ACCEPTED = `identity, ${ACCEPTED_CODINGS}`;
const HEAD = {
  ":status": 200,
  "content-type": "application/grpc",
  "grpc-accept-encoding": ACCEPTED,
} as const;
/** As a list, without a date and without what only a client that failed needs to know: half the cost of the head. */
const OK_HEAD: readonly string[] = [":status", "200", "content-type", "application/grpc"];
const OK = { "grpc-status": "0" } as const;
const WAIT_FOR_TRAILERS = { waitForTrailers: true, sendDate: false };
const END_STREAM = { endStream: true } as const;
const EMPTY_MESSAGE = new Uint8Array(PREFIX_BYTES);

/** What one method does with its message. */
export interface UnaryMethod {
  /** When the length of the message is known and none of it is buffered. `bytes`: what of it is taken now; the rest while it arrives. */
  admit(bytes: number, headers: IncomingHttpHeaders): Lease | Refusal;
  /** Answers with the response message (without prefix). Throw PipelineError to refuse. The lease is given back when this settles. */
  handle(message: Body, lease: Lease, headers: IncomingHttpHeaders): Promise<Uint8Array>;
  /** Called once when a call ended without `handle`: refused, malformed, too slow, or cancelled (undefined). */
  readonly onUnhandled?: (failure: GrpcFailure | undefined) => void;
}

/** What a call needs of its server. */
export interface CallHost {
  readonly maxMessageBytes: number;
  /** The request is complete or given up: it needs no watching any more. */
  received(call: UnaryCall): void;
  trouble(error: Error): void;
}

/** One unary call: collects the one message into one buffer, then lets the method answer. */
export class UnaryCall {
  readonly startedMs = performance.now();
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  readonly #method: UnaryMethod;
  readonly #host: CallHost;
  readonly #coding: Coding | undefined;
  readonly #prefix = new Uint8Array(PREFIX_BYTES);
  #prefixAt = 0;
  #body: GrowingBody | undefined;
  #lease: Lease | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #isHandled = false;
  #isOver = false;

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    method: UnaryMethod,
    host: CallHost,
  ) {
    this.#stream = stream;
    this.#headers = headers;
    this.#method = method;
    this.#host = host;
    const encoding = headers["grpc-encoding"];
    this.#coding = codingOf(typeof encoding === "string" ? encoding : undefined);
    stream.on("data", (chunk: Uint8Array) => this.#take(chunk));
    stream.on("end", () => this.#finish());
    stream.on("close", () => this.#closed());
    this.#startDeadline();
    if (this.#coding === undefined)
      this.#fail({
        code: GrpcCode.unimplemented,
        message: `unknown grpc-encoding ${JSON.stringify(String(encoding).slice(0, 60))}: send ${ACCEPTED}`,
      });
  }

  /** Ends a call whose message does not arrive in time. */
  giveUp(limitMs: number): void {
    this.#fail({
      code: GrpcCode.deadlineExceeded,
      message: `the message was not complete after ${limitMs / 1000} s`,
    });
  }

  #startDeadline(): void {
    const header = this.#headers["grpc-timeout"];
    const timeoutMs = parseGrpcTimeout(typeof header === "string" ? header : undefined);
    if (timeoutMs === undefined || timeoutMs > LONGEST_TIMER_MS) return;
    const stepsMs = Math.ceil(timeoutMs / DEADLINE_STEP_MS) * DEADLINE_STEP_MS;
    this.#deadline = setTimeout(() => {
      this.#fail({
        code: GrpcCode.deadlineExceeded,
        message: "the deadline of the call has passed",
      });
    }, stepsMs);
  }

  #take(chunk: Uint8Array): void {
    if (this.#isOver) return;
    let from = 0;
    while (this.#prefixAt < PREFIX_BYTES && from < chunk.length)
      this.#prefix[this.#prefixAt++] = chunk[from++] as number;
    if (this.#prefixAt < PREFIX_BYTES) return;
    const body = this.#body ?? this.#admit();
    const rest = chunk.length - from;
    if (body === undefined || rest === 0) return;
    if (rest > body.most - body.length)
      this.#refuse("invalid", "the call has more than its one message");
    else if (!body.add(from === 0 ? chunk : chunk.subarray(from)))
      this.#fail(failureOfRefusal(outOfMemory(this.#lease)));
  }

  /** With the prefix known: limits, then the lease, then memory for the message. Undefined when the call has ended with that. */
  #admit(): GrowingBody | undefined {
    const [flag = 0, a = 0, b = 0, c = 0, d = 0] = this.#prefix;
    const length = a * 2 ** 24 + ((b << 16) | (c << 8) | d);
    const { maxMessageBytes } = this.#host;
    if (flag > 1 || (flag === 1 && this.#coding === "identity"))
      return this.#fail({
        code: GrpcCode.internal,
        message: "the message is flagged as compressed, but the call names no grpc-encoding",
      });
    if (length > maxMessageBytes)
      return this.#refuse(
        "too_large",
        `the message has ${length} bytes, the limit is ${maxMessageBytes}: send smaller batches, or raise max_recv_msg_size_mib`,
      );
    const admission = this.#method.admit(firstLeaseBytes(length, length), this.#headers);
    if (isRefusal(admission)) return this.#fail(failureOfRefusal(admission));
    this.#lease = admission;
    this.#body = new GrowingBody(length, length, admission);
    return this.#body;
  }

  #finish(): void {
    if (this.#isOver || this.#stream.aborted) return;
    this.#host.received(this);
    const body = this.#body;
    const lease = this.#lease;
    if (body === undefined || lease === undefined || body.length < body.most) {
      this.#refuse("invalid", "the call ended before its message was complete");
      return;
    }
    this.#isHandled = true;
    this.#body = undefined;
    this.#handle(body.body(), lease).catch((error: unknown) => {
      this.#host.trouble(error instanceof Error ? error : new Error(String(error)));
    });
  }

  async #handle(received: Body, lease: Lease): Promise<void> {
    try {
      let message = received;
      if (this.#prefix[0] === 1 && this.#coding !== undefined) {
        const limit = this.#host.maxMessageBytes;
        const decoded = await decompress(this.#coding, message.bytes, message.length, limit, lease);
        if (isRefusal(decoded)) {
          this.#isHandled = false;
          this.#fail(failureOfRefusal(decoded));
          return;
        }
        message = decoded;
      }
      this.#succeed(await this.#method.handle(message, lease, this.#headers));
    } catch (reason) {
      const failure = failureOf(reason);
      if (failure.code === GrpcCode.internal)
        this.#host.trouble(reason instanceof Error ? reason : new Error(String(reason)));
      this.#fail(failure);
    } finally {
      lease[Symbol.dispose]();
    }
  }

  #succeed(reply: Uint8Array): void {
    if (!this.#end()) return;
    const stream = this.#stream;
    stream.on("wantTrailers", () => stream.sendTrailers(OK));
    stream.respond(OK_HEAD, WAIT_FOR_TRAILERS);
    stream.end(reply.length === 0 ? EMPTY_MESSAGE : prefixed(reply));
  }

  #refuse(kind: "invalid" | "too_large", why: string): undefined {
    return this.#fail(failureOfRefusal({ kind, retryAfterMs: 0, why }));
  }

  /** Trailers only; what the client still sends is not wanted any more. */
  #fail(failure: GrpcFailure): undefined {
    const wasOver = this.#isOver;
    const canAnswer = this.#end();
    if (!wasOver && !this.#isHandled) this.#method.onUnhandled?.(failure);
    if (!canAnswer) return undefined;
    this.#stream.respond({ ...HEAD, ...trailersOf(failure) }, END_STREAM);
    if (!this.#stream.readableEnded) this.#stream.close(constants.NGHTTP2_NO_ERROR);
    return undefined;
  }

  #closed(): void {
    if (this.#isOver) return;
    this.#end();
    if (!this.#isHandled) this.#method.onUnhandled?.(undefined);
  }

  /** Ends the call's hold on memory and timers, once; false when nobody is there to be answered. A running `handle` keeps its lease. */
  #end(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    clearTimeout(this.#deadline);
    this.#host.received(this);
    this.#body?.discard();
    this.#body = undefined;
    if (!this.#isHandled) this.#lease?.[Symbol.dispose]();
    const stream = this.#stream;
    return !stream.destroyed && !stream.closed && !stream.headersSent;
  }
}

function prefixed(reply: Uint8Array): Uint8Array {
  const framed = new Uint8Array(PREFIX_BYTES + reply.length);
  new DataView(framed.buffer).setUint32(1, reply.length);
  framed.set(reply, PREFIX_BYTES);
  return framed;
}
