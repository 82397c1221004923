import type { HttpAnswer } from "../../kit/client/http-answer.ts";
import {
  findRule,
  type VerdictRule,
  verdictOf,
  webPageVerdict,
} from "../../kit/client/http-verdicts.ts";
import { readStatusText } from "../../kit/client/otlp-answer.ts";
import type { Verdict } from "../../kit/delivery/backend.ts";

const WRONG_PLACE = "is this the right endpoint and `api`? Everything stays queued";
const CREDENTIALS = "check tenant_id, auth and headers";
const SAID_MAX = 1_024;

/**
 * Loki's answers, first match wins. A 400 names one entry that it did not take; the good ones of the same request are stored all
 * the same, so it is never sent again and counts as `unconfirmed`. Unless it says that it could not read the request at all.
 */
export const VERDICTS: readonly VerdictRule[] = [
  { status: 260, means: "pause", hint: "ingestion is blocked for this tenant in Loki's limits" },
  { status: [200, 299], means: "sent" },
  { status: [300, 399], means: "alarm", hint: "redirects are not followed: correct the endpoint" },
  {
    status: 400,
    body: /snappy: corrupt|Content-Encoding ".*" not supported|^loghttp\.|org ID|wrong wiretype|unexpected EOF/,
    means: "alarm",
    hint: "Loki could not read the request, so nothing of it is stored: is a proxy in between, or another api set?",
  },
  { status: 400, means: "unconfirmed" },
  { status: 401, means: "pause", hint: CREDENTIALS },
  { status: 403, means: "pause", hint: CREDENTIALS },
  { status: 404, means: "alarm", hint: WRONG_PLACE },
  { status: 405, means: "alarm", hint: WRONG_PLACE },
  { status: 407, means: "alarm", hint: "a proxy wants credentials" },
  { status: 408, means: "retry" },
  { status: 413, means: "split" },
  { status: 415, means: "alarm", hint: "is another encoding or compression set than it takes?" },
  { status: 425, means: "retry" },
  {
    status: 429,
    body: /Ingestion rate limit exceeded/i,
    means: "throttled",
    hint: "if it stays: max_body_size must be below Loki's ingestion_burst_size_mb",
  },
  { status: 429, means: "throttled" },
  { status: [400, 499], means: "rejected" },
  // Between Loki's own parts, requests of more than 4 MiB are refused.
  { status: 500, body: /received message larger than max/, means: "split" },
  // A name that it cannot normalize; nothing of the request is stored.
  { status: 500, body: /normalization for label name/, means: "rejected" },
  { status: [500, 599], means: "retry" },
];

/** What an answer of Loki means; `warn` is called with what it says about entries that it did not take. */
export function lokiVerdict(
  answer: HttpAnswer,
  nowMs: number,
  warn: (message: string) => void,
): Verdict {
  if ("error" in answer) return { is: "retry", why: answer.error };
  const webPage = webPageVerdict(answer);
  if (webPage !== undefined) return webPage;
  const said = textOf(answer);
  const verdict = verdictOf(findRule(VERDICTS, answer.status, said), answer, said, nowMs);
  if (verdict.is === "sent" && verdict.unconfirmed) warn(said);
  return verdict;
}

/** Errors are plain text; those of /otlp are a google.rpc.Status that calls itself application/octet-stream. */
function textOf({ body, contentType }: Extract<HttpAnswer, { status: number }>): string {
  const isStatus = contentType?.startsWith("application/octet-stream") ?? false;
  return (isStatus ? readStatusText(body, "application/x-protobuf") : body.toString().trim()).slice(
    0,
    SAID_MAX,
  );
}
