import { resolve } from "node:path";
import { type BodyCoding, codingFor } from "../../kit/client/body-coding.ts";
import type {
  Backend,
  ExporterContext,
  ExporterFactory,
  Sending,
  Verdict,
} from "../../kit/delivery/backend.ts";
import { BodyCounts } from "../../kit/delivery/body-counts.ts";
import { droppedFieldCounter } from "../../kit/delivery/dropped-field-counter.ts";
import { jsonLinePut, jsonPut, otlpWriter, putProtobuf } from "../../kit/delivery/otlp-writer.ts";
import { LARGEST_LINE_ITEM } from "../../kit/delivery/oversize.ts";
import type { BatchText, Pick, Put } from "../../kit/delivery/request-writer.ts";
import { getOrMake } from "../../lib/get-or-make.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { compileLineWriter } from "../../series/plan.ts";
import { TableChoice } from "../../series/tables/table-choice.ts";
import type { Table } from "../../series/tables/tables.ts";
import type { Writer } from "../../series/writer.ts";
import { Appender } from "./appender.ts";
import { endOfLines, endOfRows } from "./complete-lines.ts";
import { type Config, fileConfig } from "./config.ts";
import { HangUp } from "./hang-up.ts";
import { endOfRecords, recordOf } from "./records.ts";
import { Rotation } from "./rotation.ts";

type CompileLineWriter = typeof compileLineWriter;

const MAX_ITEMS = 1 << 16;
const MIB = 1 << 20;
/** What does not compress becomes a little larger. */
const RECORD_SLACK = 1 << 16;

/** The file exporter over the given series tables. */
export function createFile(
  tables: readonly Table[],
  compile: CompileLineWriter,
  pick: Pick,
  writeJson: BatchText,
): ExporterFactory<Config> {
  const appenders = new Map<string, Appender>();
  const hangUp = new HangUp();
  const choice = new TableChoice(tables);
  return {
    kind: "exporter",
    type: "file",
    summary: "Appends series rows or OTLP requests to a file.",
    stability: { logs: "beta", traces: "beta", metrics: "beta" },
    schema: fileConfig(choice),
    fileOptions: ["tables"],
    example: { path: "./data/telemetry.jsonl" },
    create: <S extends Signal>(config: Config, context: ExporterContext<S>) => {
      const { signal, indexer } = context;
      const counts = new BodyCounts();
      const writer =
        config.format === "lines"
          ? counts.watch(
              compile({
                signal,
                ...choice.choose(config.tables),
                keys: indexer.keys,
                dialect: "v3",
                onFieldDropped: droppedFieldCounter(context, counts),
                ...(config.metric_tags === undefined ? {} : { metricTags: config.metric_tags }),
              }),
            )
          : otlpWriter<S>(indexer, pick, putOf<S>(config, writeJson), config.keep_line_shape);
      const appender = getOrMake(appenders, keyOf(config), () => appenderOf(config, context));
      return new FileBackend(config, context, { writer, counts }, appender, hangUp);
    },
  };
}

/** How a write stands in the file: as lines, or as records behind their lengths. */
function framingOf({ format, compression }: Config): "rows" | "lines" | "records" {
  if (format === "proto" || compression === "zstd") return "records";
  return format === "lines" ? "rows" : "lines";
}

/** A record is one request; lines are one request each. */
function putOf<S extends Signal>(config: Config, writeJson: BatchText): Put<S> {
  if (config.format === "proto") return putProtobuf;
  return framingOf(config) === "records" ? jsonPut(writeJson) : jsonLinePut(writeJson);
}

/** Routes (signals, a reload's old and new instance) that write to one file take turns. */
function keyOf(config: Config): string {
  return `${framingOf(config)} ${resolve(config.path)}`;
}

function appenderOf(config: Config, { nowMs }: ExporterContext): Appender {
  const { path, rotation, max_body_size: most } = config;
  const ends = { rows: endOfRows, lines: endOfLines, records: endOfRecords(most + RECORD_SLACK) };
  return new Appender({
    path,
    createDirectory: config.create_directory,
    fsync: config.fsync,
    completeEnd: ends[framingOf(config)],
    ...(rotation !== undefined && {
      rotation: new Rotation(
        path,
        {
          maxBytes: rotation.max_megabytes * MIB,
          maxDays: rotation.max_days,
          maxBackups: rotation.max_backups,
          localtime: rotation.localtime,
        },
        nowMs,
      ),
    }),
  });
}

/** What is written, and what is counted of it. */
interface Output<S extends Signal> {
  readonly writer: Writer<S>;
  readonly counts: BodyCounts;
}

class FileBackend<S extends Signal> implements Backend<S> {
  readonly writer: Writer<S>;
  readonly limits: Backend["limits"];
  readonly #counts: BodyCounts;
  readonly #context: ExporterContext<S>;
  readonly #appender: Appender;
  readonly #path: string;
  readonly #coding: BodyCoding | undefined;
  readonly #isRecords: boolean;
  readonly #hangUp: HangUp;
  readonly #onHangUp = () => void this.#flush();
  #started = false;

  constructor(
    config: Config,
    context: ExporterContext<S>,
    { writer, counts }: Output<S>,
    appender: Appender,
    hangUp: HangUp,
  ) {
    this.writer = writer;
    this.#counts = counts;
    this.limits = {
      bytes: config.max_body_size,
      items: MAX_ITEMS,
      lanes: 1,
      ...(config.format === "lines" && { itemBytes: LARGEST_LINE_ITEM }),
    };
    this.#context = context;
    this.#path = config.path;
    this.#appender = appender;
    this.#coding = codingFor(config.compression);
    this.#isRecords = framingOf(config) === "records";
    this.#hangUp = hangUp;
  }

  async start(): Promise<void> {
    const { log, route } = this.#context;
    const path = this.#path;
    this.#started = true;
    try {
      const cut = await this.#appender.open();
      if (cut > 0)
        log.warn({ route, path, bytes: cut }, "cut off what a crash left incomplete at the end");
    } catch (cause) {
      throw new Error(`cannot open ${path}: ${hintOf(cause)}`, { cause });
    }
    this.#hangUp.add(this.#onHangUp);
  }

  async stop(): Promise<void> {
    this.#hangUp.remove(this.#onHangUp);
    if (this.#started) await this.#appender.close();
    this.#started = false;
  }

  async post(body: Uint8Array, _sending: Sending): Promise<Verdict> {
    try {
      const bytes = this.#coding === undefined ? body : await this.#coding.encode(body);
      await this.#appender.append(this.#isRecords ? recordOf(bytes) : bytes);
      this.#counts.taken(body);
      return { is: "sent", unconfirmed: false };
    } catch (reason) {
      return { is: "retry", why: `cannot write ${this.#path}: ${hintOf(reason)}`, alarm: true };
    }
  }

  /** On SIGHUP. What fails here fails again at the next write, whose items wait for it. */
  async #flush(): Promise<void> {
    const { log, route } = this.#context;
    try {
      await this.#appender.flush();
      log.info({ route, path: this.#path }, "flushed, and opened anew if it was moved");
    } catch (reason) {
      log.warn({ route, path: this.#path, error: hintOf(reason) }, "the file cannot be flushed");
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
