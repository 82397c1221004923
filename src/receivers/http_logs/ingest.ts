import { Exporting } from "../../kit/doors/exporting.ts";
import { RecordRequests, type RecordsTaken } from "../../kit/doors/record-requests.ts";
import { admitBody } from "../../kit/server/admitted-body.ts";
import type { HttpAnswer, HttpRequest } from "../../kit/server/http-server.ts";
import { retryPauseSeconds } from "../../kit/server/retry-pause.ts";
import { type Refusal, STATUS } from "../../otlp/status.ts";
import type { Intake } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import { recordsOf } from "./bodies.ts";
import { realCoding } from "./coding.ts";
import type { Config } from "./config.ts";
import { tagOf, timeOf } from "./tags.ts";

const JSON_TYPE = "application/json";
const METHODS = new Set(["POST", "PUT"]);
const TAKEN: HttpAnswer = { status: 200 };

/** One request from its head to its answer. */
export class Ingest {
  readonly #limitBytes: number;
  readonly #tagHeaders: readonly string[];
  readonly #exporting: Exporting;
  readonly #records: RecordRequests;

  constructor(config: Config, context: Context, intake: Intake) {
    const { service_name: serviceName } = config;
    this.#limitBytes = config.max_request_body_size;
    this.#tagHeaders = config.tag_headers.map((name) => name.toLowerCase());
    this.#exporting = new Exporting(context, intake, "http");
    const named = serviceName === undefined ? {} : { serviceName };
    this.#records = new RecordRequests(context, intake, this.#exporting, named);
  }

  /** Whoever has no credentials learns nothing else. */
  deny(why: string): HttpAnswer {
    return this.#refuse({ kind: "unauthorized", retryAfterMs: 0, why });
  }

  async answer(request: HttpRequest): Promise<HttpAnswer> {
    const { method, path, query } = request;
    if (!METHODS.has(method)) return this.#wrongMethod(method);
    try {
      const admitted = await admitBody(
        request,
        this.#limitBytes,
        (bytes) => this.#exporting.admit("logs", bytes),
        (body) => realCoding(body, request.header("content-encoding")),
      );
      using lease = admitted.lease;
      const source = recordsOf(admitted.body, timeOf(query));
      const given = tagOf(path, this.#tagHeader(request));
      return told(await this.#records.take(source, given, lease));
    } catch (reason) {
      return this.#refuse(this.#exporting.failure(reason));
    }
  }

  #tagHeader(request: HttpRequest): string | undefined {
    for (const name of this.#tagHeaders) {
      const value = request.header(name);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  #wrongMethod(method: string): HttpAnswer {
    this.#exporting.count("invalid");
    const why = `send POST or PUT, not ${method}`;
    return { status: 405, headers: { Allow: "POST, PUT" }, ...inJson({ error: why }) };
  }

  /** Fluent Bit drops a body after a status below 500 and sends it again after the others. */
  #refuse({ kind, why, retryAfterMs }: Refusal): HttpAnswer {
    this.#exporting.count(kind);
    const isRetryable = kind === "refused" || kind === "unavailable";
    return {
      status: STATUS[kind].http,
      ...inJson({ error: kind === "internal" ? "internal error" : why }),
      ...(isRetryable && { headers: { "Retry-After": String(retryPauseSeconds(retryAfterMs)) } }),
    };
  }
}

/** 400 only for a body of which nothing could be taken: to send it again helps nobody. */
function told({ items, rejected, why }: RecordsTaken): HttpAnswer {
  if (rejected === 0) return TAKEN;
  const answer = inJson({ accepted: items, rejected, error: why });
  return { status: items === 0 ? 400 : 200, ...answer };
}

function inJson(value: object): { readonly contentType: string; readonly body: string } {
  return { contentType: JSON_TYPE, body: `${JSON.stringify(value)}\n` };
}
