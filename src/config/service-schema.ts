import { z } from "zod";
import { telemetry } from "./telemetry.ts";

const ids = (what: string) => z.array(z.string()).default([]).describe(what);

const pipeline = z.strictObject({
  receivers: ids("Ids of the receivers that feed it."),
  processors: ids("Ids of the processors, in the order in which they work."),
  exporters: ids("Ids of the exporters that get everything."),
});

/** `service`: what of the configured is used, and how it is connected. */
export const service = z
  .strictObject({
    extensions: ids("Ids of the extensions, in the order in which they start."),
    pipelines: z
      .record(z.string(), pipeline.nullable())
      .prefault({})
      .describe("By signal (logs, metrics, traces) or signal/name."),
    telemetry,
  })
  .describe("What of the configured is used, and how it is connected.");
