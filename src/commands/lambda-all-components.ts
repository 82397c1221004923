import type { Components } from "../components.ts";
import type { Delivery } from "../config/blocks.ts";
import { createDash0 } from "../exporters/dash0/index.ts";
import { createDebug } from "../exporters/debug/index.ts";
import { createInfluxdb } from "../exporters/influxdb/index.ts";
import { createOtlpHttp } from "../exporters/otlp_http/index.ts";
import { basicAuth } from "../extensions/basic_auth/index.ts";
import { bearerTokenAuth } from "../extensions/bearer_token_auth/index.ts";
import type { ExporterFactory } from "../kit/delivery/backend.ts";
import { pickItems } from "../otlp/pick.ts";
import { writeRequestJson } from "../otlp/write-json.ts";
import type { ExtensionFactory, ProcessorFactory, ReceiverFactory } from "../pipeline/factory.ts";
import { attributes } from "../processors/attributes/index.ts";
import { resource } from "../processors/resource/index.ts";
import { otlp } from "../receivers/otlp/index.ts";
import type { TelemetryListener } from "../receivers/telemetry_api/index.ts";
import { compileLineWriter } from "../series/plan.ts";
import { shippedTables } from "../series/tables/load.ts";
import { byType, createLokiComponents } from "./lambda-components.ts";

/** What a configuration for a function's sandbox may name. Nothing here writes to a disk. */
export function createAllLambdaComponents(listener: TelemetryListener): Components {
  const base = createLokiComponents(listener);
  const tables = shippedTables();
  const exporters = byType<ExporterFactory<Delivery>>([
    createDash0(pickItems),
    createDebug(pickItems, writeRequestJson),
    createInfluxdb(tables, compileLineWriter),
    createOtlpHttp(pickItems, writeRequestJson),
  ]);
  return {
    receivers: new Map([...base.receivers, ...byType<ReceiverFactory<unknown>>([otlp])]),
    processors: byType<ProcessorFactory<unknown>>([attributes, resource]),
    exporters: new Map([...base.exporters, ...exporters]),
    extensions: byType<ExtensionFactory<unknown>>([basicAuth, bearerTokenAuth]),
    connectors: new Map(),
  };
}
