import { z } from "zod";
import { listenEndpoint } from "../../config/blocks.ts";

export const config = z.strictObject({
  endpoint: listenEndpoint("Where the health is asked for.", "127.0.0.1:13133"),
  path: z.string().startsWith("/").default("/").describe("Path that answers."),
});
export type Config = z.output<typeof config>;
