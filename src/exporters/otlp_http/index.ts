import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import { clientAuthOf } from "../../kit/auth-block.ts";
import type {
  Backend,
  ExporterContext,
  ExporterFactory,
  Sending,
  Verdict,
} from "../../kit/backend.ts";
import { HttpClient } from "../../kit/http-client.ts";
import { lineShapeRemover } from "../../kit/line-shape.ts";
import { type Pick, putBytes, RequestWriter } from "../../kit/request-writer.ts";
import { ClientTls } from "../../kit/tls-client.ts";
import { Seldom } from "../../lib/seldom.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Writer } from "../../series/writer.ts";
import { type Config, config } from "./config.ts";

import { otlpVerdict } from "./verdicts.ts";

const MAX_ITEMS = 1 << 20;
const SAME_WARNING_EVERY_MS = 10_000;
const compress = promisify(gzip);

/** The otlp_http exporter. Untouched telemetry leaves with the very bytes it came in with. */
export function createOtlpHttp(pick: Pick): ExporterFactory<Config> {
  return {
    kind: "exporter",
    type: "otlp_http",
    summary: "Sends telemetry to any OTLP backend over HTTP.",
    stability: { logs: "beta", traces: "beta", metrics: "beta" },
    schema: config,
    example: { endpoint: "http://127.0.0.1:4318" },
    create: (config, context) => new OtlpHttp(config, context, pick),
  };
}

class OtlpHttp<S extends Signal> implements Backend<S> {
  readonly writer: Writer<S>;
  readonly limits: Backend["limits"];
  readonly #client: HttpClient;
  readonly #path: string;
  readonly #headers: readonly string[];
  readonly #gzip: boolean;
  readonly #context: ExporterContext<S>;
  readonly #seldom: Seldom;

  constructor(config: Config, context: ExporterContext<S>, pick: Pick) {
    const { indexer, signal } = context;
    const lanes = config.sending_queue.num_consumers;
    const address = addressOf(config, signal);
    const strip = config.keep_line_shape ? undefined : lineShapeRemover(indexer.keys);
    // Export requests that follow one another are one valid request: protobuf appends repeated fields.
    this.writer = new RequestWriter<S>(indexer, pick, (batch, out) => {
      const { bytes, length } = strip === undefined ? batch : strip(batch);
      return putBytes(bytes, length, out);
    });
    this.limits = { bytes: config.max_body_size, items: MAX_ITEMS, lanes };
    this.#client = new HttpClient({
      origin: address.origin,
      connections: lanes,
      tls: config.tls && new ClientTls(config.tls, context),
      auth: clientAuthOf(config.auth, context),
    });
    this.#path = `${address.pathname}${address.search}`;
    this.#gzip = config.compression === "gzip";
    this.#headers = headersOf(config, this.#gzip);
    this.#context = context;
    this.#seldom = new Seldom(SAME_WARNING_EVERY_MS, context.nowMs);
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    await this.#client.close();
  }

  async post(body: Uint8Array, _sending: Sending, stop: AbortSignal): Promise<Verdict> {
    const bytes = this.#gzip ? await compress(body, { level: constants.Z_BEST_SPEED }) : body;
    const answer = await this.#client.post(this.#path, [...this.#headers], bytes, stop);
    return otlpVerdict(answer, this.#context.nowMs(), (rejected, message) => {
      const { log, route } = this.#context;
      const count = this.#seldom.count("partial");
      if (count !== undefined)
        log.warn({ route, rejected, message, count }, "the destination did not keep everything");
    });
  }
}

function addressOf(config: Config, signal: Signal): URL {
  const whole = config[`${signal}_endpoint`];
  if (whole !== undefined) return new URL(whole);
  if (config.endpoint === undefined)
    throw new Error(`otlp_http has no address for ${signal}: set endpoint or ${signal}_endpoint`);
  const address = new URL(config.endpoint);
  address.pathname = `${address.pathname.replace(/\/+$/, "")}/v1/${signal}`;
  return address;
}

function headersOf(config: Config, gzipped: boolean): readonly string[] {
  const headers = ["content-type", "application/x-protobuf"];
  if (gzipped) headers.push("content-encoding", "gzip");
  for (const [name, value] of Object.entries(config.headers)) {
    const lower = name.toLowerCase();
    if (lower !== "content-type" && lower !== "content-encoding")
      headers.push(name, value.reveal());
  }
  return headers;
}
