import type { ExtensionFactory } from "../../pipeline/factory.ts";
import { type Config, config } from "./config.ts";

/**
 * Names the directory of a durable queue. The journal itself belongs to the service, which opens one for each file_storage that
 * an exporter's `sending_queue.storage` names; this component only declares the options.
 */
export const fileStorage: ExtensionFactory<Config> = {
  kind: "extension",
  type: "file_storage",
  summary: "A directory for durable queues: what was acknowledged survives a crash.",
  stability: {},
  schema: config,
  example: { directory: "./data/queue" },
  create: () => ({ start: async () => {}, stop: async () => {} }),
};
