import { z } from "zod";
import { listenEndpoint, secret } from "../../config/blocks.ts";
import { httpServerShape } from "../../kit/server/http-server-block.ts";
import { lineTableMistakes, SPANS_DOC } from "../../series/tables/span-tables.ts";
import { TABLE_FILES_DOC, type TableChoice } from "../../series/tables/table-choice.ts";

const MIB = 1024 * 1024;

const options = z.strictObject({
  endpoint: listenEndpoint("Where to listen.", "127.0.0.1:9529"),
  max_request_body_size: z
    .int()
    .min(1)
    .max(1024 * MIB)
    .default(64 * MIB)
    .describe("Largest body in bytes, before and after decompression."),
  tokens: z
    .array(secret("A token."))
    .min(1)
    .optional()
    .describe(
      "Who may write: whoever has one of these as ?token= in the address. Absent: any token and none.",
    ),
  service_name: z
    .string()
    .min(1)
    .optional()
    .describe("service.name of points that have neither a tag service nor site_name."),
  spans: z.array(z.string()).min(1).optional().describe(SPANS_DOC),
  tables: z
    .array(z.string())
    .min(1)
    .optional()
    .describe(
      `${TABLE_FILES_DOC} They say what of their points is a tag, the body and the severity.`,
    ),
  ...httpServerShape,
});
export type Config = z.output<typeof options>;

/** The options; `choice` checks `tables`. */
export function datakitConfig(choice: TableChoice) {
  return options.superRefine(({ tables, spans, tokens = [] }, context) => {
    for (const { path, message } of lineTableMistakes(choice, { tables, spans }))
      context.addIssue({ code: "custom", path, message });
    for (const [at, token] of tokens.entries())
      if (token.reveal() === "")
        context.addIssue({ code: "custom", path: ["tokens", at], message: "a token is empty" });
  });
}
