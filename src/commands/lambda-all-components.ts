import type { Components } from "../components.ts";
import type { Delivery } from "../config/blocks.ts";
import { createDash0 } from "../exporters/dash0/index.ts";
import { createDebug } from "../exporters/debug/index.ts";
import { createInfluxdb } from "../exporters/influxdb/index.ts";
import { createLoki } from "../exporters/loki/index.ts";
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
import { createTelemetryApi } from "../receivers/telemetry_api/index.ts";
import type { TelemetryListener } from "../receivers/telemetry_api/receiver.ts";
import { compileLineWriter } from "../series/plan.ts";
import { shippedTables } from "../series/tables/load.ts";
import { snappyCompressor } from "../wire/snappy-block.ts";

/** What a configuration for a function's sandbox may name. Nothing here writes to a disk. */
export function createAllLambdaComponents(listener: TelemetryListener): Components {
  const tables = shippedTables();
  return {
    receivers: byType<ReceiverFactory<unknown>>([createTelemetryApi(listener), otlp]),
    processors: byType<ProcessorFactory<unknown>>([attributes, resource]),
    exporters: byType<ExporterFactory<Delivery>>([
      // The package for snappy is native code, for each kind of machine another.
      createLoki(tables, pickItems, writeRequestJson, snappyCompressor),
      createDash0(pickItems),
      createDebug(pickItems, writeRequestJson),
      createInfluxdb(tables, compileLineWriter),
      createOtlpHttp(pickItems, writeRequestJson),
    ]),
    extensions: byType<ExtensionFactory<unknown>>([basicAuth, bearerTokenAuth]),
    connectors: new Map(),
  };
}

/** Factories by their type. */
function byType<T extends { readonly type: string }>(
  factories: readonly T[],
): ReadonlyMap<string, T> {
  return new Map(factories.map((factory) => [factory.type, factory]));
}
