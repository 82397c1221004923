import type { Components } from "../components.ts";
import type { Delivery } from "../config/blocks.ts";
import { createLoki } from "../exporters/loki/index.ts";
import type { ExporterFactory } from "../kit/delivery/backend.ts";
import { pickItems } from "../otlp/pick.ts";
import { writeRequestJson } from "../otlp/write-json.ts";
import type { ReceiverFactory } from "../pipeline/factory.ts";
import { createTelemetryApi, type TelemetryListener } from "../receivers/telemetry_api/index.ts";
import { shippedTables } from "../series/tables/load.ts";

/** What the way from Lambda to Loki needs: every other component would cost each cold start. */
export function createLokiComponents(listener: TelemetryListener): Components {
  const loki = createLoki(shippedTables(), pickItems, writeRequestJson);
  return {
    receivers: byType<ReceiverFactory<unknown>>([createTelemetryApi(listener)]),
    processors: new Map(),
    exporters: byType<ExporterFactory<Delivery>>([loki]),
    extensions: new Map(),
    connectors: new Map(),
  };
}

/** Factories by their type. */
export function byType<T extends { readonly type: string }>(
  factories: readonly T[],
): ReadonlyMap<string, T> {
  return new Map(factories.map((factory) => [factory.type, factory]));
}
