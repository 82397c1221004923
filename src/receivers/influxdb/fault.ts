import { type ErrorKind, type PipelineError, STATUS } from "../../otlp/status.ts";

/** What may be wrong with a request: what the house knows, and what only InfluxDB's APIs have names for. */
export type FaultKind = ErrorKind | OwnKind;
type OwnKind =
  | "name"
  | "not_found"
  | "malformed_auth"
  | "method"
  | "bad_gateway"
  | "gateway_timeout";

/** HTTP status of the own kinds. */
const OWN_STATUS: Readonly<Record<OwnKind, number>> = {
  name: 400,
  not_found: 404,
  malformed_auth: 400,
  method: 405,
  bad_gateway: 502,
  gateway_timeout: 504,
};

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
  static from({ kind, why, retryAfterMs }: PipelineError): Fault {
    return new Fault(kind, kind === "internal" ? "internal error" : why, retryAfterMs);
  }

  /** The kind that it is counted as. */
  get outcome(): ErrorKind {
    if (this.kind === "malformed_auth") return "unauthorized";
    return isOwn(this.kind) ? "invalid" : this.kind;
  }

  get status(): number {
    if (this.kind === "unimplemented") return 501;
    return isOwn(this.kind) ? OWN_STATUS[this.kind] : STATUS[this.kind].http;
  }
}

function isOwn(kind: FaultKind): kind is OwnKind {
  return kind in OWN_STATUS;
}
