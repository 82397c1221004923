import type { IncomingMessage } from "node:http";
import { databaseNameFault } from "../lib/database-name.ts";
import { V3_PRECISIONS } from "../line/precision-words.ts";
import { HttpError, readBody } from "./http-body.ts";
import { parseRange } from "./ranges.ts";
import type { WriteAnswer } from "./write-answer.ts";
import type { StoreWriter } from "./writer.ts";

const NANOS = {
  auto: 1n,
  ns: 1n,
  us: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
} as const;

/** `POST /api/v3/write_lp`: parameters, header and body of a request become a write. */
export async function writeLines(
  request: IncomingMessage,
  query: URLSearchParams,
  writer: StoreWriter,
  maxBytes: number,
): Promise<WriteAnswer> {
  const database = query.get("db");
  if (database === null) throw new HttpError(400, "missing query parameter 'db'");
  const fault = databaseNameFault(database);
  if (fault !== undefined) throw new HttpError(400, JSON.stringify({ error: fault }));
  const precision = V3_PRECISIONS.get(query.get("precision") ?? "auto");
  if (precision === undefined)
    throw new HttpError(
      400,
      `invalid precision '${query.get("precision")}': expected auto, nanosecond, microsecond, millisecond or second`,
    );
  const acceptPartial = flag(query, "accept_partial", true);
  // Accepted and not needed: every answer is given after the commit.
  flag(query, "no_sync", false);
  const header = request.headers["x-weir-range"];
  const range = typeof header === "string" ? parseRange(header) : undefined;
  if (header !== undefined && range === undefined)
    throw new HttpError(
      400,
      "X-Weir-Range is malformed: expected <journal>/<route>/<seq>.<item>-<seq>.<item>",
    );
  const bytes = await readBody(request, maxBytes);
  const now = BigInt(Date.now()) * 1_000_000n;
  const nowNs = now - (now % NANOS[precision]);
  return await writer.write({ database, bytes, precision, acceptPartial, range, nowNs });
}

function flag(query: URLSearchParams, name: string, fallback: boolean): boolean {
  const text = query.get(name);
  if (text === null) return fallback;
  if (text !== "true" && text !== "false")
    throw new HttpError(400, `invalid ${name} '${text}': expected true or false`);
  return text === "true";
}
