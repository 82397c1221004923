import { grpcTarget } from "../../kit/client/grpc-target.ts";
import { OtlpGrpcSender } from "../../kit/client/otlp-grpc-sender.ts";
import type {
  Backend,
  ExporterContext,
  ExporterFactory,
  Sending,
  Verdict,
} from "../../kit/delivery/backend.ts";
import { MAX_OTLP_ITEMS, otlpWriter, putProtobuf } from "../../kit/delivery/otlp-writer.ts";
import type { Pick } from "../../kit/delivery/request-writer.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Writer } from "../../series/writer.ts";
import { type Config, config } from "./config.ts";

/** The otlp_grpc exporter. Untouched telemetry leaves with the very bytes it came in with. */
export function createOtlpGrpc(pick: Pick): ExporterFactory<Config> {
  return {
    kind: "exporter",
    type: "otlp_grpc",
    summary: "Sends telemetry to any OTLP backend over gRPC.",
    stability: { logs: "beta", traces: "beta", metrics: "beta" },
    schema: config,
    example: { endpoint: "http://127.0.0.1:4317" },
    create: (config, context) => new OtlpGrpc(config, context, pick),
  };
}

class OtlpGrpc<S extends Signal> implements Backend<S> {
  readonly writer: Writer<S>;
  readonly limits: Backend["limits"];
  readonly #sender: OtlpGrpcSender;

  constructor(config: Config, context: ExporterContext<S>, pick: Pick) {
    const { max_message_size: bytes, sending_queue, timeout: timeoutMs } = config;
    const lanes = sending_queue.num_consumers;
    const target = grpcTarget(config.endpoint, config.tls?.insecure ?? false);
    if (typeof target === "string") throw new Error(`endpoint: ${target}`);
    this.writer = otlpWriter<S>(context.indexer, pick, putProtobuf, config.keep_line_shape);
    this.limits = { bytes, items: MAX_OTLP_ITEMS, lanes };
    this.#sender = new OtlpGrpcSender(
      { ...config, target, lanes, timeoutMs, maxMessageBytes: bytes },
      context,
    );
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    await this.#sender.close();
  }

  post(body: Uint8Array, _sending: Sending, stop: AbortSignal): Promise<Verdict> {
    return this.#sender.post(body, stop);
  }
}
