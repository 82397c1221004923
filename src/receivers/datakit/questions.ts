import { hostname } from "node:os";
import type { HttpAnswer, HttpRequest } from "../../kit/server/http-server.ts";
import { failure, goDuration, json, text, VERSION } from "./answers.ts";

/** What clients ask before they write: whether somebody is there, and what time it is. Undefined: it is no such question. */
export function answerQuestion(
  { method, path }: HttpRequest,
  startedMs: number,
  nowMs: number,
): HttpAnswer | undefined {
  if (method !== "GET" && method !== "HEAD") return undefined;
  if (path === "/v1/ping")
    return json({
      content: {
        version: VERSION,
        uptime: goDuration(nowMs - startedMs),
        host: hostname(),
        commit: "",
      },
    });
  if (path === "/v1/ntp") return json({ timestamp_sec: Math.floor(nowMs / 1_000) });
  // DataFlux Func looks at the root of a DataWay, and takes any answer for a good one.
  if (path === "/") return text("weir: POST points to /v1/write/:category\n", "text/plain");
  return undefined;
}

/** The answer to everything else. */
export function notServed({ method, path }: HttpRequest): HttpAnswer {
  const what = `${method} ${JSON.stringify(path.slice(0, 200))}`;
  return failure(
    "badRequest",
    `${what} is not served here: send POST /v1/write/:category, GET /v1/ping or GET /v1/ntp`,
    404,
  );
}
