import type { Verdict } from "../../kit/backend.ts";
import type { HttpAnswer } from "../../kit/http-client.ts";
import { findRule, type VerdictRule, verdictOf } from "../../kit/http-verdicts.ts";
import { readExportResponse, readStatusText } from "./response.ts";

const WRONG_PLACE = "check the endpoint";

/**
 * OTLP 1.11: 429, 502, 503 and 504 are tried again, nothing else is. Answers that are not about the data (credentials, address)
 * pause the route instead of dead-lettering everything.
 */
export const VERDICTS: readonly VerdictRule[] = [
  { status: [300, 399], means: "pause", hint: "redirects are not followed: correct the endpoint" },
  { status: 401, means: "pause", hint: "check headers" },
  { status: 403, means: "pause", hint: "check headers" },
  { status: 404, means: "pause", hint: WRONG_PLACE },
  { status: 405, means: "pause", hint: WRONG_PLACE },
  { status: 407, means: "pause", hint: "a proxy wants credentials" },
  { status: 413, means: "split" },
  { status: 429, means: "retry" },
  { status: [502, 504], means: "retry" },
  { status: [400, 599], means: "rejected" },
];

/** Reason under which items are counted that the destination says it did not keep. */
const NOT_KEPT = "rejected_by_destination";

/** What an OTLP/HTTP answer means; `warn` is called with the text of a partial success. */
export function otlpVerdict(
  answer: HttpAnswer,
  nowMs: number,
  warn: (rejected: number, message: string) => void,
): Verdict {
  if ("error" in answer) return { is: "retry", why: answer.error };
  if (answer.status >= 200 && answer.status < 300) {
    const { rejected, message } = readExportResponse(answer.body, answer.contentType);
    if (rejected > 0 || message !== "") warn(rejected, message);
    if (rejected === 0) return { is: "sent", unconfirmed: false };
    return { is: "sent", unconfirmed: false, dropped: new Map([[NOT_KEPT, rejected]]) };
  }
  const said = readStatusText(answer.body, answer.contentType);
  return verdictOf(findRule(VERDICTS, answer.status, ""), answer, said, nowMs);
}
