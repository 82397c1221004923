import type { HttpAnswer } from "../../kit/server/http-server.ts";
import { retryPauseSeconds } from "../../kit/server/retry-pause.ts";
import type { ErrorKind, Refusal } from "../../otlp/status.ts";

/** DataKit's names of what may be wrong, and their statuses. */
export const CODES = {
  invalidCategory: 400,
  emptyBody: 400,
  noPoints: 400,
  invalidLinePoint: 400,
  invalidJsonPoint: 400,
  invalidProtobufPoint: 400,
  decodeBodyFailed: 400,
  pointGotWarning: 400,
  badRequest: 400,
  invalidToken: 401,
  reachMaxAPILimit: 503,
  unexpectedInternalServerError: 500,
} as const;
export type Code = keyof typeof CODES;

/** What clients of DataKit see as its version, here and in the answer to a ping. */
export const VERSION = "weir";
const HEADERS = { "X-Content-Type-Options": "nosniff", "X-DataKit": VERSION };
const JSON_TYPE = "application/json";

/** What the house refuses, in DataKit's words. Its senders drop what is answered 4xx, so what may come again is 503, never its 429. */
const OF_KIND: Readonly<Record<ErrorKind, readonly [Code, number]>> = {
  invalid: ["decodeBodyFailed", 400],
  too_large: ["badRequest", 413],
  refused: ["reachMaxAPILimit", 503],
  unavailable: ["unexpectedInternalServerError", 503],
  unauthorized: ["invalidToken", 401],
  unimplemented: ["badRequest", 404],
  internal: ["unexpectedInternalServerError", 500],
};

/** `{"error_code":"datakit.…","message":"…"}`. */
export function failure(
  code: Code,
  message: string,
  status: number = CODES[code],
  headers: Readonly<Record<string, string>> = {},
): HttpAnswer {
  const body = JSON.stringify({ error_code: `datakit.${code}`, message });
  return { status, contentType: JSON_TYPE, headers: { ...HEADERS, ...headers }, body };
}

/** The answer to what the house refuses. */
export function refusal({ kind, why, retryAfterMs }: Refusal): HttpAnswer {
  const [code, status] = OF_KIND[kind];
  const retry = { "Retry-After": String(retryPauseSeconds(retryAfterMs)) };
  const message = kind === "internal" ? "internal error" : why;
  return failure(code, message, status, status === 503 ? retry : {});
}

/** Points were taken: nothing to say. */
export const TAKEN: HttpAnswer = { status: 200, headers: HEADERS };

/** 200 with JSON. */
export function json(value: object): HttpAnswer {
  return { status: 200, contentType: JSON_TYPE, headers: HEADERS, body: JSON.stringify(value) };
}

/** 200 with a text of a type. */
export function text(body: string, contentType: string): HttpAnswer {
  return { status: 200, contentType, headers: HEADERS, body };
}

/** A duration as Go prints it: `1h2m3s`. */
export function goDuration(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const rest = `${seconds % 60}s`;
  if (hours > 0) return `${hours}h${minutes % 60}m${rest}`;
  return minutes > 0 ? `${minutes}m${rest}` : rest;
}
