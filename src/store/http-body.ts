import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";

/** A request that is answered with `status` and plain text (or JSON, when the text is an object). */
export class HttpError extends Error {
  readonly status: number;
  constructor(status: number, body: string) {
    super(body);
    this.status = status;
  }
}

const inflate = promisify(gunzip);

/** Reads a body of at most `limit` bytes, as sent and after decompression. */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  const encoding = (request.headers["content-encoding"] ?? "identity").trim().toLowerCase();
  if (encoding !== "identity" && encoding !== "gzip" && encoding !== "")
    throw new HttpError(400, `unacceptable content-encoding: ${encoding.slice(0, 100)}`);
  const chunks: Buffer[] = [];
  let size = 0;
  if (Number(request.headers["content-length"] ?? 0) > limit) throw tooLarge(limit);
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > limit) throw tooLarge(limit);
    chunks.push(chunk as Buffer);
  }
  const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
  if (encoding !== "gzip" || body.length === 0) return body;
  try {
    return await inflate(body, { maxOutputLength: limit });
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge(limit);
    throw new HttpError(400, "error decoding gzip stream: the body is not well-formed gzip");
  }
}

function tooLarge(limit: number): HttpError {
  return new HttpError(413, `max request size (${limit} bytes) exceeded`);
}
