import { z } from "zod";
import { listenEndpoint } from "../../config/blocks.ts";

/** The options of the extension. */
export const config = z.strictObject({
  endpoint: listenEndpoint("Where the status is asked for.", "127.0.0.1:2020"),
});
export type Config = z.output<typeof config>;
