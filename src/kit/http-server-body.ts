import type { IncomingMessage } from "node:http";
import { PipelineError } from "../otlp/status.ts";
import { SLACK } from "../wire/slack.ts";
import type { Body, Growing } from "./compression.ts";

/** First buffer of a body without Content-Length; it doubles from there. Callers take this much before they read. */
export const CHUNKED_START_BYTES = 64 * 1024;

/** The client closed or reset the connection before its request was complete. Nobody is left to answer. */
export class ClientGone extends Error {
  constructor() {
    super("the client went away before its request was complete");
    this.name = "ClientGone";
  }
}

/**
 * Reads the body into one buffer with SLACK behind it: of exact size when the request declares its length (the caller's lease
 * covers that already), otherwise growing by doubling, each growth taken from `lease` first.
 */
export function readBody(
  request: IncomingMessage,
  declaredBytes: number,
  limitBytes: number,
  lease: Growing | undefined,
): Promise<Body> {
  if (declaredBytes > limitBytes) return Promise.reject(tooLarge(limitBytes));
  if (declaredBytes === 0) return Promise.resolve({ bytes: new Uint8Array(SLACK), length: 0 });
  return new Promise((resolve, reject) => {
    let capacity = declaredBytes < 0 ? Math.min(CHUNKED_START_BYTES, limitBytes) : declaredBytes;
    let bytes: Uint8Array | undefined;
    let length = 0;
    const onData = (chunk: Buffer) => {
      const end = length + chunk.length;
      if (end > capacity) {
        const wanted = Math.min(limitBytes, Math.max(end, capacity * 2));
        if (end > limitBytes) return stop(tooLarge(limitBytes));
        if (lease?.grow(wanted - capacity) === false) return stop(noMemory());
        capacity = wanted;
        bytes = larger(bytes, length, wanted);
      }
      if (length === 0 && end === declaredBytes) bytes = withRoom(chunk);
      else {
        bytes ??= larger(undefined, 0, capacity);
        bytes.set(chunk, length);
        letGo(chunk);
      }
      length = end;
    };
    const stop = (error: PipelineError) => {
      request.off("data", onData);
      request.pause();
      reject(error);
    };
    request.on("data", onData);
    request.on("end", () => resolve({ bytes: bytes ?? new Uint8Array(SLACK), length }));
    request.on("error", () => reject(new ClientGone()));
    request.on("close", () => {
      if (!request.complete) reject(new ClientGone());
    });
    if (request.destroyed && !request.complete) reject(new ClientGone());
  });
}

function larger(bytes: Uint8Array | undefined, length: number, capacity: number): Uint8Array {
  const roomy = Buffer.allocUnsafeSlow(capacity + SLACK);
  if (bytes !== undefined) roomy.set(bytes.subarray(0, length));
  return roomy;
}

/** The memory of a chunk that has it for itself, as node:http makes them; where that ever changes, we only lose speed. */
function memoryOf(chunk: Buffer): ArrayBuffer | undefined {
  const { buffer } = chunk;
  const isAlone = chunk.byteOffset === 0 && buffer.byteLength === chunk.length;
  return isAlone && buffer instanceof ArrayBuffer ? buffer : undefined;
}

/** A body that came in one chunk: its memory is made longer in place. Saves a third of the cost of a 37 KB request over a copy. */
function withRoom(chunk: Buffer): Uint8Array {
  const memory = memoryOf(chunk);
  return memory === undefined
    ? larger(chunk, chunk.length, chunk.length)
    : new Uint8Array(memory.transfer(chunk.length + SLACK));
}

/** Frees a copied chunk now: 64 KB each, they would drive the garbage collector. */
function letGo(chunk: Buffer): void {
  memoryOf(chunk)?.transfer(0);
}

function tooLarge(limitBytes: number): PipelineError {
  return new PipelineError({
    kind: "too_large",
    retryAfterMs: 0,
    why: `the body is larger than the limit of ${limitBytes} bytes: send smaller batches, or raise the receiver's limit`,
  });
}

function noMemory(): PipelineError {
  return new PipelineError({
    kind: "refused",
    retryAfterMs: 1000,
    why: "the memory for requests in flight is used up: send again after a pause",
  });
}
