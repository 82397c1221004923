import type { Verdict } from "../delivery/backend.ts";
import type { GrpcAnswer } from "./grpc-exchange.ts";
import type { HttpAnswer } from "./http-answer.ts";
import { findRule, ruled, type VerdictRule, verdictOf, webPageVerdict } from "./http-verdicts.ts";
import {
  type OtlpAnswer,
  readExportResponse,
  readRetryDelay,
  readStatusText,
} from "./otlp-answer.ts";

const WRONG_PLACE = "check the endpoint";
const CODING = "the server does not take this compression or encoding: set another";

/**
 * OTLP 1.11: 429, 502, 503 and 504 are tried again, nothing else is. Answers that are not about the data (credentials, address,
 * compression) pause the route instead of dead-lettering everything.
 */
export const HTTP_VERDICTS: readonly VerdictRule[] = [
  { status: [300, 399], means: "pause", hint: "redirects are not followed: correct the endpoint" },
  { status: 401, means: "pause", hint: "check headers" },
  { status: 403, means: "pause", hint: "check headers" },
  { status: 404, means: "pause", hint: WRONG_PLACE },
  { status: 405, means: "pause", hint: WRONG_PLACE },
  { status: 407, means: "pause", hint: "a proxy wants credentials" },
  { status: 413, means: "split" },
  { status: 415, means: "pause", hint: CODING },
  // The Collector's words.
  { status: 400, body: /^unsupported content-encoding/i, means: "pause", hint: CODING },
  { status: 429, means: "throttled" },
  { status: [502, 504], means: "retry" },
  { status: [400, 599], means: "rejected" },
];

const CREDENTIALS = "check headers, auth and the permissions of the credentials";
const TOO_LARGE = /larger than max|exceeds max|too large|message size|the limit is \d/i;
const QUOTA = /quota|rate.?limit|throttl|too many|concurren/i;

/**
 * gRPC codes, as OTLP 1.11 has them: CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE and DATA_LOSS are tried
 * again, RESOURCE_EXHAUSTED only with RetryInfo (`retryable`). Codes that are not about the data keep everything queued.
 */
export const GRPC_VERDICTS: readonly (VerdictRule & { readonly retryable?: true })[] = [
  { status: 1, means: "retry" },
  { status: 4, means: "retry" },
  { status: 7, means: "pause", hint: CREDENTIALS },
  { status: 8, body: TOO_LARGE, means: "split" },
  { status: 8, means: "throttled", retryable: true },
  { status: 8, body: QUOTA, means: "pause", hint: "a quota is used up" },
  { status: 8, means: "split" },
  { status: [10, 11], means: "retry" },
  {
    status: 12,
    means: "alarm",
    hint: "check the endpoint, and that the server takes this signal and this compression",
  },
  { status: [14, 15], means: "retry" },
  { status: 16, means: "pause", hint: CREDENTIALS },
  { status: [2, 13], means: "rejected" },
];

const CODE_NAMES = [
  ...["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"],
  ...["ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"],
  ...["ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"],
  "UNAUTHENTICATED",
];
const TEXT_MAX = 1_024;

/** Reason under which items are counted that the destination says it did not keep. */
const NOT_KEPT = "rejected_by_destination";

/** Hears what a destination says beside its success. */
type Warn = (rejected: number, message: string) => void;

/** What an OTLP/HTTP answer means; `warn` is called with the text of a partial success. */
export function otlpHttpVerdict(answer: HttpAnswer, nowMs: number, warn: Warn): Verdict {
  if ("error" in answer) return { is: "retry", why: answer.error };
  const webPage = webPageVerdict(answer);
  if (webPage !== undefined) return webPage;
  if (answer.status >= 200 && answer.status < 300)
    return taken(readExportResponse(answer.body, answer.contentType), warn);
  const said = readStatusText(answer.body, answer.contentType);
  return verdictOf(findRule(HTTP_VERDICTS, answer.status, said), answer, said, nowMs);
}

/** What an OTLP/gRPC answer means; `warn` as above. */
export function otlpGrpcVerdict(answer: GrpcAnswer, warn: Warn): Verdict {
  if ("error" in answer) {
    const { error, misplaced = false } = answer;
    return misplaced
      ? { is: "retry", why: `${error} (${WRONG_PLACE})`, alarm: true }
      : { is: "retry", why: error };
  }
  const { code, message, details, reply } = answer;
  if (code === 0) return taken(readExportResponse(reply, undefined), warn);
  const afterMs = readRetryDelay(details);
  const rules = GRPC_VERDICTS.filter(({ retryable }) => !retryable || afterMs !== undefined);
  const name = `gRPC ${CODE_NAMES[code] ?? `status ${code}`}`;
  return ruled(findRule(rules, code, message), name, message.slice(0, TEXT_MAX), afterMs);
}

/** Items that a partial success says were not kept are drops, and never sent again. */
function taken({ rejected, message }: OtlpAnswer, warn: Warn): Verdict {
  if (rejected > 0 || message !== "") warn(rejected, message);
  if (rejected === 0) return { is: "sent", unconfirmed: false };
  return { is: "sent", unconfirmed: false, dropped: new Map([[NOT_KEPT, rejected]]) };
}
