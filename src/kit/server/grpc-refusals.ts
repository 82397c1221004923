import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { type GrpcFailure, trailersOf } from "./grpc-status.ts";

/** Of a request that is no gRPC, so much is read before it is answered. */
const STRANGER_BYTES = 64 * 1024;

/** 200 for a call; what is not gRPC is answered in HTTP's own terms ("Errors", gRPC over HTTP/2). */
export function grpcHttpStatus(headers: IncomingHttpHeaders): number {
  if (headers[":method"] !== "POST") return 405;
  return /^application\/grpc(?:$|[+;])/i.test(headers["content-type"] ?? "") ? 200 : 415;
}

/** Ends a call with a head that is the whole answer. */
export function refuseCall(stream: ServerHttp2Stream, failure: GrpcFailure): void {
  const head = { ":status": 200, "content-type": "application/grpc" };
  reply(stream, { ...head, ...trailersOf(failure) });
}

/** The first of repeated headers. */
export function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** Whoever does not speak gRPC is told so when its request is over, in time, or after as much of it as is worth reading. */
export function answerStranger(
  stream: ServerHttp2Stream,
  status: number,
  text: string,
  limitMs: number,
): void {
  let read = 0;
  const answer = () => {
    stream.off("data", count);
    if (stream.destroyed || stream.closed || stream.headersSent) return;
    stream.respond({ ":status": status, "content-type": "text/plain" });
    stream.end(text);
    stream.resume();
    if (!stream.readableEnded) stream.close();
  };
  const count = (chunk: Uint8Array) => {
    read += chunk.length;
    if (read > STRANGER_BYTES) answer();
  };
  stream.on("data", count);
  stream.on("end", answer);
  stream.setTimeout(limitMs, answer);
}

/** A head that is the whole answer; the rest of the request is not wanted. */
function reply(stream: ServerHttp2Stream, head: Record<string, string | number>): void {
  stream.respond(head, { endStream: true });
  stream.resume();
  if (!stream.readableEnded) stream.close();
}
