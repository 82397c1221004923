import type {
  Backend,
  ExporterContext,
  ExporterFactory,
  Sending,
  Verdict,
} from "../../kit/delivery/backend.ts";
import { type BatchText, type Pick, textWriter } from "../../kit/delivery/request-writer.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Writer } from "../../series/writer.ts";
import { type Config, config } from "./config.ts";
import { itemLines } from "./item-lines.ts";
import { Sampler } from "./sampler.ts";

/** Where the text goes; tests have their own. Resolves when the bytes may be reused. */
export type Out = (bytes: Uint8Array, to: "stdout" | "stderr") => Promise<void>;

const LIMITS = { bytes: 4 << 20, items: 1 << 16, lanes: 1 };

/** The debug exporter, over streams (this process's unless told). */
export function createDebug(
  pick: Pick,
  writeJson: BatchText,
  out: Out = ownStream,
): ExporterFactory<Config> {
  return {
    kind: "exporter",
    type: "debug",
    summary: "Shows on standard error what arrives.",
    stability: { logs: "beta", traces: "beta", metrics: "beta" },
    schema: config,
    example: { verbosity: "normal" },
    create: (config, context) => {
      const isBasic = config.verbosity === "basic";
      const text = textOf(config.verbosity, writeJson);
      const writer = textWriter(context.indexer, pick, text, isBasic);
      return new Debug(config, context, writer, out);
    },
  };
}

class Debug<S extends Signal> implements Backend<S> {
  readonly writer: Writer<S>;
  readonly limits = LIMITS;
  readonly #config: Config;
  readonly #context: ExporterContext<S>;
  readonly #sampler: Sampler;
  readonly #out: Out;

  constructor(config: Config, context: ExporterContext<S>, writer: Writer<S>, out: Out) {
    const { sampling_initial, sampling_thereafter } = config;
    this.writer = writer;
    this.#config = config;
    this.#context = context;
    this.#sampler = new Sampler(sampling_initial, sampling_thereafter, context.nowMs);
    this.#out = out;
  }

  async start(): Promise<void> {}
  async stop(): Promise<void> {}

  async post(body: Uint8Array, { rows }: Sending): Promise<Verdict> {
    const held = this.#sampler.take(rows);
    if (held !== undefined) await this.#show(body, rows, held);
    return { is: "sent", unconfirmed: false };
  }

  /** `held`: items before these that were not shown. */
  async #show(body: Uint8Array, rows: number, held: number): Promise<void> {
    const { log, signal, route } = this.#context;
    const { verbosity, use_internal_logger, output_paths } = this.#config;
    const notShown = held > 0 ? { notShown: held } : {};
    if (verbosity === "basic") log.info({ route, [signal]: rows, ...notShown }, "debug");
    else if (held > 0) log.info({ route, ...notShown }, "debug");
    if (verbosity === "basic") return;
    const paths = use_internal_logger ? ["stderr" as const] : new Set(output_paths);
    for (const path of paths) await this.#out(body, path);
  }
}

function textOf(verbosity: Config["verbosity"], writeJson: BatchText): BatchText {
  if (verbosity === "basic") return () => "";
  return verbosity === "normal" ? itemLines : (batch) => `${writeJson(batch)}\n`;
}

function ownStream(bytes: Uint8Array, to: "stdout" | "stderr"): Promise<void> {
  return new Promise((resolve) => {
    process[to].write(bytes, () => resolve());
  });
}
