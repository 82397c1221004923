import { z } from "zod";
import { delivery } from "../../config/blocks.ts";

export const config = z.strictObject({
  verbosity: z
    .enum(["basic", "normal", "detailed"])
    .default("basic")
    .describe("basic: one log line per send; normal: one line per item; detailed: OTLP/JSON."),
  sampling_initial: z.int().min(0).default(2).describe("Sends that are shown in each second."),
  sampling_thereafter: z
    .int()
    .min(0)
    .default(1)
    .describe("Of the further sends of a second, each so manieth is shown; 0 = none."),
  use_internal_logger: z
    .boolean()
    .default(true)
    .describe("Show on standard error, where the log is; false: in output_paths."),
  output_paths: z
    .array(z.enum(["stdout", "stderr"]))
    .min(1)
    .default(["stdout"])
    .describe("With `use_internal_logger: false`: where to show."),
  ...delivery,
});
export type Config = z.output<typeof config>;
