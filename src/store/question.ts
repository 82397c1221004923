import type { IncomingMessage } from "node:http";
import type { DuckDBValue } from "@duckdb/node-api";
import { HttpError, readBody } from "./http-body.ts";
import type { Format } from "./result-text.ts";

/** What a request to query_sql asks. */
export interface Question {
  readonly db: string;
  readonly q: string;
  readonly format: Format;
  /** Values of `$name` and `$1`, by name. Integers are bigints. */
  readonly params: ReadonlyMap<string, DuckDBValue>;
}

const MAX_BODY = 2 << 20;
/** Longest query text, in characters. */
const MAX_SQL = 1 << 20;
const FORMATS = ["json", "jsonl", "csv", "pretty"] as const;
/** What a reader's Accept header asks for. */
const FORMAT_OF_TYPE: ReadonlyMap<string, Format> = new Map([
  ["", "json"],
  ["*/*", "json"],
  ["application/json", "json"],
  ["text/html", "json"],
  ["application/jsonl", "jsonl"],
  ["text/csv", "csv"],
  ["text/plain", "pretty"],
]);
const EXAMPLE = '{"db":"weir","q":"SELECT 1"}';

/** Reads `db`, `q`, `format` and `params` from the address and, with POST, from the body, which wins. */
export async function readQuestion(
  request: IncomingMessage,
  query: URLSearchParams,
): Promise<Question> {
  let given: Readonly<Record<string, unknown>> = Object.fromEntries(query);
  if (request.method === "POST") {
    const body = (await readBody(request, MAX_BODY)).toString();
    if (body !== "") given = { ...given, ...parseObject(body, "the body", EXAMPLE) };
  }
  const { db, q, format, params } = given;
  if (typeof db !== "string") throw new HttpError(400, "missing query parameter 'db'");
  if (typeof q !== "string") throw new HttpError(400, "missing query parameter 'q'");
  if (q.length > MAX_SQL)
    throw new HttpError(400, `the query is longer than ${MAX_SQL} characters`);
  return { db, q, format: formatOf(format, request.headers.accept), params: readParams(params) };
}

function readParams(given: unknown): ReadonlyMap<string, DuckDBValue> {
  if (given === undefined || given === null) return new Map();
  const params =
    typeof given === "string" ? parseObject(given, "params", '{"host":"a","1":5}') : given;
  if (!isObject(params)) throw new HttpError(400, "params must be an object of names and values");
  return new Map(
    Object.entries(params).map(([name, value]) => {
      if (!isScalar(value))
        throw new HttpError(
          400,
          `params: the value of "${name}" must be null, true, false, a number or a string`,
        );
      return [name, value];
    }),
  );
}

function isScalar(value: unknown): value is DuckDBValue {
  return value === null || ["string", "number", "bigint", "boolean"].includes(typeof value);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Integers become bigints: a double does not hold all of 64 bits. */
function parseObject(
  text: string,
  what: string,
  example: string,
): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(
      text,
      (_key, one: unknown, context?: { readonly source?: string }) =>
        typeof one === "number" && /^-?\d{1,20}$/.test(context?.source ?? "")
          ? BigInt(context?.source ?? one)
          : one,
    );
    if (isObject(value)) return value;
  } catch {
    // Said below.
  }
  throw new HttpError(400, `${what} must be a JSON object such as ${example}`);
}

function formatOf(format: unknown, accept: string | undefined): Format {
  if (format === "json_lines") return "jsonl";
  const named = FORMATS.find((known) => known === format);
  if (named !== undefined) return named;
  if (format !== undefined && format !== null)
    throw new HttpError(
      400,
      `unknown format ${format === "parquet" ? '"parquet": the embedded store does not write it' : JSON.stringify(String(format))}: expected ${FORMATS.join(", ")}`,
    );
  const type = accept?.split(/[,;]/)[0]?.trim().toLowerCase() ?? "";
  const accepted = FORMAT_OF_TYPE.get(type);
  if (accepted === undefined) throw new HttpError(400, `invalid mime type (${type})`);
  return accepted;
}
