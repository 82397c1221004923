import type { Component, Intake } from "../../pipeline/contracts.ts";
import type { Context, ReceiverFactory } from "../../pipeline/factory.ts";
import { type Config, config } from "./config.ts";
import { Follower } from "./follower.ts";

/** Follows files of logs. */
export const fileLog = {
  kind: "receiver",
  type: "file_log",
  summary: "Lines of files: rotated, truncated, compressed, each taken once.",
  stability: { logs: "beta" },
  schema: config,
  example: { include: ["/var/log/app/*.log"], start_at: "beginning" },
  create: (options: Config, context: Context, intake: Intake): Component =>
    new Follower(options, context, intake),
} satisfies ReceiverFactory<Config>;
