import { Secret } from "../../config/blocks.ts";
import { grpcTarget } from "../../kit/client/grpc-target.ts";
import { OtlpGrpcSender } from "../../kit/client/otlp-grpc-sender.ts";
import { OtlpHttpSender, signalAddress } from "../../kit/client/otlp-http-sender.ts";
import type { OtlpSender } from "../../kit/client/otlp-sender.ts";
import type {
  Backend,
  ExporterContext,
  ExporterFactory,
  Sending,
  Verdict,
} from "../../kit/delivery/backend.ts";
import { BodyCounts } from "../../kit/delivery/body-counts.ts";
import { leftOutCounter } from "../../kit/delivery/left-out-counter.ts";
import { type ItemLimits, LimitedOtlpWriter } from "../../kit/delivery/limited-writer.ts";
import { MAX_OTLP_ITEMS, putProtobuf } from "../../kit/delivery/otlp-writer.ts";
import type { Pick } from "../../kit/delivery/request-writer.ts";
import { putAttribute } from "../../kit/delivery/split-bodies.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Writer } from "../../series/writer.ts";
import { type Config, config } from "./config.ts";

/** Dash0's limits for the body of a log record ("4 KB") and for names of attributes, bytes of UTF-8. */
const LONGEST_BODY = 4_096;
const LONGEST_KEY = 128;
/** Attributes of the parts of one record: 1, 2, 3 …, and how many there are. */
const PART = "log.record.part";
const PARTS = "log.record.parts";
const GRPC_PORT = 4317;
const HTTP_PORT = 4318;

/** The dash0 exporter: OTLP with Dash0's addresses, headers and limits. */
export function createDash0(pick: Pick): ExporterFactory<Config> {
  return {
    kind: "exporter",
    type: "dash0",
    summary: "Sends telemetry to Dash0.",
    stability: { logs: "beta", traces: "beta", metrics: "beta" },
    schema: config,
    example: { region: "eu-west-1", token: "auth_xyz" },
    create: (config, context) => new Dash0(config, context, pick),
  };
}

class Dash0<S extends Signal> implements Backend<S> {
  readonly writer: Writer<S>;
  readonly limits: Backend["limits"];
  readonly #counts = new BodyCounts();
  readonly #sender: OtlpSender;

  constructor(config: Config, context: ExporterContext<S>, pick: Pick) {
    const lanes = config.sending_queue.num_consumers;
    const { indexer, nowMs } = context;
    const limits = limitsOf(config, context.signal);
    const leftOut = leftOutCounter(context, this.#counts);
    const writer = new LimitedOtlpWriter<S>({
      indexer,
      pick,
      put: putProtobuf,
      limits,
      nowMs,
      leftOut,
    });
    this.writer = this.#counts.watch(writer);
    this.limits = { bytes: config.max_body_size, items: MAX_OTLP_ITEMS, lanes };
    this.#sender = senderOf(config, context, lanes);
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    await this.#sender.close();
  }

  async post(body: Uint8Array, _sending: Sending, stop: AbortSignal): Promise<Verdict> {
    const verdict = await this.#sender.post(body, stop);
    if (verdict.is === "sent") this.#counts.taken(body);
    return verdict;
  }
}

function limitsOf(config: Config, signal: Signal): ItemLimits {
  const or = (limit: number) => (limit === 0 ? Number.POSITIVE_INFINITY : limit);
  const count = signal === "logs" ? config.max_log_attributes : config.max_span_attributes;
  return {
    maxAgeMs: config.max_age,
    maxAheadMs: config.max_ahead,
    body: {
      bytes: LONGEST_BODY,
      marks: 2,
      mark: (out, part, parts) => {
        putAttribute(out, PART, part);
        putAttribute(out, PARTS, parts);
      },
    },
    // None are known for data points.
    ...(signal !== "metrics" && {
      attributes: {
        count: or(count),
        keyBytes: LONGEST_KEY,
        valueBytes: or(config.max_attribute_value_size),
        totalBytes: Number.POSITIVE_INFINITY,
        isFlat: false,
      },
    }),
  };
}

function senderOf(config: Config, context: ExporterContext, lanes: number): OtlpSender {
  const { protocol, compression, tls, proxy_url, timeout: timeoutMs } = config;
  const headers = {
    ...config.headers,
    Authorization: new Secret(`Bearer ${config.token.reveal()}`),
    "Dash0-Dataset": new Secret(config.dataset),
  };
  const client = { headers, compression, tls, auth: undefined, lanes };
  if (protocol === "http") {
    const base = config.endpoint ?? `https://${hostOf(config)}:${HTTP_PORT}`;
    const address = signalAddress(base, context.signal);
    const contentType = "application/x-protobuf";
    return new OtlpHttpSender({ ...client, proxy_url, address, contentType }, context);
  }
  const endpoint = config.endpoint ?? `${hostOf(config)}:${GRPC_PORT}`;
  const target = grpcTarget(endpoint, tls?.insecure ?? false);
  if (typeof target === "string") throw new Error(`endpoint: ${target}`);
  const maxMessageBytes = config.max_body_size;
  const usual = {
    balancer_name: "round_robin",
    wait_for_ready: false,
    user_agent: "otel-weir",
  } as const;
  return new OtlpGrpcSender({ ...client, ...usual, target, timeoutMs, maxMessageBytes }, context);
}

function hostOf({ region = "", cloud }: Config): string {
  return `ingress.${region}.${cloud}.dash0.com`;
}
