import { codingFor } from "../../kit/client/body-coding.ts";
import type { HttpClientOptions, HttpPoster } from "../../kit/client/http-answer.ts";
import type { Backend, ExporterContext, Sending, Verdict } from "../../kit/delivery/backend.ts";
import { BodyCounts } from "../../kit/delivery/body-counts.ts";
import { leftOutCounter } from "../../kit/delivery/left-out-counter.ts";
import { LimitedOtlpWriter } from "../../kit/delivery/limited-writer.ts";
import { jsonPut, putProtobuf } from "../../kit/delivery/otlp-writer.ts";
import { LARGEST_LINE_ITEM } from "../../kit/delivery/oversize.ts";
import { rangeHeader } from "../../kit/delivery/range-header.ts";
import type { BatchText, Pick } from "../../kit/delivery/request-writer.ts";
import { putAttribute } from "../../kit/delivery/split-bodies.ts";
import { clientAuthOf } from "../../kit/tls/auth-block.ts";
import { ClientTls } from "../../kit/tls/tls-client.ts";
import { Seldom } from "../../lib/seldom.ts";
import type { Signal } from "../../otlp/tape.ts";
import { LokiWriter } from "../../series/loki/writer.ts";
import type { Table } from "../../series/tables/tables.ts";
import type { Writer } from "../../series/writer.ts";
import { addressOf, type Config } from "./config.ts";
import { pushJson } from "./push-json.ts";
import { lokiVerdict } from "./verdicts.ts";

/** Structured metadata that Loki makes of fields of a record: severity, ids, flags, scope. */
const OWN_NAMES = 10;
const OWN_BYTES = 512;
const MAX_ITEMS = 1 << 16;
/** Half of what Loki takes behind the newest entry of a stream: the rest is for senders' clocks. */
const SPAN_MS = 30 * 60_000;
const SAME_WARNING_EVERY_MS = 10_000;

/** What a destination is made of beside its configuration; the Lambda extension has lighter parts than the service. */
export interface LokiParts {
  readonly tables: readonly Table[];
  readonly pick: Pick;
  readonly writeJson: BatchText;
  readonly connect: (options: HttpClientOptions) => HttpPoster;
  /** Makes the function that compresses a body as one block of snappy; asked for only where it is needed. */
  readonly snappy: () => (body: Uint8Array) => Uint8Array;
}

/** One Loki, for the log records of one route; those that name one of the tables are written as its rows. */
export function createLokiBackend<S extends Signal>(
  parts: LokiParts,
  config: Config,
  context: ExporterContext<S>,
): Backend<S> {
  const { signal } = context;
  if (signal !== "logs") throw new Error(`loki takes logs only, not ${signal}`);
  const counts = new BodyCounts();
  const writer =
    config.api === "push"
      ? lokiWriter(parts, config, context, counts)
      : otlpLogsWriter(parts, config, context, counts);
  return new Loki(parts, config, context, { writer, counts }) as Backend as Backend<S>;
}

/** What is written, and what is counted of it. */
interface Output {
  readonly writer: Writer<"logs">;
  readonly counts: BodyCounts;
}

class Loki implements Backend<"logs"> {
  readonly writer: Writer<"logs">;
  readonly limits: Backend["limits"];
  readonly #client: HttpPoster;
  readonly #path: string;
  readonly #headers: readonly string[];
  readonly #encode: (body: Uint8Array) => Uint8Array | Promise<Uint8Array>;
  readonly #context: ExporterContext;
  readonly #counts: BodyCounts;
  readonly #seldom: Seldom;

  constructor(parts: LokiParts, config: Config, context: ExporterContext, output: Output) {
    const lanes = config.sending_queue.num_consumers;
    const address = addressOf(config);
    this.writer = output.counts.watch(output.writer);
    this.#counts = output.counts;
    this.limits = {
      bytes: config.max_body_size,
      items: MAX_ITEMS,
      lanes,
      // A record may become a row, or many parts.
      itemBytes: LARGEST_LINE_ITEM,
      spanMs: SPAN_MS,
    };
    this.#client = parts.connect({
      origin: address.origin,
      connections: lanes,
      tls: config.tls && new ClientTls(config.tls, context),
      auth: clientAuthOf(config.auth, context),
      proxy: config.proxy_url.reveal(),
    });
    this.#path = `${address.pathname}${address.search}`;
    this.#headers = headersOf(config);
    this.#encode = encoderOf(config, parts.snappy);
    this.#context = context;
    this.#seldom = new Seldom(SAME_WARNING_EVERY_MS, context.nowMs);
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    await this.#client.close();
  }

  async post(body: Uint8Array, sending: Sending, stop: AbortSignal): Promise<Verdict> {
    const bytes = await this.#encode(body);
    const headers = [...this.#headers, ...rangeHeader(sending)];
    const answer = await this.#client.post(this.#path, headers, bytes, stop);
    const verdict = lokiVerdict(answer, this.#context.nowMs(), (message) => {
      const { log, route } = this.#context;
      const count = this.#seldom.count("unconfirmed");
      if (count !== undefined)
        log.warn(
          { route, message, count },
          "Loki did not take every entry of a request, and does not say which: all are counted as unconfirmed",
        );
    });
    if (verdict.is === "sent") this.#counts.taken(body);
    return verdict;
  }
}

function lokiWriter(
  { tables }: LokiParts,
  config: Config,
  context: ExporterContext,
  counts: BodyCounts,
): LokiWriter {
  const { id, signal, indexer, meter, nowMs } = context;
  const labels = { exporter: id, signal };
  const splits = meter.counter(
    "weir_exporter_split_lines_total",
    "Lines that were too long for one entry and became several.",
    labels,
  );
  return new LokiWriter({
    tables,
    keys: indexer.keys,
    labels: config.labels,
    limits: {
      lineBytes: config.max_line_size,
      bytes: config.max_metadata_size,
      pairs: config.max_metadata_entries,
      maxAgeMs: config.max_age,
      maxAheadMs: config.max_ahead,
    },
    nowMs,
    onLeftOut: leftOutCounter(context, counts),
    onSplit: (n) => counts.add(splits, n),
  });
}

/** For Loki's own OTLP endpoint: the same limits, on what it makes of records. */
function otlpLogsWriter(
  { pick, writeJson }: LokiParts,
  config: Config,
  context: ExporterContext,
  counts: BodyCounts,
): LimitedOtlpWriter<"logs"> {
  const { indexer, nowMs } = context;
  const count = leftOutCounter(context, counts);
  return new LimitedOtlpWriter<"logs">({
    indexer,
    pick,
    put: config.encoding === "json" ? jsonPut(writeJson) : putProtobuf,
    limits: {
      maxAgeMs: config.max_age,
      maxAheadMs: config.max_ahead,
      body: {
        bytes: config.max_line_size,
        marks: 1,
        mark: (out, part, parts) => putAttribute(out, "line_part", `${part}/${parts}`),
      },
      attributes: {
        count: Math.max(1, config.max_metadata_entries - OWN_NAMES),
        keyBytes: Number.POSITIVE_INFINITY,
        valueBytes: Number.POSITIVE_INFINITY,
        totalBytes: config.max_metadata_size - OWN_BYTES,
        isFlat: true,
      },
    },
    nowMs,
    leftOut: (reason, n) => count(`metadata_${reason}`, n),
  });
}

/** Headers of every request; those that are given win, but for what describes the body. */
function headersOf(config: Config): readonly string[] {
  const isJson = config.encoding === "json";
  // Loki's OTLP path takes exactly these, without a charset.
  const headers = ["content-type", isJson ? "application/json" : "application/x-protobuf"];
  if (config.compression === "gzip") headers.push("content-encoding", "gzip");
  if (config.tenant_id !== undefined) headers.push("X-Scope-OrgID", config.tenant_id);
  for (const [name, value] of Object.entries(config.headers)) {
    const lower = name.toLowerCase();
    const isOurs =
      lower === "content-type" ||
      lower === "content-encoding" ||
      (lower === "x-scope-orgid" && config.tenant_id !== undefined);
    if (!isOurs) headers.push(name, value.reveal());
  }
  return headers;
}

function encoderOf(
  config: Config,
  snappy: LokiParts["snappy"],
): (body: Uint8Array) => Uint8Array | Promise<Uint8Array> {
  const coding = codingFor(config.compression, config.compression_params?.level);
  const encode = (body: Uint8Array) => coding?.encode(body) ?? body;
  if (config.api === "otlp") return encode;
  return config.encoding === "json" ? (body) => encode(pushJson(body)) : snappy();
}
