import { z } from "zod";
import { listenEndpoint, secret } from "../../config/blocks.ts";
import { queryUpstream } from "../../kit/doors/query-upstream-block.ts";
import { httpServerShape } from "../../kit/server/http-server-block.ts";
import { lineTableMistakes, SPANS_DOC } from "../../series/tables/span-tables.ts";
import { TABLE_FILES_DOC, type TableChoice } from "../../series/tables/table-choice.ts";

const MIB = 1024 * 1024;

const options = z.strictObject({
  endpoint: listenEndpoint("Where to listen: HTTP/1.1, and gRPC for queries.", "127.0.0.1:8086"),
  max_request_body_size: z
    .int()
    .min(1)
    .max(1024 * MIB)
    .default(64 * MIB)
    .describe("Largest body of a write in bytes, before and after decompression."),
  tokens: z
    .array(secret("A token, or a password of InfluxDB 1."))
    .min(1)
    .optional()
    .describe(
      "Who may write and query: whoever sends one of these tokens, as Token, Bearer, Basic password or p. Absent: any token and none.",
    ),
  databases: z
    .record(
      z.string().min(1),
      z
        .strictObject({
          database: z
            .string()
            .min(1)
            .optional()
            .describe("What database_attribute says instead of the name as sent."),
        })
        .nullable(),
    )
    .refine((map) => Object.keys(map).length > 0, { error: "expected the name of a database" })
    .optional()
    .describe(
      "Databases (v1: db, or db/rp) and buckets that may be written to; others are answered 404. Absent: all of them.",
    ),
  database_attribute: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Attribute of the resource that keeps the database's name, for example influxdb.database: the exporter's option of the same name routes by it. Absent: the name is not kept.",
    ),
  query_upstream: queryUpstream,
  service_name: z
    .string()
    .min(1)
    .optional()
    .describe("service.name of lines that have neither a tag service nor site_name."),
  tables: z
    .array(z.string())
    .min(1)
    .optional()
    .describe(
      `${TABLE_FILES_DOC} They say what of their lines is a tag, the body and the severity.`,
    ),
  spans: z.array(z.string()).min(1).optional().describe(SPANS_DOC),
  ...httpServerShape,
});
export type Config = z.output<typeof options>;

/** The options; `choice` checks `tables`. */
export function influxdbConfig(choice: TableChoice) {
  return options.superRefine(({ tables, spans, tokens, auth }, context) => {
    for (const { path, message } of lineTableMistakes(choice, { tables, spans }))
      context.addIssue({ code: "custom", path, message });
    if (tokens?.some((token) => token.reveal() === ""))
      context.addIssue({ code: "custom", path: ["tokens"], message: "a token is empty" });
    if (tokens !== undefined && auth !== undefined)
      context.addIssue({
        code: "custom",
        path: ["tokens"],
        message: "tokens and auth would both decide by the Authorization header: keep one",
      });
  });
}
