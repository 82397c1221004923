import { OtlpHttpSender, signalAddress } from "../../kit/client/otlp-http-sender.ts";
import type {
  Backend,
  ExporterContext,
  ExporterFactory,
  Sending,
  Verdict,
} from "../../kit/delivery/backend.ts";
import {
  jsonPut,
  MAX_OTLP_ITEMS,
  otlpWriter,
  putProtobuf,
} from "../../kit/delivery/otlp-writer.ts";
import type { BatchText, Pick } from "../../kit/delivery/request-writer.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Writer } from "../../series/writer.ts";
import { type Config, config } from "./config.ts";

/** The otlp_http exporter. Untouched telemetry leaves with the very bytes it came in with. */
export function createOtlpHttp(pick: Pick, writeJson: BatchText): ExporterFactory<Config> {
  return {
    kind: "exporter",
    type: "otlp_http",
    summary: "Sends telemetry to any OTLP backend over HTTP.",
    stability: { logs: "beta", traces: "beta", metrics: "beta" },
    schema: config,
    unsupported: (config, signal) =>
      (config[`${signal}_endpoint`] ?? config.endpoint) === undefined
        ? `it has no address for them: set endpoint or ${signal}_endpoint`
        : undefined,
    example: { endpoint: "http://127.0.0.1:4318" },
    create: (config, context) => new OtlpHttp(config, context, pick, writeJson),
  };
}

class OtlpHttp<S extends Signal> implements Backend<S> {
  readonly writer: Writer<S>;
  readonly limits: Backend["limits"];
  readonly #sender: OtlpHttpSender;

  constructor(config: Config, context: ExporterContext<S>, pick: Pick, writeJson: BatchText) {
    const lanes = config.sending_queue.num_consumers;
    const isJson = config.encoding === "json";
    const put = isJson ? jsonPut<S>(writeJson) : putProtobuf;
    this.writer = otlpWriter<S>(context.indexer, pick, put, config.keep_line_shape);
    this.limits = { bytes: config.max_body_size, items: MAX_OTLP_ITEMS, lanes };
    const address = addressOf(config, context.signal);
    const contentType = isJson ? "application/json" : "application/x-protobuf";
    this.#sender = new OtlpHttpSender({ ...config, address, contentType, lanes }, context);
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    await this.#sender.close();
  }

  post(body: Uint8Array, _sending: Sending, stop: AbortSignal): Promise<Verdict> {
    return this.#sender.post(body, stop);
  }
}

function addressOf(config: Config, signal: Signal): URL {
  const whole = config[`${signal}_endpoint`];
  if (whole !== undefined) return new URL(whole);
  if (config.endpoint === undefined)
    throw new Error(`otlp_http has no address for ${signal}: set endpoint or ${signal}_endpoint`);
  return signalAddress(config.endpoint, signal);
}
