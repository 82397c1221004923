import { QueryUpstream, UpstreamDown } from "../../kit/doors/query-upstream.ts";
import { Http2QueryUpstream } from "../../kit/doors/query-upstream-http2.ts";
import {
  answerStranger,
  grpcHttpStatus,
  refuseCall,
  single,
} from "../../kit/server/grpc-refusals.ts";
import { GrpcCode } from "../../kit/server/grpc-status.ts";
import type { HttpAnswer, HttpRequest } from "../../kit/server/http-server.ts";
import type { OnHttp2Stream } from "../../kit/server/http-server-http2.ts";
import type { Context } from "../../pipeline/factory.ts";
import type { Access } from "./access.ts";
import type { Config } from "./config.ts";
import type { Databases } from "./databases.ts";
import { Fault } from "./fault.ts";
import { createdDatabase } from "./statement.ts";

/** A form above this is no statement that we answer. */
const FORM_BYTES = 64 * 1024;
const STRANGER_MS = 10_000;
const STRANGER_TEXT =
  "on this port, HTTP/2 is for gRPC queries (Flight SQL): send everything else with HTTP/1.1\n";

/** Paths of InfluxDB's APIs that read or configure. */
const READS = /^\/query$|^\/api\/v[123]\//;

/** What asks for data goes to `query_upstream`, over HTTP and gRPC; only `CREATE DATABASE` is answered here. */
export class Queries {
  readonly #context: Context;
  readonly #access: Access;
  readonly #databases: Databases;
  readonly #upstream: QueryUpstream | undefined;
  readonly #calls: Http2QueryUpstream | undefined;
  readonly #option: string;

  constructor(config: Config, context: Context, access: Access, databases: Databases) {
    this.#context = context;
    this.#access = access;
    this.#databases = databases;
    this.#option = `receivers.${context.id}.query_upstream`;
    const { query_upstream: url } = config;
    if (url === undefined) return;
    this.#upstream = new QueryUpstream(url, this.#option);
    this.#calls = new Http2QueryUpstream(url, this.#option);
  }

  stop(): void {
    this.#upstream?.stop();
  }

  /** Rejects with Fault. */
  async answer(request: HttpRequest, query: URLSearchParams): Promise<HttpAnswer> {
    const form = request.path === "/query" ? await formOf(request) : undefined;
    const inForm = form && new URLSearchParams(Buffer.from(form).toString());
    const created = createdDatabase(query.get("q") ?? inForm?.get("q") ?? "");
    if (created !== undefined) return answerCreated(created, this.#databases);
    if (this.#upstream === undefined) throw this.#unanswered(request.path);
    try {
      return await this.#upstream.forward(request, form);
    } catch (reason) {
      if (!(reason instanceof UpstreamDown)) throw reason;
      throw new Fault(reason.status === 504 ? "gateway_timeout" : "bad_gateway", reason.message);
    }
  }

  /** A call over HTTP/2. */
  readonly call: OnHttp2Stream = (stream, headers) => {
    if (grpcHttpStatus(headers) !== 200)
      return answerStranger(stream, 505, STRANGER_TEXT, STRANGER_MS);
    const decide = (denied: Fault | undefined) => {
      if (stream.destroyed) return;
      if (denied !== undefined)
        return refuseCall(stream, { code: GrpcCode.unauthenticated, message: denied.message });
      if (this.#calls !== undefined) return this.#calls.forward(stream, headers);
      const { message } = this.#unanswered("/query");
      refuseCall(stream, { code: GrpcCode.unimplemented, message });
    };
    const denied = this.#access.check((name) => single(headers[name]));
    if (!(denied instanceof Promise)) return decide(denied);
    denied.then(decide).catch((reason: unknown) => {
      this.#context.log.error(
        { receiver: this.#context.id, error: String(reason) },
        "a request failed inside weir",
      );
      stream.close();
    });
  };

  #unanswered(path: string): Fault {
    if (!READS.test(path)) return new Fault("not_found", "Not found");
    return new Fault(
      "unimplemented",
      `queries are not answered here: set ${this.#option} to the URL of a database that does, for example http://127.0.0.1:8181`,
    );
  }
}

/** The form of a v1 query, which may hold the statement; undefined where there is none, or it is too long to be one of ours. */
async function formOf(request: HttpRequest): Promise<Uint8Array | undefined> {
  const type = request.header("content-type") ?? "";
  const isForm = /^application\/x-www-form-urlencoded\b/i.test(type);
  const { declaredBytes } = request;
  if (!isForm || declaredBytes <= 0 || declaredBytes > FORM_BYTES) return undefined;
  const { bytes, length } = await request.readBody(FORM_BYTES);
  return bytes.subarray(0, length);
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
