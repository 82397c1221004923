import { compileActions } from "../../kit/attribute-actions.ts";
import type { ProcessorFactory } from "../../pipeline/factory.ts";
import { type Config, config } from "./config.ts";

/** Edits the attributes of resources, as the Collector's processor of this name. */
export const resource: ProcessorFactory<Config> = {
  kind: "processor",
  type: "resource",
  summary: "Inserts, changes, renames and deletes resource attributes.",
  stability: { logs: "beta", traces: "beta", metrics: "beta" },
  schema: config,
  example: { attributes: [{ action: "insert", key: "site_name", value: "north" }] },
  create(options, context) {
    const edit = compileActions(options.attributes, context.indexer.keys);
    return {
      apply(draft, metadata) {
        const { resources } = draft;
        for (let more = resources.first(); more; more = resources.next()) edit(resources, metadata);
      },
    };
  },
};
