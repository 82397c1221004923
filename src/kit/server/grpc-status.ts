import { statusBody } from "../../otlp/responses.ts";
import { PipelineError, type Refusal, STATUS } from "../../otlp/status.ts";
import { retryPauseSeconds } from "./retry-pause.ts";

/** Codes that no ErrorKind has: they are about the call, not about the data. */
export const GrpcCode = {
  ok: 0,
  deadlineExceeded: 4,
  unimplemented: 12,
  internal: 13,
  unauthenticated: 16,
} as const;

/** How a call ends when it does not succeed. */
export interface GrpcFailure {
  readonly code: number;
  readonly message: string;
  /** `google.rpc.Status` for grpc-status-details-bin; absent when it would say no more than code and message. */
  readonly details?: Uint8Array;
}

/** The failure that a refusal means. Retryable kinds carry RetryInfo; what is wrong inside us is not told to strangers. */
export function failureOf(reason: unknown): GrpcFailure {
  const { kind, why, retryAfterMs } = PipelineError.from(reason);
  const code = STATUS[kind].grpc;
  if (kind === "internal") return { code, message: "internal error" };
  if (kind === "refused" || kind === "unavailable") {
    const pauseMs = retryPauseSeconds(retryAfterMs) * 1000;
    const details = statusBody({ kind, why, retryAfterMs: pauseMs }, "protobuf");
    return { code, message: why, details };
  }
  if (kind !== "invalid") return { code, message: why };
  return { code, message: why, details: statusBody({ kind, why, retryAfterMs: 0 }, "protobuf") };
}

/** The same for a "no" that is not an exception. */
export function failureOfRefusal(refusal: Refusal): GrpcFailure {
  return failureOf(new PipelineError(refusal));
}

/** Longest grpc-message: all headers of an answer must fit what clients accept (8 KiB). */
const LONGEST_MESSAGE = 1_024;

/** Trailers of a failed call. Text outside printable ASCII, and "%", is percent-encoded (gRPC over HTTP/2, "Status-Message"). */
export function trailersOf(failure: GrpcFailure): Record<string, string> {
  const trailers: Record<string, string> = { "grpc-status": String(failure.code) };
  if (failure.message !== "") {
    const text = failure.message.slice(0, LONGEST_MESSAGE).toWellFormed();
    trailers["grpc-message"] = text.replace(/[^ -$&-~]+/g, encodeURIComponent);
  }
  if (failure.details !== undefined)
    trailers["grpc-status-details-bin"] = Buffer.from(failure.details).toString("base64");
  return trailers;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** The grpc-timeout header in milliseconds; undefined when absent or malformed (at most 8 digits and a unit). */
export function parseGrpcTimeout(header: string | undefined): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(header ?? "");
  return match === null ? undefined : Number(match[1]) * (UNIT_MS[match[2] as string] as number);
}
