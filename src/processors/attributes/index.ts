import { compileActions } from "../../kit/attribute-actions.ts";
import type { ProcessorFactory } from "../../pipeline/factory.ts";
import { type Config, config } from "./config.ts";

/** Edits the attributes of items, as the Collector's processor of this name. */
export const attributes: ProcessorFactory<Config> = {
  kind: "processor",
  type: "attributes",
  summary:
    "Inserts, changes, renames and deletes attributes of log records, spans and data points.",
  stability: { logs: "beta", traces: "beta", metrics: "beta" },
  schema: config,
  example: {
    actions: [{ action: "upsert", key: "deployment.environment.name", value: "production" }],
  },
  create(options, context) {
    const edit = compileActions(options.actions, context.indexer.keys);
    return {
      apply(draft) {
        const { items } = draft;
        for (let more = items.first(); more; more = items.next()) edit(items);
      },
    };
  },
};
