import { z } from "zod";
import { delivery, secret, url } from "../../config/blocks.ts";
import { tlsClient } from "../../kit/tls-block.ts";
import { TABLES_DOC, type TableChoice } from "../../series/table-choice.ts";

const MAX_BODY = 8 << 20;

/** The options; `choice` checks `tables`. */
export function influxdbConfig(choice: TableChoice) {
  return z
    .strictObject({
      endpoint: url(
        "Where InfluxDB listens, for example http://127.0.0.1:8181. A path in it is put before the API's.",
      ),
      database: z.string().min(1).describe("Database (v3, v1) or bucket (v2)."),
      api: z
        .enum(["v3", "v2", "v1"])
        .default("v3")
        .describe(
          "Write API: v3 names each bad line, so only that one is set aside; v2 and v1 need some resends to find it.",
        ),
      token: secret("API token. v1: a token of a newer server behind /write."),
      org: z.string().optional().describe("Organization (v2)."),
      username: z.string().optional().describe("User name (v1)."),
      password: secret("Password (v1)."),
      retention_policy: z.string().optional().describe("Retention policy (v1)."),
      no_sync: z
        .boolean()
        .default(false)
        .describe(
          "v3: answer before the server's write-ahead log is flushed. Faster, and a crash of the server may lose the last second.",
        ),
      tables: z.array(z.string()).min(1).optional().describe(TABLES_DOC),
      tls: tlsClient,
      metric_tags: z
        .array(z.string().regex(/^[^\p{Cc}\\]+$/u, "no control characters, no backslash"))
        .optional()
        .describe(
          "Attributes of the resource that become tags of every data point, _ for each dot. Default: service.name, service.namespace, service.instance.id, host.name.",
        ),
      max_body_size: z
        .int()
        .min(1 << 10)
        .max(1 << 30)
        .default(MAX_BODY)
        .describe("Largest request body in bytes. InfluxDB 3 refuses more than 10 MiB by default."),
      ...delivery,
    })
    .superRefine((config, context) => {
      const issue = (path: readonly PropertyKey[], message: string) =>
        context.addIssue({ code: "custom", path: [...path], message });
      for (const { at, message } of choice.mistakes(config.tables ?? []))
        issue(["tables", at], message);
      if (
        config.api === "v3" &&
        !/^[A-Za-z0-9][A-Za-z0-9_-]*(?:\/[A-Za-z0-9_-]+)?$/.test(config.database)
      )
        issue(
          ["database"],
          "InfluxDB 3 wants a letter or digit first, then letters, digits, _ and -, and at most one /",
        );
      if (/[^\x21-\x7e]/.test(config.token.reveal()))
        issue(
          ["token"],
          "the token holds a space, a line break or another character that HTTP headers do not allow",
        );
      const { username, password } = URL.parse(config.endpoint) ?? { username: "", password: "" };
      if (username !== "" || password !== "")
        issue(
          ["endpoint"],
          "credentials belong in token, or in username and password, not in the URL",
        );
    });
}
export type Config = z.output<ReturnType<typeof influxdbConfig>>;
