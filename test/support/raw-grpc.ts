import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";

/** Otherwise the client stalls on what it has queued itself. */
const CLIENT_MEMORY_MB = 1_000;

/** How a raw call ended. */
export interface RawCalled {
  readonly headers: IncomingHttpHeaders;
  /** From the trailers, or from the head of an answer that is trailers only. */
  readonly status: string | undefined;
  readonly message: string;
  readonly body: Buffer;
  readonly rstCode: number;
}

/** An HTTP/2 client that says exactly what a test wants said. */
export class RawGrpc {
  readonly session: ClientHttp2Session;
  constructor(address: string) {
    this.session = connect(`http://${address}`, { maxSessionMemory: CLIENT_MEMORY_MB });
    this.session.on("error", () => {});
  }
  open(path: string, headers: OutgoingHttpHeaders = {}): ClientHttp2Stream {
    const stream = this.session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    stream.on("error", () => {});
    return stream;
  }
  async send(
    path: string,
    bytes: Uint8Array,
    headers: OutgoingHttpHeaders = {},
  ): Promise<RawCalled> {
    const stream = this.open(path, headers);
    stream.end(bytes);
    return await ended(stream);
  }
  close(): void {
    this.session.destroy();
  }
}

/** Collects an answer. */
export async function ended(stream: ClientHttp2Stream): Promise<RawCalled> {
  let head: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  const chunks: Buffer[] = [];
  stream.on("response", (headers) => {
    head = headers;
  });
  stream.on("trailers", (headers) => {
    trailers = headers;
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  if (!stream.destroyed) await new Promise((resolve) => stream.once("close", resolve));
  const { "grpc-status": late = head["grpc-status"], "grpc-message": text = head["grpc-message"] } =
    trailers;
  return {
    headers: head,
    status: late === undefined ? undefined : String(late),
    message: decodeURIComponent(String(text ?? "")),
    body: Buffer.concat(chunks),
    rstCode: stream.rstCode,
  };
}

/** A message behind its prefix; `length` lies when given. */
export function framed(message: Uint8Array, flag = 0, length = message.length): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes[0] = flag;
  bytes.writeUInt32BE(length, 1);
  bytes.set(message, 5);
  return bytes;
}
