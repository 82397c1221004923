import type { HttpAnswer, HttpRequest } from "../../kit/http-server.ts";
import type { Context } from "../../pipeline/factory.ts";
import type { Api } from "./apis.ts";
import type { Config } from "./config.ts";
import type { Databases } from "./databases.ts";
import { Fault } from "./fault.ts";
import { createdDatabase } from "./statement.ts";

/** A form above this is no statement that we answer. */
const FORM_BYTES = 64 * 1024;

/** Paths of InfluxDB's APIs that read or configure. */
const READS = /^\/query$|^\/api\/v[123]\//;

/** What asks for data goes to `query_upstream`; only `CREATE DATABASE` is answered here. */
export class Queries {
  readonly #context: Context;

  constructor(_config: Config, context: Context) {
    this.#context = context;
  }

  async answer(
    api: Api,
    request: HttpRequest,
    query: URLSearchParams,
    databases: Databases,
  ): Promise<HttpAnswer> {
    const statement = request.path === "/query" ? await statementOf(request, query) : "";
    const created = createdDatabase(statement);
    if (created !== undefined) return answerCreated(created, databases);
    return api.fault(this.#unanswered(request.path), 0);
  }

  #unanswered(path: string): Fault {
    if (!READS.test(path)) return new Fault("not_found", "Not found");
    return new Fault(
      "unimplemented",
      `queries are not answered here: set receivers.${this.#context.id}.query_upstream to the URL of a database that does, for example http://127.0.0.1:8181`,
    );
  }
}

/** The statement of a v1 query: in the URL, or in a form. */
async function statementOf(request: HttpRequest, query: URLSearchParams): Promise<string> {
  const inUrl = query.get("q");
  if (inUrl !== null || request.method !== "POST") return inUrl ?? "";
  const type = request.header("content-type") ?? "";
  const isForm = /^application\/x-www-form-urlencoded\b/i.test(type);
  const { declaredBytes } = request;
  if (!isForm || declaredBytes < 0 || declaredBytes > FORM_BYTES) return "";
  const { bytes, length } = await request.readBody(FORM_BYTES);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, length).toString();
  return new URLSearchParams(text).get("q") ?? "";
}

/** Databases need not be made here: a write to one is enough. */
function answerCreated(name: string, databases: Databases): HttpAnswer {
  const result = databases.has(name)
    ? { statement_id: 0 }
    : { statement_id: 0, error: `database not found: ${name}: it is not in databases` };
  return {
    status: 200,
    contentType: "application/json",
    body: `${JSON.stringify({ results: [result] })}\n`,
  };
}
