import type { OutgoingHttpHeaders } from "node:http2";
import type { Signal } from "../../otlp/tape.ts";
import type { ExporterContext, Verdict } from "../delivery/backend.ts";
import { clientAuthOf } from "../tls/auth-block.ts";
import { ClientTls } from "../tls/tls-client.ts";
import { type BodyCoding, codingFor } from "./body-coding.ts";
import { GrpcClient } from "./grpc-client.ts";
import type { GrpcClientBlock } from "./grpc-client-block.ts";
import type { GrpcTarget } from "./grpc-target.ts";
import { type OtlpSender, partialSuccessLog } from "./otlp-sender.ts";
import { otlpGrpcVerdict } from "./otlp-verdicts.ts";

const SERVICES: Readonly<Record<Signal, string>> = {
  logs: "logs.v1.LogsService",
  metrics: "metrics.v1.MetricsService",
  traces: "trace.v1.TraceService",
};
const CONNECT_TIMEOUT_MS = 10_000;

export interface OtlpGrpcOptions extends GrpcClientBlock {
  readonly target: GrpcTarget;
  readonly lanes: number;
  /** Of one attempt, told to the server; 0 = no limit. */
  readonly timeoutMs: number;
  /** Largest request. */
  readonly maxMessageBytes: number;
}

/** Sends OTLP requests over gRPC as they are. */
export class OtlpGrpcSender implements OtlpSender {
  readonly #client: GrpcClient;
  readonly #path: string;
  readonly #headers: OutgoingHttpHeaders;
  readonly #coding: BodyCoding | undefined;
  readonly #warn: (rejected: number, message: string) => void;

  constructor(options: OtlpGrpcOptions, context: ExporterContext) {
    const { keepalive, timeoutMs, tls } = options;
    this.#client = new GrpcClient({
      target: options.target,
      connections: options.lanes,
      tls: tls && new ClientTls(tls, context),
      auth: clientAuthOf(options.auth, context),
      balancer: options.balancer_name,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      authority: options.authority,
      keepalive: keepalive && {
        everyMs: keepalive.time,
        timeoutMs: keepalive.timeout,
        withoutCalls: keepalive.permit_without_stream,
      },
      waitForReady: options.wait_for_ready,
      maxMessageBytes: options.maxMessageBytes,
    });
    this.#path = `/opentelemetry.proto.collector.${SERVICES[context.signal]}/Export`;
    this.#coding = codingFor(options.compression);
    this.#headers = {
      "user-agent": options.user_agent,
      ...(timeoutMs > 0 && { "grpc-timeout": grpcTimeout(timeoutMs) }),
      ...metadataOf(options.headers),
    };
    this.#warn = partialSuccessLog(context);
  }

  async post(body: Uint8Array, stop: AbortSignal): Promise<Verdict> {
    const message = this.#coding === undefined ? body : await this.#coding.encode(body);
    const call = {
      path: this.#path,
      message,
      encoding: this.#coding?.name,
      headers: this.#headers,
    };
    return otlpGrpcVerdict(await this.#client.call(call, stop), this.#warn);
  }

  async close(): Promise<void> {
    this.#client.close();
  }
}

/** At most eight digits and a unit. */
function grpcTimeout(ms: number): string {
  const rounded = Math.ceil(ms);
  return rounded < 1e8 ? `${rounded}m` : `${Math.min(Math.ceil(ms / 1_000), 99_999_999)}S`;
}

/** Names in lower case; the values of -bin names in base64, as gRPC wants. */
function metadataOf(headers: GrpcClientBlock["headers"]): OutgoingHttpHeaders {
  const metadata: Record<string, string> = {};
  for (const [given, value] of Object.entries(headers)) {
    const name = given.toLowerCase();
    if (name === "content-type" || name === "te") continue;
    const text = value.reveal();
    metadata[name] = name.endsWith("-bin") ? Buffer.from(text).toString("base64") : text;
  }
  return metadata;
}
