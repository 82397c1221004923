import type { ClientAuth } from "../../pipeline/auth.ts";
import type { ClientTls } from "../tls/tls-client.ts";

/** What a destination answered, or why there is no answer. */
export type HttpAnswer =
  | {
      readonly status: number;
      /** The first 64 KiB. */
      readonly body: Buffer;
      readonly retryAfter: string | undefined;
      /** The Date header: the time by the destination's clock. */
      readonly date?: string | undefined;
      readonly contentType: string | undefined;
    }
  | { readonly error: string };

export interface HttpClientOptions {
  /** Scheme, host and port; what follows is ignored. */
  readonly origin: string;
  /** Connections at most: the route's lanes. */
  readonly connections: number;
  readonly connectTimeoutMs?: number;
  /** For an https origin. The client stops it when it is closed. */
  readonly tls?: ClientTls | undefined;
  /** Adds its headers to each request. */
  readonly auth?: ClientAuth | undefined;
  /** Address of a proxy; "": none. */
  readonly proxy?: string;
}

/**
 * POSTs to one origin over at most `connections` kept-alive connections, one request at a time on each. Follows no redirect,
 * decompresses nothing, and turns every failure into a value.
 */
export interface HttpPoster {
  /** `headers` is a flat list: name, value, name, value … Settles only when `body` is no longer read by anyone. */
  post(path: string, headers: string[], body: Uint8Array, stop: AbortSignal): Promise<HttpAnswer>;
  /** Cuts all connections; requests in flight answer with an error. */
  close(): Promise<void>;
}

/** Of a response: kept, read and thrown away, and then the connection is cut. */
const KEEP_BYTES = 64 << 10;
const READ_BYTES = 4 << 20;
/** Longest head of a response. */
export const HEADER_BYTES = 16 << 10;
/** Below the idle time-out of common servers and balancers (60 s), so that we rarely write into a connection that is being closed. */
export const KEEP_ALIVE_MS = 30_000;
export const CONNECT_TIMEOUT_MS = 10_000;

/** Collects what is kept of one response. */
export class AnswerParts {
  #status = 0;
  #headers: NodeJS.Dict<string | string[]> = {};
  readonly #chunks: Buffer[] = [];
  #kept = 0;
  #read = 0;

  /** Heads below 200 only say that the real one comes later. */
  head(status: number, headers: NodeJS.Dict<string | string[]>): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
  }

  /** False when so much has come that the connection is to be cut. */
  data(chunk: Buffer): boolean {
    this.#read += chunk.length;
    const room = KEEP_BYTES - this.#kept;
    if (room > 0) {
      const part = Buffer.from(chunk.subarray(0, room));
      this.#chunks.push(part);
      this.#kept += part.length;
    }
    return this.#read <= READ_BYTES;
  }

  answer(): HttpAnswer {
    const [only] = this.#chunks;
    return {
      status: this.#status,
      body: this.#chunks.length === 1 && only ? only : Buffer.concat(this.#chunks),
      retryAfter: first(this.#headers["retry-after"]),
      date: first(this.#headers["date"]),
      contentType: first(this.#headers["content-type"]),
    };
  }
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/**
 * The headers with those of `auth`, both as flat lists. Of one that is in both, that of `auth` holds, as in the Collector: two of them
 * would be read by each server in its own way.
 */
export function withAuth(headers: string[], auth: ClientAuth | undefined): string[] {
  if (auth === undefined) return headers;
  const own = auth.headers();
  const names = new Set(own.flatMap((text, i) => (i % 2 === 0 ? [text.toLowerCase()] : [])));
  const all: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const [name = "", value = ""] = headers.slice(i, i + 2);
    if (!names.has(name.toLowerCase())) all.push(name, value);
  }
  all.push(...own);
  return all;
}
