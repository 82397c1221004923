import type { HttpAnswer } from "../../kit/client/http-answer.ts";
import {
  findRule,
  type VerdictRule,
  verdictOf,
  webPageVerdict,
} from "../../kit/client/http-verdicts.ts";
import type { Verdict } from "../../kit/delivery/backend.ts";

/** Which write API answered. */
export type Api = "v3" | "v2" | "v1";

const CREATE_BUCKET = "create the bucket; everything stays queued";
const WRONG_PLACE = "is this the right endpoint and `api` for this server? Everything stays queued";
const TOKEN = "check token and its permissions";

const FIRST: readonly VerdictRule[] = [
  { status: [200, 299], means: "sent" },
  { status: [300, 399], means: "alarm", hint: "redirects are not followed: correct the endpoint" },
  { status: 401, means: "pause", hint: TOKEN },
  { status: 403, means: "pause", hint: TOKEN },
];
const LAST: readonly VerdictRule[] = [
  { status: 404, means: "alarm", hint: WRONG_PLACE },
  { status: 405, means: "alarm", hint: WRONG_PLACE },
  { status: 407, means: "alarm", hint: "a proxy wants credentials" },
  { status: 408, means: "retry" },
  { status: 410, means: "alarm", hint: WRONG_PLACE },
  { status: 413, means: "split" },
  { status: 425, means: "retry" },
  { status: 429, means: "throttled" },
  { status: [400, 499], means: "rejected" },
  { status: [500, 599], means: "retry" },
];

/** v1 and v2: rows below the lower bound of the retention policy were left out, and nothing says which. */
const TOO_OLD = /partial write: points beyond retention policy dropped=(\d+)/;
/** 500 of v1 and of old builds of v2 that is about the rows: repeating it would never end. */
const ABOUT_ROWS = /partial write|field type conflict|unable to parse/;

/**
 * Every API's answers, first match wins. `special` = the body says more: v3 names the lines that were left out, v1 and v2 how many
 * are too old; the others are stored.
 */
export const VERDICTS: Readonly<Record<Api, readonly VerdictRule[]>> = {
  v3: [
    ...FIRST,
    { status: 400, body: /"partial write of line protocol occurred"/, means: "special" },
    { status: 422, body: /"data"\s*:\s*\[/, means: "special" },
    {
      status: 400,
      body: /missing query parameter|\b(?:db|database) name\b|database or rp name/,
      means: "alarm",
      hint: "correct `database`; everything stays queued",
    },
    {
      status: 422,
      body: /Adding a new database would exceed limit/,
      means: "alarm",
      hint: "use a database that exists, or delete one",
    },
    ...LAST,
  ],
  v2: [
    ...FIRST,
    { status: 404, body: /bucket|organization/, means: "alarm", hint: CREATE_BUCKET },
    { status: [400, 500], body: TOO_OLD, means: "special" },
    { status: 500, body: ABOUT_ROWS, means: "rejected" },
    ...LAST,
  ],
  v1: [
    ...FIRST,
    {
      status: 404,
      body: /database not found/,
      means: "alarm",
      hint: "create it with `influx -execute 'CREATE DATABASE \"…\"'`; everything stays queued",
    },
    {
      status: [400, 500],
      body: /retention policy not found/,
      means: "alarm",
      hint: "correct `retention_policy` or create it; everything stays queued",
    },
    { status: [400, 500], body: TOO_OLD, means: "special" },
    { status: 500, body: ABOUT_ROWS, means: "rejected" },
    ...LAST,
  ],
};

/** What an answer of InfluxDB means for the `rows` of the request. */
export function influxdbVerdict(
  api: Api,
  answer: HttpAnswer,
  nowMs: number,
  rows: number,
): Verdict {
  if ("error" in answer) return { is: "retry", why: answer.error };
  if (answer.status >= 200 && answer.status < 300)
    return webPageVerdict(answer) ?? { is: "sent", unconfirmed: false };
  const body = answer.body.toString();
  const parsed = parse(body);
  const said = sentence(parsed, body);
  const rule = findRule(VERDICTS[api], answer.status, body);
  if (rule?.means !== "special") return verdictOf(rule, answer, said, nowMs);
  const why = `HTTP ${answer.status}: ${said}`;
  if (api !== "v3") return tooOld(TOO_OLD.exec(said)?.[1], rows, why);
  const named = namedRows(parsed);
  if (named === undefined) return { is: "rejected", why };
  return { is: "rows_rejected", rows: [...named.keys()], reasons: [...named.values()], why };
}

/** All rows are: dropped. Some: which ones is found by halves, as another mistake may hide behind this answer. */
function tooOld(dropped: string | undefined, rows: number, why: string): Verdict {
  if (Number(dropped) !== rows) return { is: "rejected", why };
  return { is: "sent", unconfirmed: false, dropped: new Map([["too_old", rows]]) };
}

interface Body {
  readonly error?: unknown;
  readonly message?: unknown;
  readonly data?: unknown;
}

function parse(body: string): Body | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Row → reason. `line_number` counts points from 1. Undefined when an entry is not understood. */
function namedRows(body: Body | undefined): ReadonlyMap<number, string> | undefined {
  if (!Array.isArray(body?.data)) return undefined;
  const rows = new Map<number, string>();
  for (const entry of body.data as readonly unknown[]) {
    const { line_number: line, error_message: said } = (entry ?? {}) as Readonly<
      Record<"line_number" | "error_message", unknown>
    >;
    if (typeof line !== "number" || !Number.isSafeInteger(line) || line < 1) return undefined;
    if (!rows.has(line - 1))
      rows.set(line - 1, typeof said === "string" ? said.slice(0, 1_024) : "");
  }
  return rows.size === 0 ? undefined : rows;
}

/** The part of an error body that a person wants to read. */
function sentence(body: Body | undefined, raw: string): string {
  const detail = Array.isArray(body?.data) ? (body.data as readonly unknown[])[0] : body?.data;
  const message = (detail as { error_message?: unknown } | null | undefined)?.error_message;
  for (const text of [message, body?.error, body?.message])
    if (typeof text === "string" && text !== "") return text.slice(0, 1_024);
  return raw.trim().slice(0, 1_024);
}
