import type { Delivery } from "./config/blocks.ts";
import { createDash0 } from "./exporters/dash0/index.ts";
import { createDebug } from "./exporters/debug/index.ts";
import { createFile } from "./exporters/file/index.ts";
import { createInfluxdb } from "./exporters/influxdb/index.ts";
import { createLoki } from "./exporters/loki/index.ts";
import { createOtlpGrpc } from "./exporters/otlp_grpc/index.ts";
import { createOtlpHttp } from "./exporters/otlp_http/index.ts";
import { basicAuth } from "./extensions/basic_auth/index.ts";
import { bearerTokenAuth } from "./extensions/bearer_token_auth/index.ts";
import { createEmbeddedStore } from "./extensions/embedded_store/index.ts";
import { fileStorage } from "./extensions/file_storage/index.ts";
import { fluentStatus } from "./extensions/fluent_status/index.ts";
import { healthCheck } from "./extensions/health_check/index.ts";
import type { ExporterFactory } from "./kit/backend.ts";
import { pickItems } from "./otlp/pick.ts";
import { writeRequestJson } from "./otlp/write-json.ts";
import type { ExtensionFactory, ProcessorFactory, ReceiverFactory } from "./pipeline/factory.ts";
import { attributes } from "./processors/attributes/index.ts";
import { resource } from "./processors/resource/index.ts";
import { createDatakit } from "./receivers/datakit/index.ts";
import { fileLog } from "./receivers/file_log/index.ts";
import { fluentForward } from "./receivers/fluent_forward/index.ts";
import { httpLogs } from "./receivers/http_logs/index.ts";
import { createInfluxdbReceiver } from "./receivers/influxdb/index.ts";
import { createLineProtocol } from "./receivers/line_protocol/index.ts";
import { loki } from "./receivers/loki/index.ts";
import { otlp } from "./receivers/otlp/index.ts";
import { createTelemetryApi } from "./receivers/telemetry_api/index.ts";
import { shippedTables } from "./series/load.ts";
import { compileLineWriter } from "./series/plan.ts";

/** Every component by its type. */
export interface Components {
  readonly receivers: ReadonlyMap<string, ReceiverFactory<unknown>>;
  readonly processors: ReadonlyMap<string, ProcessorFactory<unknown>>;
  readonly exporters: ReadonlyMap<string, ExporterFactory<Delivery>>;
  readonly extensions: ReadonlyMap<string, ExtensionFactory<unknown>>;
  readonly connectors: ReadonlyMap<string, ProcessorFactory<unknown>>;
}

/** The registry: one import above and one line here per component. Reads the shipped series tables. */
export function createComponents(): Components {
  const tables = shippedTables();
  return {
    receivers: byType<ReceiverFactory<unknown>>([
      createDatakit(tables),
      fluentForward,
      fileLog,
      httpLogs,
      createInfluxdbReceiver(tables),
      createLineProtocol(tables),
      loki,
      otlp,
      createTelemetryApi(),
    ]),
    processors: byType<ProcessorFactory<unknown>>([attributes, resource]),
    exporters: byType<ExporterFactory<Delivery>>([
      createDash0(pickItems),
      createDebug(pickItems, writeRequestJson),
      createFile(tables, compileLineWriter, pickItems, writeRequestJson),
      createInfluxdb(tables, compileLineWriter),
      createLoki(tables, pickItems, writeRequestJson),
      createOtlpGrpc(pickItems),
      createOtlpHttp(pickItems, writeRequestJson),
    ]),
    extensions: byType<ExtensionFactory<unknown>>([
      basicAuth,
      bearerTokenAuth,
      createEmbeddedStore(tables),
      fileStorage,
      fluentStatus,
      healthCheck,
    ]),
    connectors: byType<ProcessorFactory<unknown>>([]),
  };
}

function byType<T extends { readonly type: string }>(
  factories: readonly T[],
): ReadonlyMap<string, T> {
  return new Map(factories.map((factory) => [factory.type, factory]));
}
