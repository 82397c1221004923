import { Exporting, type Taken } from "../../kit/doors/exporting.ts";
import { admitBody } from "../../kit/server/admitted-body.ts";
import { ACCEPTED_CODINGS, codingOf, unknownCoding } from "../../kit/server/compression.ts";
import type { HttpAnswer, HttpRequest, HttpServer } from "../../kit/server/http-server.ts";
import { createReceiverServer } from "../../kit/server/receiver-server.ts";
import { requestMetadata } from "../../kit/server/request-metadata.ts";
import { retryPauseSeconds } from "../../kit/server/retry-pause.ts";
import {
  type Encoding,
  partialSuccessBody,
  statusBody,
  successBody,
} from "../../otlp/responses.ts";
import { type Refusal, STATUS } from "../../otlp/status.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Intake, Lease } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import type { HttpConfig } from "./config.ts";

const CONTENT_TYPE: Readonly<Record<Encoding, string>> = {
  protobuf: "application/x-protobuf",
  json: "application/json",
};
const SUCCESS: Readonly<Record<Encoding, HttpAnswer>> = {
  protobuf: { status: 200, contentType: CONTENT_TYPE.protobuf, body: successBody("protobuf") },
  json: { status: 200, contentType: CONTENT_TYPE.json, body: successBody("json") },
};

/** Where SDKs send profiles (OTLP 1.11). */
const PROFILES_PATH = "/v1development/profiles";

/** The OTLP/HTTP server of one receiver. */
export function createOtlpHttpServer(
  config: HttpConfig,
  context: Context,
  intake: Intake,
): HttpServer {
  const exports = new HttpExports(config, context, intake);
  const work = {
    onRequest: (request: HttpRequest) => exports.answer(request),
    onDenied: (request: HttpRequest, why: string) => exports.deny(request, why),
  };
  return createReceiverServer(config, context, work, { path: "protocols.http", name: "HTTP" });
}

/** One request from its head to its answer. */
class HttpExports {
  readonly #exporting: Exporting;
  readonly #limitBytes: number;
  readonly #includesMetadata: boolean;
  readonly #signals: ReadonlyMap<string, Signal>;

  constructor(config: HttpConfig, context: Context, intake: Intake) {
    this.#exporting = new Exporting(context, intake, "http");
    this.#limitBytes = config.max_request_body_size;
    this.#includesMetadata = config.include_metadata;
    const paths: readonly (readonly [string, Signal])[] = [
      [config.logs_url_path, "logs"],
      [config.metrics_url_path, "metrics"],
      [config.traces_url_path, "traces"],
    ];
    this.#signals = new Map(paths.filter(([, signal]) => intake.signals.has(signal)));
  }

  /** Whoever has no credentials learns nothing else. */
  deny(request: HttpRequest, why: string): HttpAnswer {
    const encoding = encodingOf(request.header("content-type"));
    return this.#refuse({ kind: "unauthorized", retryAfterMs: 0, why }, encoding);
  }

  async answer(request: HttpRequest): Promise<HttpAnswer> {
    const encoding = encodingOf(request.header("content-type"));
    const signal = this.#signals.get(request.path);
    const refused = this.#refusedByHead(request, signal, encoding);
    if (refused !== undefined) return refused;
    let lease: Lease | undefined;
    try {
      const used = encoding as Encoding;
      const of = signal as Signal;
      const admit = (bytes: number) => this.#exporting.admit(of, bytes);
      const admitted = await admitBody(request, this.#limitBytes, admit);
      const { body } = admitted;
      lease = admitted.lease;
      if (this.#includesMetadata) lease.metadata = requestMetadata(request.headers);
      const taking =
        used === "json"
          ? this.#exporting.takeJson(of, body, lease)
          : this.#exporting.take(of, body, lease);
      return partialOrFull(of, await taking, used);
    } catch (reason) {
      return this.#refuse(this.#exporting.failure(reason), encoding);
    } finally {
      lease?.[Symbol.dispose]();
    }
  }

  /** What the head alone decides, in this order: path, method, content type, encoding. */
  #refusedByHead(
    request: HttpRequest,
    signal: Signal | undefined,
    encoding: Encoding | undefined,
  ): HttpAnswer | undefined {
    if (signal === undefined)
      return this.#refuse(
        {
          kind: "unimplemented",
          retryAfterMs: 0,
          why: this.#whyNothing(request.path),
        },
        encoding,
      );
    if (request.method !== "POST")
      return this.#refuseAs(405, `send POST, not ${request.method}`, encoding, { Allow: "POST" });
    if (encoding === undefined)
      return this.#refuseAs(
        415,
        "send Content-Type application/x-protobuf or application/json",
        encoding,
      );
    const coding = request.header("content-encoding");
    if (codingOf(coding) === undefined)
      return this.#refuseAs(415, unknownCoding(coding ?? ""), encoding, {
        "Accept-Encoding": ACCEPTED_CODINGS,
      });
    return undefined;
  }

  #whyNothing(path: string): string {
    const taken = `this receiver takes ${[...this.#signals.keys()].join(", ")}`;
    return path === PROFILES_PATH
      ? `profiles are not taken: their format is still in development; ${taken}`
      : `nothing is received at ${JSON.stringify(path.slice(0, 200))}; ${taken}`;
  }

  #refuse(refusal: Refusal, encoding: Encoding | undefined): HttpAnswer {
    const { kind } = refusal;
    this.#exporting.count(kind);
    const isRetryable = kind === "refused" || kind === "unavailable";
    const seconds = isRetryable ? retryPauseSeconds(refusal.retryAfterMs) : 0;
    const why = kind === "internal" ? "internal error" : refusal.why;
    return {
      status: STATUS[kind].http,
      ...statusIn(encoding, { kind, why, retryAfterMs: seconds * 1000 }),
      ...(isRetryable && { headers: { "Retry-After": String(seconds) } }),
    };
  }

  /** Statuses of HTTP itself, which no ErrorKind has. The Status body says INVALID_ARGUMENT. */
  #refuseAs(
    status: number,
    why: string,
    encoding: Encoding | undefined,
    headers: Readonly<Record<string, string>> = {},
  ): HttpAnswer {
    this.#exporting.count("invalid");
    return { status, headers, ...statusIn(encoding, { kind: "invalid", why, retryAfterMs: 0 }) };
  }
}

function partialOrFull(signal: Signal, { rejected, why }: Taken, encoding: Encoding): HttpAnswer {
  if (rejected === 0) return SUCCESS[encoding];
  return { ...SUCCESS[encoding], body: partialSuccessBody(signal, rejected, why, encoding) };
}

/** In the request's own encoding; protobuf when that is neither of OTLP's. */
function statusIn(encoding: Encoding | undefined, status: Refusal) {
  const used = encoding ?? "protobuf";
  return { contentType: CONTENT_TYPE[used], body: statusBody(status, used) };
}

/** Case and parameters ("; charset=utf-8") do not matter. */
function encodingOf(contentType: string | undefined): Encoding | undefined {
  if (contentType === CONTENT_TYPE.protobuf) return "protobuf";
  const type = (contentType ?? "").split(";", 1)[0]?.trim().toLowerCase();
  if (type === CONTENT_TYPE.protobuf) return "protobuf";
  return type === CONTENT_TYPE.json ? "json" : undefined;
}
