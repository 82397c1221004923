import { z } from "zod";
import { deliveryInLanes, secret, url } from "../../config/blocks.ts";
import {
  checkHttpClient,
  holdsCredentials,
  httpClientShape,
} from "../../kit/client/http-client-block.ts";
import { TABLES_DOC, type TableChoice } from "../../series/tables/table-choice.ts";
import { collectorShape, targetOf } from "./collector-options.ts";

const MAX_BODY = 8 << 20;
/** InfluxDB 3 answers when its write-ahead log is flushed, after a second by default. */
const LANES = 32;
/** Each has a writer and a registry of types of its own. */
const DATABASES_MAX = 64;
/** Items in one request at most, whatever fits its body. */
const MAX_ITEMS = 1 << 16;
const V3_NAME_DOC =
  "InfluxDB 3 wants a letter or digit first, then letters, digits, _ and -, and at most one /";
const V3_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]*(?:\/[A-Za-z0-9_-]+)?$/;

const options = z.strictObject({
  endpoint: url(
    "Where InfluxDB listens, for example http://127.0.0.1:8181. A path in it is put before the API's.",
  ),
  database: z.string().min(1).optional().describe("Database (v3, v1) or bucket (v2)."),
  database_attribute: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Attribute of the resource that names the database, for example tenant.id. Items whose database is not in `databases` go to `database`; without one, they are dropped as no_database.",
    ),
  databases: z
    .array(z.string().min(1))
    .min(1)
    .max(DATABASES_MAX)
    .optional()
    .describe("Databases that `database_attribute` may name: whoever sends cannot make others."),
  api: z
    .enum(["v3", "v2", "v1"])
    .optional()
    .describe(
      "Write API, v3 by default: it names each bad line, so only that one is set aside; v2 and v1 need some resends to find it.",
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
  ...httpClientShape,
  compression: z
    .enum(["none", "gzip"])
    .default("none")
    .describe(
      "Of requests. gzip costs more processor time than writing the rows; InfluxDB takes nothing else.",
    ),
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
    .describe(
      "Largest request body in bytes, before compression. InfluxDB 3 refuses more than 10 MiB by default.",
    ),
  max_items: z
    .int()
    .min(1)
    .max(MAX_ITEMS)
    .default(MAX_ITEMS)
    .describe("Items in one request at most. Most make one line, a failed request makes two."),
  ...collectorShape,
  ...deliveryInLanes(LANES),
});

/** The options; `choice` checks `tables`. */
export function influxdbConfig(choice: TableChoice) {
  return options.refine(namesDatabase, WITHOUT_DATABASE).superRefine((config, context) => {
    for (const { at, message } of choice.mistakes(config.tables ?? []))
      context.addIssue({ code: "custom", path: ["tables", at], message });
    checkHttpClient(config, context);
    for (const [option, message] of mistakes(config))
      context.addIssue({ code: "custom", path: [option], message });
  });
}
export type Config = z.output<typeof options>;

/** Told beside other mistakes, so also asked of options that are wrong. */
const WITHOUT_DATABASE = {
  path: ["database"],
  error: '"database" is missing: expected the name of a database (v3, v1) or bucket (v2)',
  when: () => true,
};

function namesDatabase(config: Partial<Config> | undefined): boolean {
  const { database, bucket, database_attribute: attribute, v1_compatibility: old } = config ?? {};
  return (database ?? bucket ?? attribute) !== undefined || old?.enabled === true;
}

function* mistakes(config: Config): Generator<readonly [keyof Config, string]> {
  const { api, database } = targetOf(config);
  if (database === "" && config.v1_compatibility?.enabled)
    yield ["v1_compatibility", "db is missing: the database to write to"];
  if (database !== "" && api === "v3" && !V3_NAME.test(database)) yield ["database", V3_NAME_DOC];
  const { database_attribute: attribute, databases } = config;
  if ((attribute === undefined) !== (databases === undefined))
    yield [
      attribute === undefined ? "database_attribute" : "databases",
      "database_attribute and databases go together: an attribute, and the databases that it may name",
    ];
  const odd = api === "v3" ? databases?.find((name) => !V3_NAME.test(name)) : undefined;
  if (odd !== undefined) yield ["databases", `${JSON.stringify(odd)}: ${V3_NAME_DOC}`];
  const token = config.token.reveal();
  if (config.auth !== undefined && token !== "")
    yield ["token", "token and auth would both write the Authorization header: keep one"];
  if (/[^\x21-\x7e]/.test(token))
    yield [
      "token",
      "the token holds a space, a line break or another character that HTTP headers do not allow",
    ];
  if (holdsCredentials(config.endpoint))
    yield ["endpoint", "credentials belong in token, or in username and password, not in the URL"];
  if (URL.parse(config.endpoint)?.search)
    yield [
      "endpoint",
      "what is behind the ? is written by the exporter: put it into database, org or retention_policy",
    ];
}
