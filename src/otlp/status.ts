/** What went wrong, from the sender's point of view. The one table below maps it to HTTP and gRPC answers. */
export type ErrorKind =
  | "invalid" // can never be accepted: do not resend
  | "too_large" // over a size limit: do not resend as it is
  | "refused" // we are full: resend after a pause
  | "unavailable" // stopping, disk full, fsync failed: resend
  | "unauthorized" // credentials missing or wrong
  | "unimplemented" // no such signal, service or path here
  | "internal"; // we broke

/** A "no" that is not an exception: admission and reservation answer with it. */
export interface Refusal {
  readonly kind: ErrorKind;
  /** Pause asked of the sender; 0 when resending is useless. */
  readonly retryAfterMs: number;
  readonly why: string;
}

/** The one error that crosses component borders. `why` is a sentence for the person who reads it. */
export class PipelineError extends Error implements Refusal {
  readonly kind: ErrorKind;
  readonly retryAfterMs: number;
  readonly why: string;
  constructor(refusal: Refusal, options?: ErrorOptions) {
    super(refusal.why, options);
    this.name = "PipelineError";
    this.kind = refusal.kind;
    this.retryAfterMs = refusal.retryAfterMs;
    this.why = refusal.why;
  }
  /** Every border calls this; a stranger becomes "internal" with its cause. */
  static from(reason: unknown): PipelineError {
    if (reason instanceof PipelineError) return reason;
    const why = reason instanceof Error ? reason.message : String(reason);
    return new PipelineError({ kind: "internal", retryAfterMs: 0, why }, { cause: reason });
  }
}

export function isRefusal(answer: object): answer is Refusal {
  return "why" in answer && "retryAfterMs" in answer;
}

/**
 * HTTP status and gRPC code per kind (OTLP 1.11, "Failures"). `refused` and `unavailable` are retryable: 429/503 with
 * Retry-After, UNAVAILABLE with RetryInfo. RESOURCE_EXHAUSTED without RetryInfo tells gRPC clients not to resend.
 */
export const STATUS: Readonly<Record<ErrorKind, { readonly http: number; readonly grpc: number }>> =
  {
    invalid: { http: 400, grpc: 3 },
    too_large: { http: 413, grpc: 8 },
    refused: { http: 503, grpc: 14 },
    unavailable: { http: 503, grpc: 14 },
    unauthorized: { http: 401, grpc: 16 },
    unimplemented: { http: 404, grpc: 12 },
    internal: { http: 500, grpc: 13 },
  };
