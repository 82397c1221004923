import { z } from "zod";
import { listenEndpoint, secret } from "../../config/blocks.ts";
import { type LineTables, lineOptions } from "../../kit/doors/line-tables.ts";
import { bodySizeOption, httpServerShape } from "../../kit/server/http-server-block.ts";

const options = z.strictObject({
  endpoint: listenEndpoint("Where to listen.", "127.0.0.1:9529"),
  max_request_body_size: bodySizeOption(1024, 64),
  tokens: z
    .array(secret("A token."))
    .min(1)
    .optional()
    .describe(
      "Who may write: whoever has one of these as ?token= in the address. Absent: any token and none.",
    ),
  ...lineOptions("points"),
  ...httpServerShape,
});
export type Config = z.output<typeof options>;

/** The options; `lines` checks those of tables. */
export function datakitConfig(lines: LineTables) {
  return options.superRefine(({ tables, spans, tokens = [] }, context) => {
    lines.check({ tables, spans }, context);
    for (const [at, token] of tokens.entries())
      if (token.reveal() === "")
        context.addIssue({ code: "custom", path: ["tokens", at], message: "a token is empty" });
  });
}
