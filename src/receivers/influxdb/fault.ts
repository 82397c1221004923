import { type ErrorKind, PipelineError, STATUS } from "../../otlp/status.ts";

/** What may be wrong with a request: what the house knows, and what only InfluxDB's APIs have names for. */
export type FaultKind = ErrorKind | "name" | "not_found" | "malformed_auth" | "method";

/** Why a request gets no success. `why` is a sentence for the person who reads the answer. */
export class Fault extends Error {
  readonly kind: FaultKind;
  readonly retryAfterMs: number;

  constructor(kind: FaultKind, why: string, retryAfterMs = 0) {
    super(why);
    this.name = "Fault";
    this.kind = kind;
    this.retryAfterMs = retryAfterMs;
  }

  /** What we did not foresee is told without its details. */
  static from(reason: unknown): Fault {
    if (reason instanceof Fault) return reason;
    const { kind, why, retryAfterMs } = PipelineError.from(reason);
    return new Fault(kind, kind === "internal" ? "internal error" : why, retryAfterMs);
  }

  /** The kind that it is counted as. */
  get outcome(): ErrorKind {
    if (this.kind === "malformed_auth") return "unauthorized";
    return isOurs(this.kind) ? "invalid" : this.kind;
  }

  get status(): number {
    if (this.kind === "not_found") return 404;
    if (this.kind === "method") return 405;
    if (this.kind === "unimplemented") return 501;
    return STATUS[isOurs(this.kind) ? "invalid" : this.kind].http;
  }
}

function isOurs(kind: FaultKind): kind is Exclude<FaultKind, ErrorKind> {
  return kind === "name" || kind === "not_found" || kind === "malformed_auth" || kind === "method";
}
