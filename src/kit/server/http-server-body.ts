import type { IncomingMessage } from "node:http";
import { PipelineError } from "../../otlp/status.ts";
import { SLACK } from "../../wire/slack.ts";
import { outOfMemory } from "../budget.ts";
import type { Body, Growing } from "./compression.ts";
import { FIRST_LEASE_BYTES, GrowingBody } from "./growing-body.ts";

/** The client closed or reset the connection before its request was complete. Nobody is left to answer. */
export class ClientGone extends Error {
  constructor() {
    super("the client went away before its request was complete");
    this.name = "ClientGone";
  }
}

/**
 * Reads the body into one buffer with SLACK behind it. The caller's lease covers `firstLeaseBytes` of it; the rest is taken from the
 * lease while it arrives.
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
    const growing = new GrowingBody(declaredBytes, limitBytes, lease);
    const onData = (chunk: Buffer) => {
      if (growing.length + chunk.length > growing.most) return stop(tooLarge(limitBytes));
      if (chunk.length === declaredBytes && chunk.length <= FIRST_LEASE_BYTES)
        return growing.adopt(withRoom(chunk), declaredBytes);
      if (!growing.add(chunk)) return stop(new PipelineError(outOfMemory(lease)));
      letGo(chunk);
    };
    const stop = (error: PipelineError) => {
      request.off("data", onData);
      request.pause();
      growing.discard();
      reject(error);
    };
    const gone = () => {
      if (!request.complete) growing.discard();
      reject(new ClientGone());
    };
    request.on("data", onData);
    request.on("end", () => resolve(growing.body()));
    request.on("error", gone);
    request.on("close", () => {
      if (!request.complete) gone();
    });
    if (request.destroyed && !request.complete) gone();
  });
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
  if (memory !== undefined) return new Uint8Array(memory.transfer(chunk.length + SLACK));
  const roomy = Buffer.allocUnsafeSlow(chunk.length + SLACK);
  roomy.set(chunk);
  return roomy;
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
