import type { Delivery } from "../config/blocks.ts";
import type { ExporterFactory } from "../kit/delivery/backend.ts";
import type { ExtensionFactory, ProcessorFactory, ReceiverFactory } from "../pipeline/factory.ts";

type Creator<F extends { create: unknown }> = ReadonlyMap<string, Pick<F, "create">>;

/** What a service needs of the registry: how each type is made. What options it takes was checked before. */
export interface Creators {
  readonly receivers: Creator<ReceiverFactory<unknown>>;
  readonly processors: Creator<ProcessorFactory<unknown>>;
  readonly exporters: Creator<ExporterFactory<Delivery>>;
  readonly extensions: Creator<ExtensionFactory<unknown>>;
}
