import { randomUUID } from "node:crypto";
import type { HttpAnswer, HttpRequest } from "../../kit/server/http-server.ts";

const VERSION = "3.0.0";
const PROCESS = randomUUID();

/** On every answer: clients of all versions look for them. */
export const VERSION_HEADERS = { "X-Influxdb-Version": VERSION, "X-Influxdb-Build": "Weir" };

/**
 * `/ping`. InfluxDB 3 answers with JSON, and the client libraries of version 1 take nothing but 204: they are told by what they accept, the
 * one in Go, which does not say so, by its name and by a parameter that only version 1 has.
 */
export function ping(request: HttpRequest): HttpAnswer {
  const id = request.header("x-request-id") ?? request.header("request-id") ?? randomUUID();
  const headers = { "Request-Id": id, "X-Request-Id": id };
  if (request.method === "HEAD" || !takesJson(request) || isGoOfVersion1(request))
    return { status: 204, headers };
  return {
    status: 200,
    contentType: "application/json",
    headers,
    body: JSON.stringify({
      product_name: "Weir",
      version: VERSION,
      revision: VERSION,
      process_id: PROCESS,
    }),
  };
}

/** `/health`: JSON for the clients of version 2, which ask for it or, in Go, for nothing; else the text of InfluxDB 3. */
export function health(request: HttpRequest): HttpAnswer {
  const isV2 =
    request.path === "/health" && /application\/json|^$/i.test(request.header("accept") ?? "");
  if (!isV2) return { status: 200, contentType: "text/plain", body: "OK" };
  return {
    status: 200,
    contentType: "application/json",
    body: JSON.stringify({
      name: "influxdb",
      message: "ready for queries and writes",
      status: "pass",
      checks: [],
      version: VERSION,
    }),
  };
}

function takesJson(request: HttpRequest): boolean {
  return /application\/json|\*\/\*|^$/i.test(request.header("accept") ?? "");
}

function isGoOfVersion1(request: HttpRequest): boolean {
  const { query } = request;
  return query.startsWith("wait_for_leader=") || request.header("user-agent") === "InfluxDBClient";
}
