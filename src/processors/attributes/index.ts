import { compileActions } from "../../kit/attribute-actions.ts";
import { compileMatch, unsupportedMatch } from "../../kit/item-match.ts";
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
  unsupported: ({ include, exclude }, signal) =>
    unsupportedMatch(include, signal) ?? unsupportedMatch(exclude, signal),
  create(options, context) {
    const { keys } = context.indexer;
    const edit = compileActions(options.actions, keys);
    const isIncluded = compileMatch(options.include, keys);
    const isExcluded = compileMatch(options.exclude, keys);
    return {
      apply(draft, metadata) {
        const { items } = draft;
        for (let more = items.first(); more; more = items.next())
          if (isIncluded?.(items) !== false && isExcluded?.(items) !== true) edit(items, metadata);
      },
    };
  },
};
