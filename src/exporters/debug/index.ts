import type {
  Backend,
  ExporterContext,
  ExporterFactory,
  Sending,
  Verdict,
} from "../../kit/backend.ts";
import { type BatchText, type Pick, textWriter } from "../../kit/request-writer.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Writer } from "../../series/writer.ts";
import { type Config, config } from "./config.ts";
import { itemLines } from "./item-lines.ts";

/** Where the text goes; tests have their own. Resolves when the bytes may be reused. */
export type Out = (bytes: Uint8Array) => Promise<void>;

const LIMITS = { bytes: 4 << 20, items: 1 << 16, lanes: 1 };

/** The debug exporter, over a stream (standard error unless told). */
export function createDebug(
  pick: Pick,
  writeJson: BatchText,
  out: Out = standardError,
): ExporterFactory<Config> {
  return {
    kind: "exporter",
    type: "debug",
    summary: "Shows on standard error what arrives.",
    stability: { logs: "beta", traces: "beta", metrics: "beta" },
    schema: config,
    example: { verbosity: "normal" },
    create: ({ verbosity }, context) =>
      new Debug(
        context,
        textOf(verbosity, writeJson),
        pick,
        verbosity === "basic" ? undefined : out,
      ),
  };
}

class Debug<S extends Signal> implements Backend<S> {
  readonly writer: Writer<S>;
  readonly limits = LIMITS;
  readonly #context: ExporterContext<S>;
  readonly #out: Out | undefined;

  constructor(context: ExporterContext<S>, text: BatchText, pick: Pick, out: Out | undefined) {
    this.writer = textWriter<S>(context.indexer, pick, text, out === undefined);
    this.#context = context;
    this.#out = out;
  }

  async start(): Promise<void> {}
  async stop(): Promise<void> {}

  async post(body: Uint8Array, { rows }: Sending): Promise<Verdict> {
    const { log, signal, route } = this.#context;
    if (this.#out === undefined) log.info({ route, [signal]: rows }, "debug");
    else await this.#out(body);
    return { is: "sent", unconfirmed: false };
  }
}

function textOf(verbosity: Config["verbosity"], writeJson: BatchText): BatchText {
  if (verbosity === "basic") return () => "";
  return verbosity === "normal" ? itemLines : (batch) => `${writeJson(batch)}\n`;
}

function standardError(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    process.stderr.write(bytes, () => resolve());
  });
}
