import { resolve } from "node:path";
import type {
  Backend,
  ExporterContext,
  ExporterFactory,
  Sending,
  Verdict,
} from "../../kit/backend.ts";
import { lineShapeRemover } from "../../kit/line-shape.ts";
import { LARGEST_LINE_ITEM } from "../../kit/oversize.ts";
import { type BatchText, type Pick, textWriter } from "../../kit/request-writer.ts";
import { getOrMake } from "../../lib/get-or-make.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { compileLineWriter } from "../../series/plan.ts";
import { TableChoice } from "../../series/table-choice.ts";
import type { Table } from "../../series/tables.ts";
import type { Writer } from "../../series/writer.ts";
import { Appender } from "./appender.ts";
import { endOfLines, endOfRows } from "./complete-lines.ts";
import { type Config, fileConfig } from "./config.ts";

type CompileLineWriter = typeof compileLineWriter;

const MAX_ITEMS = 1 << 16;

/** The file exporter over the given series tables. */
export function createFile(
  tables: readonly Table[],
  compile: CompileLineWriter,
  pick: Pick,
  writeJson: BatchText,
): ExporterFactory<Config> {
  const appenders = new Map<string, Appender>();
  const choice = new TableChoice(tables);
  return {
    kind: "exporter",
    type: "file",
    summary: "Appends series rows or OTLP/JSON to a file.",
    stability: { logs: "beta", traces: "beta", metrics: "beta" },
    schema: fileConfig(choice),
    fileOptions: ["tables"],
    example: { path: "./data/telemetry.jsonl" },
    create: <S extends Signal>(config: Config, context: ExporterContext<S>) => {
      const { signal, indexer } = context;
      const strip = lineShapeRemover(indexer.keys);
      const text: BatchText = config.keep_line_shape
        ? (batch) => `${writeJson(batch)}\n`
        : (batch) => `${writeJson(strip(batch))}\n`;
      const writer =
        config.format === "lines"
          ? compile({
              signal,
              ...choice.choose(config.tables),
              keys: indexer.keys,
              dialect: "v3",
              ...(config.metric_tags === undefined ? {} : { metricTags: config.metric_tags }),
            })
          : textWriter<S>(indexer, pick, text);
      return new FileBackend(config, context, writer, appenderOf(appenders, config));
    },
  };
}

/** Routes (signals, a reload's old and new instance) that write to one file take turns. */
function appenderOf(appenders: Map<string, Appender>, config: Config): Appender {
  const format = config.format === "lines" ? "lines" : "json";
  return getOrMake(
    appenders,
    `${format} ${resolve(config.path)}`,
    () =>
      new Appender({
        path: config.path,
        createDirectory: config.create_directory,
        fsync: config.fsync,
        completeEnd: format === "lines" ? endOfRows : endOfLines,
      }),
  );
}

class FileBackend<S extends Signal> implements Backend<S> {
  readonly writer: Writer<S>;
  readonly limits: Backend["limits"];
  readonly #context: ExporterContext<S>;
  readonly #appender: Appender;
  readonly #path: string;
  #started = false;

  constructor(config: Config, context: ExporterContext<S>, writer: Writer<S>, appender: Appender) {
    this.writer = writer;
    this.limits = {
      bytes: config.max_body_size,
      items: MAX_ITEMS,
      lanes: 1,
      ...(config.format === "lines" && { itemBytes: LARGEST_LINE_ITEM }),
    };
    this.#context = context;
    this.#path = config.path;
    this.#appender = appender;
  }

  async start(): Promise<void> {
    const { log, route } = this.#context;
    const path = this.#path;
    this.#started = true;
    try {
      const cut = await this.#appender.open();
      if (cut > 0)
        log.warn({ route, path, bytes: cut }, "cut off a line that a crash left incomplete");
    } catch (cause) {
      throw new Error(`cannot open ${path}: ${hintOf(cause)}`, { cause });
    }
  }

  async stop(): Promise<void> {
    if (this.#started) await this.#appender.close();
    this.#started = false;
  }

  async post(body: Uint8Array, _sending: Sending): Promise<Verdict> {
    try {
      await this.#appender.append(body);
      return { is: "sent", unconfirmed: false };
    } catch (reason) {
      return { is: "retry", why: `cannot write ${this.#path}: ${hintOf(reason)}`, alarm: true };
    }
  }
}

function hintOf(reason: unknown): string {
  const { code, message } = reason as NodeJS.ErrnoException;
  if (code === "ENOENT")
    return "its directory does not exist: create it, or set create_directory: true";
  if (code === "EACCES" || code === "EPERM") return "permission denied";
  if (code === "ENOSPC") return "the disk is full";
  return message;
}
