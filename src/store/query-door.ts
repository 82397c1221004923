import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { CellText } from "./cells.ts";
import { HttpError, readBody } from "./http-body.ts";
import type { OpenQuery, QueryDesk } from "./query.ts";
import { CONTENT_TYPE, type Format, ResultText } from "./result-text.ts";

/** Answers shorter than this are sent at once, with their length; longer ones are streamed. In characters. */
const WHOLE_ANSWER = 4 << 20;
/** How long a reader of a streamed answer may stand still before it is cut off: its query holds a place. */
const STALL_MS = 10_000;
const MAX_BODY = 2 << 20;

interface Asked {
  readonly db: string;
  readonly q: string;
  readonly format: Format;
}

/** `GET|POST /api/v3/query_sql`: runs one query and writes its rows. */
export async function answerQuery(
  request: IncomingMessage,
  response: ServerResponse,
  query: URLSearchParams,
  desk: QueryDesk,
  cells: CellText,
): Promise<void> {
  const asked = await readQuestion(request, query);
  const result = await desk.open(asked.db, asked.q);
  try {
    await send(response, result, asked.format, cells);
  } finally {
    result.close();
  }
}

async function send(
  response: ServerResponse,
  result: OpenQuery,
  format: Format,
  cells: CellText,
): Promise<void> {
  const text = new ResultText(format, result.columns, result.floats, cells);
  const type = CONTENT_TYPE[format];
  let whole = text.head();
  let isStreaming = false;
  for (let rows = await result.next(); rows !== undefined; rows = await result.next()) {
    whole += text.rows(rows);
    if (whole.length < WHOLE_ANSWER) continue;
    if (!isStreaming) response.writeHead(200, { "content-type": type });
    isStreaming = true;
    await write(response, whole);
    whole = "";
  }
  whole += text.tail();
  if (isStreaming) {
    response.end(whole);
    return;
  }
  const bytes = Buffer.from(whole);
  response.writeHead(200, { "content-type": type, "content-length": bytes.length }).end(bytes);
}

/** Writes and waits until the reader has taken it; a reader that does not is cut off. */
async function write(response: ServerResponse, text: string): Promise<void> {
  if (response.destroyed) throw new Error("the reader has gone");
  if (response.write(text)) return;
  const gone = AbortSignal.timeout(STALL_MS);
  const closed = new AbortController();
  const onClose = () => closed.abort();
  response.once("close", onClose);
  try {
    await once(response, "drain", { signal: AbortSignal.any([gone, closed.signal]) });
  } finally {
    response.off("close", onClose);
  }
}

async function readQuestion(request: IncomingMessage, query: URLSearchParams): Promise<Asked> {
  let given: Readonly<Record<string, unknown>> = Object.fromEntries(query);
  if (request.method === "POST") {
    const body = (await readBody(request, MAX_BODY)).toString();
    if (body !== "") given = { ...given, ...parseObject(body) };
  }
  const { db, q, format, params } = given;
  if (typeof db !== "string") throw new HttpError(400, "missing query parameter 'db'");
  if (typeof q !== "string") throw new HttpError(400, "missing query parameter 'q'");
  if (params !== undefined && params !== null)
    throw new HttpError(400, "the embedded store takes no 'params' yet: write the values into q");
  return { db, q, format: formatOf(format, request.headers.accept) };
}

function parseObject(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Readonly<Record<string, unknown>>;
  } catch {
    // Said below.
  }
  throw new HttpError(400, 'the body must be a JSON object such as {"db":"weir","q":"SELECT 1"}');
}

function formatOf(format: unknown, accept: string | undefined): Format {
  if (format === "json_lines") return "jsonl";
  if (format === "json" || format === "jsonl" || format === "csv") return format;
  if (format !== undefined && format !== null)
    throw new HttpError(
      400,
      `unknown format ${JSON.stringify(format)}: expected json, jsonl or csv`,
    );
  const type = accept?.split(/[,;]/)[0]?.trim() ?? "*/*";
  if (type === "text/csv") return "csv";
  if (["application/json", "*/*", "text/html", ""].includes(type)) return "json";
  if (type === "application/jsonl") return "jsonl";
  throw new HttpError(400, `invalid mime type (${type})`);
}
