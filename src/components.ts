import type { Delivery } from "./config/blocks.ts";
import type { NamedTypes } from "./config/config.ts";
import type { ExporterFactory } from "./kit/delivery/backend.ts";
import { pickItems } from "./otlp/pick.ts";
import { writeRequestJson } from "./otlp/write-json.ts";
import type { ExtensionFactory, ProcessorFactory, ReceiverFactory } from "./pipeline/factory.ts";
import type { Table } from "./series/tables/tables.ts";

/** Components by their types. */
export interface Components {
  readonly receivers: ReadonlyMap<string, ReceiverFactory<unknown>>;
  readonly processors: ReadonlyMap<string, ProcessorFactory<unknown>>;
  readonly exporters: ReadonlyMap<string, ExporterFactory<Delivery>>;
  readonly extensions: ReadonlyMap<string, ExtensionFactory<unknown>>;
  readonly connectors: ReadonlyMap<string, ProcessorFactory<unknown>>;
}

/** The shipped series tables, read when the first component asks for them. */
type Tables = () => Promise<readonly Table[]>;
/** How each type of a section is made: its code is read only then. */
type Makers<F> = Readonly<Record<string, (tables: Tables) => Promise<F>>>;

const RECEIVERS: Makers<ReceiverFactory<unknown>> = {
  datakit: async (tables) =>
    (await import("./receivers/datakit/index.ts")).createDatakit(await tables()),
  file_log: async () => (await import("./receivers/file_log/index.ts")).fileLog,
  fluent_forward: async () => (await import("./receivers/fluent_forward/index.ts")).fluentForward,
  http_logs: async () => (await import("./receivers/http_logs/index.ts")).httpLogs,
  influxdb: async (tables) =>
    (await import("./receivers/influxdb/index.ts")).createInfluxdbReceiver(await tables()),
  line_protocol: async (tables) =>
    (await import("./receivers/line_protocol/index.ts")).createLineProtocol(await tables()),
  loki: async () => (await import("./receivers/loki/index.ts")).loki,
  otlp: async () => (await import("./receivers/otlp/index.ts")).otlp,
  telemetry_api: async () =>
    (await import("./receivers/telemetry_api/index.ts")).createTelemetryApi(),
};

const PROCESSORS: Makers<ProcessorFactory<unknown>> = {
  attributes: async () => (await import("./processors/attributes/index.ts")).attributes,
  resource: async () => (await import("./processors/resource/index.ts")).resource,
};

const EXPORTERS: Makers<ExporterFactory<Delivery>> = {
  dash0: async () => (await import("./exporters/dash0/index.ts")).createDash0(pickItems),
  debug: async () =>
    (await import("./exporters/debug/index.ts")).createDebug(pickItems, writeRequestJson),
  file: async (tables) => {
    const [{ createFile }, compile] = await Promise.all([
      import("./exporters/file/index.ts"),
      lineCompiler(),
    ]);
    return createFile(await tables(), compile, pickItems, writeRequestJson);
  },
  influxdb: async (tables) => {
    const [{ createInfluxdb }, compile] = await Promise.all([
      import("./exporters/influxdb/index.ts"),
      lineCompiler(),
    ]);
    return createInfluxdb(await tables(), compile);
  },
  loki: async (tables) => {
    const { createLoki } = await import("./exporters/loki/index.ts");
    return createLoki(await tables(), pickItems, writeRequestJson);
  },
  otlp_grpc: async () => (await import("./exporters/otlp_grpc/index.ts")).createOtlpGrpc(pickItems),
  otlp_http: async () =>
    (await import("./exporters/otlp_http/index.ts")).createOtlpHttp(pickItems, writeRequestJson),
};

const EXTENSIONS: Makers<ExtensionFactory<unknown>> = {
  basic_auth: async () => (await import("./extensions/basic_auth/index.ts")).basicAuth,
  bearer_token_auth: async () =>
    (await import("./extensions/bearer_token_auth/index.ts")).bearerTokenAuth,
  embedded_store: async (tables) =>
    (await import("./extensions/embedded_store/index.ts")).createEmbeddedStore(await tables()),
  file_storage: async () => (await import("./extensions/file_storage/index.ts")).fileStorage,
  fluent_status: async () => (await import("./extensions/fluent_status/index.ts")).fluentStatus,
  health_check: async () => (await import("./extensions/health_check/index.ts")).healthCheck,
};

/**
 * The registry: one line above per component. Of each section only the types that are `named` are read; all of them without it, and where
 * it names one that does not exist: then there is something to propose.
 */
export async function createComponents(named?: NamedTypes): Promise<Components> {
  let read: Promise<readonly Table[]> | undefined;
  const tables = () => {
    read ??= import("./series/tables/load.ts").then(({ shippedTables }) => shippedTables());
    return read;
  };
  const [receivers, processors, exporters, extensions] = await Promise.all([
    make(RECEIVERS, named?.receivers, tables),
    make(PROCESSORS, named?.processors, tables),
    make(EXPORTERS, named?.exporters, tables),
    make(EXTENSIONS, named?.extensions, tables),
  ]);
  return { receivers, processors, exporters, extensions, connectors: new Map() };
}

async function make<F>(
  makers: Makers<F>,
  named: ReadonlySet<string> | undefined,
  tables: Tables,
): Promise<ReadonlyMap<string, F>> {
  const isAll = named === undefined || [...named].some((type) => !Object.hasOwn(makers, type));
  const entries = Object.entries(makers).filter(([type]) => isAll || named.has(type));
  return new Map(
    await Promise.all(entries.map(async ([type, of]) => [type, await of(tables)] as const)),
  );
}

async function lineCompiler() {
  return (await import("./series/plan.ts")).compileLineWriter;
}
