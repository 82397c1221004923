import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { CellText } from "./cells.ts";
import { type Deletions, isDelete } from "./delete.ts";
import { HttpError } from "./http-body.ts";
import type { OpenQuery, QueryDesk } from "./query.ts";
import { type Question, readQuestion } from "./question.ts";
import { CONTENT_TYPE, type Format, ResultText } from "./result-text.ts";

/** Answers shorter than this are sent at once, with their length; longer ones are streamed. In characters. */
const WHOLE_ANSWER = 4 << 20;
/** How long a reader of a streamed answer may stand still before it is cut off: its query holds a place. */
const STALL_MS = 10_000;

/** What answers queries. */
export interface QueryRoom {
  readonly desk: QueryDesk;
  readonly deletions: Deletions;
  readonly cells: CellText;
}

/** `GET|POST /api/v3/query_sql`: runs one query and writes its rows. `mayDelete`: whether this request may remove rows. */
export async function answerQuery(
  request: IncomingMessage,
  response: ServerResponse,
  query: URLSearchParams,
  { desk, deletions, cells }: QueryRoom,
  mayDelete: boolean,
): Promise<void> {
  const asked = await readQuestion(request, query);
  const gone = new AbortController();
  const onClose = () => gone.abort();
  response.once("close", onClose);
  try {
    const result = isDelete(asked.q)
      ? await remove(asked, deletions, mayDelete)
      : await desk.open(asked.db, asked.q, asked.params, gone.signal);
    try {
      await send(response, result, asked.format, cells);
    } finally {
      result.close();
    }
  } finally {
    response.off("close", onClose);
  }
}

async function remove(
  { db, q, params }: Question,
  deletions: Deletions,
  mayDelete: boolean,
): Promise<OpenQuery> {
  if (!mayDelete)
    throw new HttpError(
      403,
      JSON.stringify({
        error:
          "DELETE needs a POST with the store's token; where the store has none, a POST of a program on this machine, and the store must listen on this machine only",
      }),
    );
  const count = await deletions.run(db, q, params);
  let rows: [bigint][] | undefined = [[count]];
  const next = async () => {
    const first = rows;
    rows = undefined;
    return first;
  };
  return { columns: ["count"], floats: [false], next, close: () => {} };
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
