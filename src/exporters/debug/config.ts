import { z } from "zod";
import { delivery } from "../../config/blocks.ts";

export const config = z.strictObject({
  verbosity: z
    .enum(["basic", "normal", "detailed"])
    .default("basic")
    .describe("basic: one log line per send; normal: one line per item; detailed: OTLP/JSON."),
  ...delivery,
});
export type Config = z.output<typeof config>;
