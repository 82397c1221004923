import type { HttpAnswer } from "../../kit/server/http-server.ts";
import { retryPauseSeconds } from "../../kit/server/retry-pause.ts";
import { ProtoWriter } from "../../otlp/build.ts";
import { type Refusal, STATUS } from "../../otlp/status.ts";

const TEXT = "text/plain; charset=utf-8";
/** google.rpc.Status.message */
const MESSAGE = 0x12;

/** Loki's answer to what it took. */
export const TAKEN: HttpAnswer = { status: 204 };
export const NOT_FOUND: HttpAnswer = failure(404, "404 page not found");
export const NO_STREAMS = "error at least one valid stream is required for ingestion";

/** In which form errors are told. */
export type Words = (status: number, why: string) => HttpAnswer;

/** An error as Go's servers tell it. */
export function failure(status: number, why: string): HttpAnswer {
  return {
    status,
    contentType: TEXT,
    headers: { "X-Content-Type-Options": "nosniff" },
    body: `${why}\n`,
  };
}

/** An error as Loki's OTLP endpoint tells it: a Status with nothing but its message. */
export function otlpFailure(status: number, why: string): HttpAnswer {
  const writer = new ProtoWriter(why.length + 16);
  writer.text(MESSAGE, why);
  return {
    status,
    contentType: "application/octet-stream",
    body: writer.take().subarray(0, writer.length),
  };
}

/** A request that got no success. Loki's clients send again what was answered with 429 or 5xx. */
export function refusalIn(words: Words, { kind, why, retryAfterMs }: Refusal): HttpAnswer {
  const answer = words(STATUS[kind].http, kind === "internal" ? "internal error" : why);
  if (kind !== "refused" && kind !== "unavailable") return answer;
  const pause = String(retryPauseSeconds(retryAfterMs));
  return { ...answer, headers: { ...answer.headers, "Retry-After": pause } };
}

/** POST only. */
export const WRONG_METHOD: HttpAnswer = { status: 405, headers: { Allow: "POST" } };
