import type {
  Backend,
  ExporterContext,
  ExporterFactory,
  Sending,
  Verdict,
} from "../../kit/backend.ts";
import { HttpClient } from "../../kit/http-client.ts";
import { LARGEST_LINE_ITEM } from "../../kit/oversize.ts";
import { ClientTls } from "../../kit/tls-client.ts";
import { getOrMake } from "../../lib/get-or-make.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Counter } from "../../pipeline/telemetry.ts";
import type { compileLineWriter } from "../../series/plan.ts";
import { TableChoice } from "../../series/table-choice.ts";
import type { Table } from "../../series/tables.ts";
import type { Writer } from "../../series/writer.ts";
import { type Config, influxdbConfig } from "./config.ts";
import { type Api, influxdbVerdict } from "./verdicts.ts";

/** Items in one request at most, whatever fits its body. */
const MAX_ITEMS = 1 << 16;

type CompileLineWriter = typeof compileLineWriter;

/** The influxdb exporter over the given series tables. */
export function createInfluxdb(
  tables: readonly Table[],
  compile: CompileLineWriter,
): ExporterFactory<Config> {
  const choice = new TableChoice(tables);
  return {
    kind: "exporter",
    type: "influxdb",
    summary: "Writes series tables to InfluxDB 3, 2 or 1 as line protocol.",
    stability: { logs: "beta", traces: "beta", metrics: "beta" },
    schema: influxdbConfig(choice),
    fileOptions: ["tables"],
    example: { endpoint: "http://127.0.0.1:8181", database: "weir" },
    create: (config, context) => {
      const { signal, indexer } = context;
      const onFieldDropped = countDroppedFields(context);
      const dialect = config.api;
      const writer = compile({
        signal,
        ...choice.choose(config.tables),
        keys: indexer.keys,
        dialect,
        onFieldDropped,
        ...(config.metric_tags === undefined ? {} : { metricTags: config.metric_tags }),
      });
      return new Influxdb(config, context, writer);
    },
  };
}

class Influxdb<S extends Signal> implements Backend<S> {
  readonly writer: Writer<S>;
  readonly limits: Backend["limits"];
  readonly #api: Api;
  readonly #client: HttpClient;
  readonly #path: string;
  readonly #headers: readonly string[];
  readonly #nowMs: () => number;

  constructor(config: Config, context: ExporterContext<S>, writer: Writer<S>) {
    const lanes = config.sending_queue.num_consumers;
    this.writer = writer;
    const itemBytes = LARGEST_LINE_ITEM;
    this.limits = { bytes: config.max_body_size, items: MAX_ITEMS, lanes, itemBytes };
    this.#api = config.api;
    this.#client = new HttpClient({
      origin: config.endpoint,
      connections: lanes,
      tls: config.tls && new ClientTls(config.tls, context),
    });
    this.#path = new URL(config.endpoint).pathname.replace(/\/+$/, "") + writePath(config);
    this.#headers = [...authorization(config), "content-type", "text/plain; charset=utf-8"];
    this.#nowMs = context.nowMs;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    await this.#client.close();
  }

  async post(body: Uint8Array, sending: Sending, stop: AbortSignal): Promise<Verdict> {
    const headers = [...this.#headers, "x-weir-range", rangeHeader(sending)];
    const answer = await this.#client.post(this.#path, headers, body, stop);
    return influxdbVerdict(this.#api, answer, this.#nowMs());
  }
}

/** `<journal>/<route>/<seq>.<item>-<seq>.<item>`: a store that understands it stores no item twice; others ignore it. */
function rangeHeader({ journal, route, from, to }: Sending): string {
  const name = route.split("/").map(encodeURIComponent).join("/");
  return `${encodeURIComponent(journal)}/${name}/${from[0]}.${from[1]}-${to[0]}.${to[1]}`;
}

function writePath(config: Config): string {
  const db = encodeURIComponent(config.database);
  const { org, retention_policy: policy } = config;
  switch (config.api) {
    case "v3":
      return `/api/v3/write_lp?db=${db}&precision=nanosecond&accept_partial=true${config.no_sync ? "&no_sync=true" : ""}`;
    case "v2":
      return `/api/v2/write?bucket=${db}&precision=ns${org === undefined ? "" : `&org=${encodeURIComponent(org)}`}`;
    case "v1":
      return `/write?db=${db}&precision=ns${policy === undefined ? "" : `&rp=${encodeURIComponent(policy)}`}`;
  }
}

/** v1 credentials go as Basic and not as `u` and `p`: addresses end up in access logs. */
function authorization(config: Config): readonly string[] {
  const token = config.token.reveal();
  if (token !== "")
    return ["authorization", `${config.api === "v3" ? "Bearer" : "Token"} ${token}`];
  if (config.api !== "v1" || config.username === undefined) return [];
  const pair = Buffer.from(`${config.username}:${config.password.reveal()}`).toString("base64");
  return ["authorization", `Basic ${pair}`];
}

function countDroppedFields(context: ExporterContext) {
  const counters = new Map<string, Counter>();
  return (table: string, column: string, reason: string, n: number): void => {
    const labels = { exporter: context.id, signal: context.signal, table, column, reason };
    getOrMake(counters, `${table}\0${column}\0${reason}`, () =>
      context.meter.counter(
        "weir_exporter_dropped_fields_total",
        "Values that do not fit their column; the row was written without them.",
        labels,
      ),
    ).add(n);
  };
}
