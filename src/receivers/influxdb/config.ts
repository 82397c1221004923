import { z } from "zod";
import { listenEndpoint, secret } from "../../config/blocks.ts";
import { type LineTables, lineOptions } from "../../kit/doors/line-tables.ts";
import { queryUpstream } from "../../kit/doors/query-upstream-block.ts";
import { bodySizeOption, httpServerShape } from "../../kit/server/http-server-block.ts";

const options = z.strictObject({
  endpoint: listenEndpoint("Where to listen: HTTP/1.1, and gRPC for queries.", "127.0.0.1:8086"),
  max_request_body_size: bodySizeOption(1024, 64),
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
  ...lineOptions("lines"),
  ...httpServerShape,
});
export type Config = z.output<typeof options>;

/** The options; `lines` checks those of tables. */
export function influxdbConfig(lines: LineTables) {
  return options.superRefine(({ tables, spans, tokens, auth }, context) => {
    lines.check({ tables, spans }, context);
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
