import type { Verdict } from "../delivery/backend.ts";
import type { HttpAnswer } from "./http-answer.ts";
import { parseRetryAfter } from "./retry-after.ts";

/** One row of a destination's verdict table: the first that matches status and body decides. */
export interface VerdictRule {
  /** A status (HTTP, gRPC), or the first and last of a span. */
  readonly status: number | readonly [number, number];
  /** Must be found in the first 64 KiB of the body; of gRPC, in the message. */
  readonly body?: RegExp;
  /** `alarm` = retry, logged as ERROR; `throttled` = retry, and the items are not to blame; `special` = the destination's own code reads the body. */
  readonly means:
    | "sent"
    | "unconfirmed"
    | "retry"
    | "throttled"
    | "alarm"
    | "split"
    | "rejected"
    | "pause"
    | "special";
  /** Added to the reason: what to do about it. */
  readonly hint?: string;
}

type Answered = Extract<HttpAnswer, { status: number }>;

/** First matching row; undefined when no row is for this status. */
export function findRule(
  rules: readonly VerdictRule[],
  status: number,
  body: string,
): VerdictRule | undefined {
  return rules.find((rule) => {
    const [from, to] = typeof rule.status === "number" ? [rule.status, rule.status] : rule.status;
    return status >= from && status <= to && (rule.body === undefined || rule.body.test(body));
  });
}

/** The verdict of a row. A status without a row is tried again: nothing is lost by a destination that we do not understand. */
export function verdictOf(
  rule: VerdictRule | undefined,
  answer: Answered,
  said: string,
  nowMs: number,
): Verdict {
  return ruled(
    rule,
    `HTTP ${answer.status}`,
    said,
    parseRetryAfter(answer.retryAfter, clockOf(answer, nowMs)),
  );
}

const WEB_PAGE = /^(?:text\/html|application\/xhtml\+xml)\b/i;
/** No page, whatever a proxy says of its type: there is nothing of it (RFC 9110 §15.3.5). */
const NO_CONTENT = 204;

/** A success of a login page or of a web server's catch-all: nobody there has understood the request. Undefined for all other answers. */
export function webPageVerdict({ status, contentType }: Answered): Verdict | undefined {
  const isSuccess = status >= 200 && status < 300 && status !== NO_CONTENT;
  if (!isSuccess || contentType === undefined || !WEB_PAGE.test(contentType)) return undefined;
  const why = `HTTP ${status}: the answer is a web page (check the endpoint)`;
  return { is: "retry", why, alarm: true };
}

/** A date in Retry-After is by the destination's clock, which may be far from ours. */
function clockOf({ date }: Answered, nowMs: number): number {
  const theirs = date === undefined ? Number.NaN : Date.parse(date);
  return Number.isNaN(theirs) ? nowMs : theirs;
}

/** The same for any protocol. `answered`: name and code of the answer; `afterMs`: the pause that it asks for. */
export function ruled(
  rule: VerdictRule | undefined,
  answered: string,
  said: string,
  afterMs: number | undefined,
): Verdict {
  const why = `${answered}${said === "" ? "" : `: ${said}`}${rule?.hint === undefined ? "" : ` (${rule.hint})`}`;
  const pause = afterMs === undefined ? {} : { afterMs };
  switch (rule?.means) {
    case "sent":
      return { is: "sent", unconfirmed: false };
    case "unconfirmed":
      return { is: "sent", unconfirmed: true };
    case "split":
    case "rejected":
    case "pause":
      return { is: rule.means, why };
    case "retry":
      return { is: "retry", why, ...pause };
    case "throttled":
      return { is: "retry", why, throttled: true, ...pause };
    default:
      return { is: "retry", why, alarm: true, ...pause };
  }
}
