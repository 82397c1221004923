import {
  type BadLine,
  type BadLines,
  LISTED_MAX,
  shortened,
  V1_WORDS,
} from "../../kit/doors/bad-lines.ts";
import type { HttpAnswer } from "../../kit/server/http-server.ts";
import { retryPauseSeconds } from "../../kit/server/retry-pause.ts";
import { databaseNameFault } from "../../lib/database-name.ts";
import { V1_PRECISIONS, V2_PRECISIONS, V3_PRECISIONS } from "../../line/precision-words.ts";
import type { Precision } from "../../line/time.ts";
import { Fault, type FaultKind } from "./fault.ts";

/** What a write asks for, beside its lines. */
export interface WriteParameters {
  readonly database: string;
  readonly precision: Precision;
  /** Bad lines cost themselves, not the whole request. */
  readonly acceptPartial: boolean;
}

/** One version of InfluxDB's write API: how it asks, and how it answers what is not well. */
export interface Api {
  /** Throws Fault. */
  parameters(query: URLSearchParams): WriteParameters;
  fault(fault: Fault, limitBytes: number): HttpAnswer;
  /** Some lines were bad, and `stored` others were stored. */
  badLines(bad: BadLines, stored: number, parameters: WriteParameters): HttpAnswer;
}

const JSON_TYPE = "application/json";
/** Bytes of a bad line that InfluxDB 3 repeats. */
const V3_SHOWN = 20;
/** Bytes of a text that InfluxDB 1 puts into a header. */
const V1_HEADER = 1_024;
/** Retention policies that are no part of the database's name, as InfluxDB 3 reads them. */
const PLAIN_POLICIES = new Set(["", "autogen", "default"]);

/** `POST /write` */
export const V1: Api = {
  parameters(query) {
    const db = query.get("db") ?? "";
    if (db === "") throw new Fault("invalid", "database is required");
    const rp = query.get("rp") ?? "";
    const word = query.get("precision") ?? "";
    const precision = V1_PRECISIONS.get(word);
    if (precision === undefined)
      throw new Fault(
        "invalid",
        `invalid precision ${JSON.stringify(word.slice(0, 100))} (use n, u, ms, s, m or h)`,
      );
    const database = PLAIN_POLICIES.has(rp) ? db : `${db}/${rp}`;
    return { database, precision, acceptPartial: true };
  },

  fault(fault, _limitBytes) {
    return v1Answer(fault, V1_TEXTS.get(fault.kind) ?? fault.message);
  },

  badLines({ listed, count }, stored) {
    const all = listed.map(
      ({ text, problem }) => `unable to parse '${text}': ${V1_WORDS[problem]}`,
    );
    if (count > listed.length) all.push(unlisted(count));
    const text = all.join("\n");
    return v1Answer(
      new Fault("invalid", ""),
      stored === 0 ? text : `partial write: ${text} dropped=0`,
    );
  },
};

const V1_TEXTS: ReadonlyMap<FaultKind, string> = new Map([
  ["too_large", "Request Entity Too Large"],
  ["unauthorized", "authorization failed"],
]);

/** An error of InfluxDB 1, also of its queries. */
export function v1Answer(fault: Fault, message: string): HttpAnswer {
  return {
    status: fault.status,
    contentType: JSON_TYPE,
    headers: { "X-Influxdb-Error": headerText(message), ...retryHeaders(fault) },
    body: `${JSON.stringify({ error: message })}\n`,
  };
}

/** `POST /api/v2/write` */
export const V2: Api = {
  parameters(query) {
    const database = query.get("bucket") ?? "";
    if (database === "") throw new Fault("invalid", "bucket is required");
    const word = query.get("precision") || "ns";
    const precision = V2_PRECISIONS.get(word);
    if (precision === undefined)
      throw new Fault("invalid", "invalid precision; valid precision units are ns, us, ms, and s");
    return { database, precision, acceptPartial: false };
  },

  fault(fault, limitBytes) {
    const tooLarge = `max request size (${limitBytes} bytes) exceeded`;
    return v2Answer(fault, fault.kind === "too_large" ? tooLarge : fault.message);
  },

  badLines({ listed: [first], count }) {
    const more = count > 1 ? ` (and ${count - 1} more bad lines)` : "";
    const where = first === undefined ? "" : `line ${first.number}, ${first.message}`;
    return v2Answer(new Fault("invalid", ""), `line protocol parse failed: ${where}${more}`);
  },
};

const V2_CODES: Readonly<Record<FaultKind, string>> = {
  invalid: "invalid",
  name: "invalid",
  malformed_auth: "invalid",
  unauthorized: "unauthorized",
  not_found: "not found",
  method: "method not allowed",
  too_large: "request too large",
  refused: "unavailable",
  unavailable: "unavailable",
  unimplemented: "not implemented",
  bad_gateway: "unavailable",
  gateway_timeout: "unavailable",
  internal: "internal error",
};

/** An error of InfluxDB 2, also of its queries. */
export function v2Answer(fault: Fault, message: string): HttpAnswer {
  const code = V2_CODES[fault.kind];
  return {
    status: fault.status,
    contentType: JSON_TYPE,
    headers: { "X-Platform-Error-Code": code, ...retryHeaders(fault) },
    body: JSON.stringify({ code, message }),
  };
}

/** `POST /api/v3/write_lp` */
export const V3: Api = {
  parameters(query) {
    const database = query.get("db");
    if (database === null) throw new Fault("invalid", "missing query parameter 'db'");
    const why = databaseNameFault(database);
    if (why !== undefined) throw new Fault("name", why);
    const word = query.get("precision") ?? "auto";
    const precision = V3_PRECISIONS.get(word);
    if (precision === undefined)
      throw new Fault(
        "invalid",
        `invalid precision '${word.slice(0, 100)}': expected auto, nanosecond, microsecond, millisecond or second`,
      );
    // Every answer is given when the lines are durable, so there is nothing to leave out.
    flag(query, "no_sync", false);
    return { database, precision, acceptPartial: flag(query, "accept_partial", true) };
  },

  fault(fault, limitBytes) {
    const tooLarge = `max request size (${limitBytes} bytes) exceeded`;
    return v3Answer(fault, fault.kind === "too_large" ? tooLarge : fault.message);
  },

  badLines({ listed, count }, _stored, { acceptPartial }) {
    const [first] = listed;
    // With accept_partial=false it tells of one line, and `data` is no list.
    if (!acceptPartial && first !== undefined)
      return lineErrors("line protocol parsing error", v3Line(first));
    const data: object[] = listed.map(v3Line);
    const after = (listed.at(-1)?.number ?? 0) + 1;
    if (count > listed.length)
      data.push({ error_message: unlisted(count), line_number: after, original_line: "" });
    return lineErrors("partial write of line protocol occurred", data);
  },
};

function lineErrors(error: string, data: object): HttpAnswer {
  return { status: 400, body: JSON.stringify({ error, data }) };
}

function v3Line({ message, number, text }: BadLine): object {
  return {
    error_message: message,
    line_number: number,
    original_line: shortened(text, V3_SHOWN),
  };
}

/** Kinds whose bodies are JSON in InfluxDB 3; the others are plain text, none has a content type. */
const V3_JSON: ReadonlySet<FaultKind> = new Set([
  "name",
  "unauthorized",
  "malformed_auth",
  "not_found",
  "unimplemented",
  "bad_gateway",
  "gateway_timeout",
  "internal",
]);

/** An error of InfluxDB 3, also of its queries. */
export function v3Answer(fault: Fault, message: string): HttpAnswer {
  return {
    status: fault.status,
    headers: retryHeaders(fault),
    body: V3_JSON.has(fault.kind) ? JSON.stringify({ error: message }) : message,
  };
}

function flag(query: URLSearchParams, name: string, fallback: boolean): boolean {
  const text = query.get(name);
  if (text === null) return fallback;
  if (text !== "true" && text !== "false")
    throw new Fault("invalid", `invalid ${name} '${text.slice(0, 100)}': expected true or false`);
  return text === "true";
}

function unlisted(count: number): string {
  return `and ${count - LISTED_MAX} more bad lines: at most ${LISTED_MAX} are listed`;
}

function retryHeaders({ kind, retryAfterMs }: Fault): Record<string, string> {
  if (kind !== "refused" && kind !== "unavailable") return {};
  return { "Retry-After": String(retryPauseSeconds(retryAfterMs)) };
}

/** Headers hold no line breaks, and nothing that is not ASCII. */
function headerText(text: string): string {
  return text.slice(0, V1_HEADER).replace(/[^\x20-\x7e]/g, "?");
}
