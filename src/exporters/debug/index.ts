import type {
  Backend,
  ExporterContext,
  ExporterFactory,
  Sending,
  Verdict,
} from "../../kit/delivery/backend.ts";
import { type BatchText, type Pick, textWriter } from "../../kit/delivery/request-writer.ts";
import { errorText } from "../../kit/error-text.ts";
import { Seldom } from "../../lib/seldom.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Writer } from "../../series/writer.ts";
import { type Config, config } from "./config.ts";
import { itemLines } from "./item-lines.ts";
import { Sampler } from "./sampler.ts";

/** Where the text goes; tests have their own. Resolves when the bytes may be reused; rejects when nobody reads them (any more). */
export type Out = (bytes: Uint8Array, to: "stdout" | "stderr") => Promise<void>;

const SHOWN = Promise.resolve();
const SAME_WARNING_EVERY_MS = 10_000;
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
  readonly #seldom: Seldom;
  /** What was shown last is with its reader. */
  #last = SHOWN;

  constructor(config: Config, context: ExporterContext<S>, writer: Writer<S>, out: Out) {
    const { sampling_initial, sampling_thereafter } = config;
    this.writer = writer;
    this.#config = config;
    this.#context = context;
    this.#sampler = new Sampler(sampling_initial, sampling_thereafter, context.nowMs);
    this.#out = out;
    this.#seldom = new Seldom(SAME_WARNING_EVERY_MS, context.nowMs);
  }

  async start(): Promise<void> {}
  async stop(): Promise<void> {}

  async post(body: Uint8Array, { rows }: Sending, stop: AbortSignal): Promise<Verdict> {
    // A reader that has stopped reading: what it was given would be in memory once for each attempt.
    await Promise.race([this.#last, aborted(stop)]);
    if (stop.aborted) return { is: "retry", why: "nobody reads what was shown before" };
    const held = this.#sampler.take(rows);
    try {
      const showing = held === undefined ? SHOWN : this.#show(body, rows, held);
      this.#last = showing.catch(() => {});
      await showing;
      return { is: "sent", unconfirmed: false };
    } catch (reason) {
      const { log, route } = this.#context;
      const count = this.#seldom.count("output", rows);
      if (count !== undefined)
        log.warn(
          { route, error: errorText(reason), items: count },
          "nobody reads what the debug exporter shows: it is dropped",
        );
      return { is: "sent", unconfirmed: false, dropped: new Map([["not_shown", rows]]) };
    }
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

function aborted(stop: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (stop.aborted) resolve();
  stop.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}

function textOf(verbosity: Config["verbosity"], writeJson: BatchText): BatchText {
  if (verbosity === "basic") return () => "";
  return verbosity === "normal" ? itemLines : (batch) => `${writeJson(batch)}\n`;
}

function ownStream(bytes: Uint8Array, to: "stdout" | "stderr"): Promise<void> {
  return new Promise((resolve, reject) => {
    process[to].write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}
