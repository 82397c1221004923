import type { Components } from "../components.ts";
import type { Delivery } from "../config/blocks.ts";
import { createDash0 } from "../exporters/dash0/index.ts";
import { createDebug } from "../exporters/debug/index.ts";
import { createInfluxdb } from "../exporters/influxdb/index.ts";
import { createLoki } from "../exporters/loki/index.ts";
import { createOtlpHttp } from "../exporters/otlp_http/index.ts";
import { basicAuth } from "../extensions/basic_auth/index.ts";
import { bearerTokenAuth } from "../extensions/bearer_token_auth/index.ts";
import type { ExporterFactory } from "../kit/backend.ts";
import { pickItems } from "../otlp/pick.ts";
import { writeRequestJson } from "../otlp/write-json.ts";
import type { ExtensionFactory, ProcessorFactory, ReceiverFactory } from "../pipeline/factory.ts";
import { attributes } from "../processors/attributes/index.ts";
import { resource } from "../processors/resource/index.ts";
import { otlp } from "../receivers/otlp/index.ts";
import { createTelemetryApi, type TelemetryListener } from "../receivers/telemetry_api/index.ts";
import { shippedTables } from "../series/load.ts";
import { compileLineWriter } from "../series/plan.ts";

/** What a function's sandbox has use for: the rest would cost every cold start. Nothing here writes to a disk. */
export function createLambdaComponents(listener: TelemetryListener): Components {
  const tables = shippedTables();
  const receivers: ReceiverFactory<unknown>[] = [createTelemetryApi(listener), otlp];
  const processors: ProcessorFactory<unknown>[] = [attributes, resource];
  const exporters: ExporterFactory<Delivery>[] = [
    createDash0(pickItems),
    createDebug(pickItems, writeRequestJson),
    createInfluxdb(tables, compileLineWriter),
    createLoki(tables, pickItems, writeRequestJson),
    createOtlpHttp(pickItems, writeRequestJson),
  ];
  const extensions: ExtensionFactory<unknown>[] = [basicAuth, bearerTokenAuth];
  return {
    receivers: new Map(receivers.map((factory) => [factory.type, factory])),
    processors: new Map(processors.map((factory) => [factory.type, factory])),
    exporters: new Map(exporters.map((factory) => [factory.type, factory])),
    extensions: new Map(extensions.map((factory) => [factory.type, factory])),
    connectors: new Map(),
  };
}
