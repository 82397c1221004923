import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";
import { errorText } from "../error-text.ts";

/** What a gRPC server answered, or why there is no answer. */
export type GrpcAnswer =
  | {
      readonly code: number;
      readonly message: string;
      /** `google.rpc.Status` of grpc-status-details-bin; empty when there is none. */
      readonly details: Uint8Array;
      /** The first 64 KiB of the response message; empty when there is none. */
      readonly reply: Uint8Array;
    }
  // misplaced: whoever answered does not speak gRPC.
  | { readonly error: string; readonly misplaced?: boolean };

/** Compressed flag (1 byte) and length (4 bytes, big endian) before each message. */
const PREFIX_BYTES = 5;
/** Of a response: kept, and read until the call is ended. */
const KEEP_BYTES = 64 << 10;
const READ_BYTES = 4 << 20;
/** How long the rest of a request may take to leave once it is answered; most servers do not want it any more. */
const LEAVE_MS = 50;
const NOTHING = new Uint8Array(0);
/**
 * What an answer of a proxy in between means, after grpc's http-grpc-status-mapping; but 413 is about the size, and 400 says nothing
 * about the items, because whoever said so did not read them.
 */
const CODE_OF_STATUS: Readonly<Record<number, number>> = {
  401: 16,
  403: 7,
  404: 12,
  413: 8,
  429: 14,
  502: 14,
  503: 14,
  504: 14,
};
const UNKNOWN = 2;

/**
 * One unary call on a session that has no other. Settles when the answer is complete or cannot come any more. When the request was
 * not wholly written by then, the session is destroyed: its memory is about to be reused, and must not go out.
 */
export class GrpcExchange {
  readonly answer: Promise<GrpcAnswer>;
  readonly #settle: (answer: GrpcAnswer) => void;
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  #head: IncomingHttpHeaders | undefined;
  #trailers: IncomingHttpHeaders | undefined;
  readonly #chunks: Buffer[] = [];
  #kept = 0;
  #read = 0;
  #trouble: unknown;
  #result: GrpcAnswer | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    session: ClientHttp2Session,
    headers: OutgoingHttpHeaders,
    message: Uint8Array,
    isCompressed: boolean,
    stop: AbortSignal,
  ) {
    const { promise, resolve } = Promise.withResolvers<GrpcAnswer>();
    this.#session = session;
    const stream = session.request(headers, { endStream: false });
    this.#stream = stream;
    const onStop = () => this.#end({ error: errorText(stop.reason) });
    stop.addEventListener("abort", onStop);
    this.answer = promise.finally(() => stop.removeEventListener("abort", onStop));
    this.#settle = resolve;
    stream.on("response", (head) => {
      this.#head = head;
    });
    stream.on("trailers", (trailers) => {
      this.#trailers = trailers;
    });
    stream.on("data", (chunk: Buffer) => this.#take(chunk));
    stream.on("error", (reason) => {
      this.#trouble = reason;
    });
    stream.on("end", () => {
      if (this.#trailers !== undefined || this.#head?.["grpc-status"] !== undefined)
        this.#end(this.#answered());
    });
    stream.on("close", () => this.#end(this.#answered()));
    const prefix = new Uint8Array(PREFIX_BYTES);
    prefix[0] = isCompressed ? 1 : 0;
    new DataView(prefix.buffer).setUint32(1, message.length);
    stream.cork();
    stream.write(prefix);
    // node:http2 never says that an empty chunk was written.
    if (message.length > 0) stream.end(message);
    else stream.end();
    stream.uncork();
    if (stop.aborted) onStop();
  }

  #take(chunk: Buffer): void {
    this.#read += chunk.length;
    const room = KEEP_BYTES + PREFIX_BYTES - this.#kept;
    if (room > 0) {
      const part = Buffer.from(chunk.subarray(0, room));
      this.#chunks.push(part);
      this.#kept += part.length;
    }
    if (this.#read > READ_BYTES) this.#end({ error: "the response is over 4 MiB" });
  }

  #answered(): GrpcAnswer {
    const head = this.#head;
    const from = this.#trailers?.["grpc-status"] === undefined ? head : this.#trailers;
    const status = from?.["grpc-status"];
    if (head !== undefined && typeof status === "string" && /^\d{1,3}$/.test(status)) {
      const details = from?.["grpc-status-details-bin"];
      return {
        code: Number(status),
        message: decoded(from?.["grpc-message"]),
        details: typeof details === "string" ? Buffer.from(details, "base64") : NOTHING,
        reply: this.#reply(),
      };
    }
    if (head === undefined || this.#trouble !== undefined) return { error: this.#why() };
    const http = Number(head[":status"]);
    const said = `HTTP ${http}, ${String(head["content-type"] ?? "no content type").slice(0, 100)}`;
    if (http === 200) {
      const isGrpc = String(head["content-type"]).startsWith("application/grpc");
      if (isGrpc) return { error: "the answer ended before its status" };
      return { error: `the answer is not gRPC (${said})`, misplaced: true };
    }
    const code = CODE_OF_STATUS[http] ?? UNKNOWN;
    const message = `the answer is not gRPC (${said})`;
    if (code === UNKNOWN) return { error: message, misplaced: true };
    return { code, message, details: NOTHING, reply: NOTHING };
  }

  /** The message; empty when it is cut off or compressed, which nobody offered. */
  #reply(): Uint8Array {
    const bytes = Buffer.concat(this.#chunks);
    if (bytes.length < PREFIX_BYTES || bytes[0] !== 0) return NOTHING;
    return bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + bytes.readUInt32BE(1));
  }

  #why(): string {
    if (this.#trouble !== undefined) return errorText(this.#trouble);
    const { rstCode } = this.#stream;
    return rstCode === constants.NGHTTP2_NO_ERROR
      ? "the connection was closed before an answer"
      : `the server ended the call (HTTP/2 error ${rstCode})`;
  }

  /** The first answer counts. */
  #end(answer: GrpcAnswer): void {
    const stream = this.#stream;
    this.#result ??= answer;
    if (stream.writableFinished) this.#finish();
    else if ("error" in answer || stream.destroyed) this.#cut();
    else if (this.#timer === undefined) {
      // The answer may be here before we hear that the request has left.
      this.#timer = setTimeout(() => this.#cut(), LEAVE_MS);
      stream.once("finish", () => this.#finish());
    }
  }

  #cut(): void {
    this.#session.destroy();
    this.#finish();
  }

  #finish(): void {
    const stream = this.#stream;
    clearTimeout(this.#timer);
    // A stream that is complete closes by itself; servers count resets, and cut clients that send many.
    if (!stream.closed && !stream.readableEnded) {
      stream.close(constants.NGHTTP2_CANCEL);
      stream.destroy();
    }
    if (this.#result !== undefined) this.#settle(this.#result);
  }
}

/** Percent-encoded, as grpc-message is. */
function decoded(text: string | string[] | undefined): string {
  const one = String(text ?? "");
  try {
    return decodeURIComponent(one);
  } catch {
    return one;
  }
}
