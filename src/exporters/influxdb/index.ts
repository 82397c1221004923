import { isUtf8 } from "node:buffer";
import { type BodyCoding, codingFor } from "../../kit/client/body-coding.ts";
import { HttpClient } from "../../kit/client/http-client.ts";
import type {
  Backend,
  ExporterContext,
  ExporterFactory,
  Sending,
  Verdict,
} from "../../kit/delivery/backend.ts";
import { BodyCounts } from "../../kit/delivery/body-counts.ts";
import { droppedFieldCounter } from "../../kit/delivery/dropped-field-counter.ts";
import { LARGEST_LINE_ITEM } from "../../kit/delivery/oversize.ts";
import { rangeHeader } from "../../kit/delivery/range-header.ts";
import { clientAuthOf } from "../../kit/tls/auth-block.ts";
import { ClientTls } from "../../kit/tls/tls-client.ts";
import { getOrMake } from "../../lib/get-or-make.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { compileLineWriter } from "../../series/plan.ts";
import { TableChoice } from "../../series/tables/table-choice.ts";
import type { Table } from "../../series/tables/tables.ts";
import { TypeRegistry } from "../../series/type-registry.ts";
import type { Writer } from "../../series/writer.ts";
import { collectorWarning, type Target, targetOf } from "./collector-options.ts";
import { type Config, influxdbConfig } from "./config.ts";
import { DatabaseWriter } from "./databases.ts";
import { learn, type OnLesson } from "./lessons.ts";
import { type Api, influxdbVerdict } from "./verdicts.ts";

/** Paths of the write APIs: an endpoint that already ends in one is taken without it. */
const WRITE_PATH = /\/+(?:api\/v3\/write_lp|api\/v2\/write|write)?\/*$/;

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
    warning: collectorWarning,
    example: { endpoint: "http://127.0.0.1:8181", database: "weir" },
    create: (config, context) => {
      const { signal, indexer } = context;
      const counts = new BodyCounts();
      const onFieldDropped = droppedFieldCounter(context, counts);
      const { api: dialect, database: fallback } = targetOf(config);
      const registries = new Map<string, TypeRegistry>();
      const typesOf = (database: string) =>
        getOrMake(registries, database, () => context.types?.(database) ?? new TypeRegistry());
      const writerOf = (database: string) =>
        counts.watch(
          compile({
            signal,
            ...choice.choose(config.tables),
            keys: indexer.keys,
            dialect,
            onFieldDropped,
            types: typesOf(database),
            ...(config.metric_tags === undefined ? {} : { metricTags: config.metric_tags }),
          }),
        );
      const { database_attribute: attribute, databases = [] } = config;
      if (attribute === undefined)
        return new Influxdb(config, context, {
          writer: writerOf(fallback),
          typesOf,
          registries,
          counts,
        });
      const writers = new Map<string, ReturnType<typeof writerOf>>();
      const writer = new DatabaseWriter(
        indexer,
        attribute,
        databases,
        fallback === "" ? undefined : fallback,
        (database) => getOrMake(writers, database, () => writerOf(database)),
      );
      return new Influxdb(config, context, { writer, typesOf, registries, counts });
    },
  };
}

/** What rows are written with. */
interface Rows<S extends Signal> {
  readonly writer: Writer<S>;
  readonly typesOf: (database: string) => TypeRegistry;
  /** Those that were asked for. */
  readonly registries: ReadonlyMap<string, TypeRegistry>;
  readonly counts: BodyCounts;
}

class Influxdb<S extends Signal> implements Backend<S> {
  readonly writer: Writer<S>;
  readonly limits: Backend["limits"];
  readonly #api: Api;
  readonly #client: HttpClient;
  /** By database. */
  readonly #paths = new Map<string, string>();
  readonly #pathOf: (database: string) => string;
  readonly #headers: readonly string[];
  readonly #coding: BodyCoding | undefined;
  readonly #nowMs: () => number;
  readonly #database: string;
  readonly #typesOf: (database: string) => TypeRegistry;
  readonly #registries: ReadonlyMap<string, TypeRegistry>;
  readonly #counts: BodyCounts;
  readonly #onLesson: (database: string) => OnLesson;

  constructor(config: Config, context: ExporterContext<S>, rows: Rows<S>) {
    const { writer, typesOf, registries, counts } = rows;
    const lanes = config.sending_queue.num_consumers;
    const target = targetOf(config);
    this.writer = writer;
    const itemBytes = LARGEST_LINE_ITEM;
    this.limits = { bytes: target.maxBytes, items: target.maxItems, lanes, itemBytes };
    this.#api = target.api;
    this.#client = new HttpClient({
      origin: config.endpoint,
      connections: lanes,
      tls: config.tls && new ClientTls(config.tls, context),
      auth: clientAuthOf(config.auth, context),
      proxy: config.proxy_url.reveal(),
    });
    const base = new URL(config.endpoint).pathname.replace(WRITE_PATH, "");
    this.#pathOf = (database) => base + writePath(config, { ...target, database });
    this.#coding = codingFor(config.compression, config.compression_params?.level);
    this.#headers = headersOf(config, target, this.#coding);
    this.#nowMs = context.nowMs;
    this.#database = target.database;
    this.#typesOf = typesOf;
    this.#registries = registries;
    this.#counts = counts;
    this.#onLesson = (database) => (table, field, type) =>
      context.log.warn(
        { table, field, type, database },
        "the server holds this field with another type: values are converted from now on, fractions rounded where it is a declared column; what cannot be converted goes to <field>_<type>",
      );
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    await this.#client.close();
  }

  /** Also those of other signals: the registries are theirs, too. */
  get lessons(): number {
    let sum = 0;
    for (const { version } of this.#registries.values()) sum += version;
    return sum;
  }

  async post(body: Uint8Array, sending: Sending, stop: AbortSignal): Promise<Verdict> {
    const { writer } = this;
    const database = writer instanceof DatabaseWriter ? writer.databaseOf(body) : this.#database;
    const types = this.#typesOf(database);
    // As when the body was written: one that was not is written again (Backend.lessons).
    const { version } = types;
    const path = getOrMake(this.#paths, database, () => this.#pathOf(database));
    const headers = [...this.#headers, ...rangeHeader(sending)];
    const text = asUtf8(body);
    const bytes = this.#coding === undefined ? text : await this.#coding.encode(text);
    const answer = await this.#client.post(path, headers, bytes, stop);
    const verdict = influxdbVerdict(this.#api, answer, this.#nowMs(), sending.rows);
    if (verdict.is === "sent" || verdict.is === "rows_rejected") this.#counts.taken(body);
    return learn(verdict, body, types, version, this.#onLesson(database));
  }
}

/** OTLP in protobuf may hold any bytes as text. No InfluxDB takes a line that is not UTF-8: U+FFFD stands for what is not, as in JSON. */
function asUtf8(body: Uint8Array): Uint8Array {
  return isUtf8(body)
    ? body
    : Buffer.from(Buffer.from(body.buffer, body.byteOffset, body.length).toString());
}

function writePath(config: Config, { api, database }: Target): string {
  const db = encodeURIComponent(database);
  const { org, retention_policy: policy } = config;
  switch (api) {
    case "v3":
      return `/api/v3/write_lp?db=${db}&precision=nanosecond&accept_partial=true${config.no_sync ? "&no_sync=true" : ""}`;
    case "v2":
      return `/api/v2/write?bucket=${db}&precision=ns${org === undefined ? "" : `&org=${encodeURIComponent(org)}`}`;
    case "v1":
      return `/write?db=${db}&precision=ns${policy === undefined ? "" : `&rp=${encodeURIComponent(policy)}`}`;
  }
}

/** Headers of every request; those that are given win, but for what describes the body. */
function headersOf(
  config: Config,
  target: Target,
  coding: BodyCoding | undefined,
): readonly string[] {
  const headers = ["content-type", "text/plain; charset=utf-8"];
  if (coding !== undefined) headers.push("content-encoding", coding.name);
  const given = Object.entries(config.headers).map(([name, value]) => {
    return [name.toLowerCase(), value.reveal()] as const;
  });
  if (!given.some(([name]) => name === "authorization"))
    headers.push(...authorization(config, target));
  for (const [name, value] of given)
    if (name !== "content-type" && name !== "content-encoding") headers.push(name, value);
  return headers;
}

/** v1 credentials go as Basic and not as `u` and `p`: addresses end up in access logs. */
function authorization(config: Config, { api, username, password }: Target): readonly string[] {
  const token = config.token.reveal();
  if (token !== "") return ["authorization", `${api === "v3" ? "Bearer" : "Token"} ${token}`];
  if (api !== "v1" || username === undefined) return [];
  const pair = Buffer.from(`${username}:${password}`).toString("base64");
  return ["authorization", `Basic ${pair}`];
}
