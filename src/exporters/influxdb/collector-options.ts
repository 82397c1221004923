import { z } from "zod";
import { secret } from "../../config/blocks.ts";
import type { Api } from "./verdicts.ts";

/** What the Collector's exporter of the same name calls its options, where ours are called otherwise. */
export const collectorShape = {
  bucket: z.string().min(1).optional().describe("As in the Collector: database, with api: v2."),
  v1_compatibility: z
    .strictObject({
      enabled: z
        .boolean()
        .default(false)
        .describe("api: v1, with the database and user of this block."),
      db: z.string().default("").describe("database."),
      username: z.string().default("").describe("username."),
      password: secret("password."),
    })
    .optional()
    .describe("As in the Collector: write to InfluxDB 1."),
  payload_max_lines: z.int().min(1).optional().describe("As in the Collector: max_items."),
  payload_max_bytes: z
    .int()
    .min(1 << 10)
    .max(1 << 30)
    .optional()
    .describe("As in the Collector: max_body_size."),
  span_dimensions: z
    .array(z.string())
    .optional()
    .describe("Accepted for compatibility: the tables say which attributes are tags."),
  log_record_dimensions: z
    .array(z.string())
    .optional()
    .describe("Accepted for compatibility: the tables say which attributes are tags."),
  metrics_schema: z
    .enum(["telegraf-prometheus-v1", "telegraf-prometheus-v2", "otel-v1"])
    .optional()
    .describe("Accepted for compatibility: points are written like telegraf-prometheus-v1."),
  precision: z
    .enum(["ns", "us", "ms", "s"])
    .optional()
    .describe("Accepted for compatibility: times are sent in nanoseconds."),
};

type CollectorOptions = z.output<z.ZodObject<typeof collectorShape>>;

interface OwnOptions {
  readonly api?: Api | undefined;
  readonly database?: string | undefined;
  readonly username?: string | undefined;
  readonly password: { reveal(): string };
  readonly max_items: number;
  readonly max_body_size: number;
}

/** Where rows go and how large requests are, whichever names were used. */
export interface Target {
  readonly api: Api;
  /** "" when only an attribute names it. */
  readonly database: string;
  readonly username: string | undefined;
  readonly password: string;
  readonly maxItems: number;
  readonly maxBytes: number;
}

/** Our own names win. */
export function targetOf(config: CollectorOptions & OwnOptions): Target {
  const { bucket, payload_max_lines: lines, payload_max_bytes: bytes } = config;
  const old = config.v1_compatibility?.enabled ? config.v1_compatibility : undefined;
  const { username = old?.username || undefined } = config;
  return {
    api: config.api ?? (old !== undefined ? "v1" : bucket !== undefined ? "v2" : "v3"),
    database: config.database ?? old?.db ?? bucket ?? "",
    username,
    password: config.password.reveal() || (old?.password.reveal() ?? ""),
    maxItems: lines ?? config.max_items,
    maxBytes: bytes ?? config.max_body_size,
  };
}

/** One sentence on what became of the Collector's options; undefined when there are none. */
export function collectorWarning(config: CollectorOptions & OwnOptions): string | undefined {
  const { api, database } = targetOf(config);
  const own: string[] = [];
  if (config.v1_compatibility !== undefined || config.bucket !== undefined)
    own.push(`api: ${api}, database: ${JSON.stringify(database)}`);
  if (config.v1_compatibility?.enabled && config.v1_compatibility.username !== "")
    own.push("username and password");
  if (config.payload_max_lines !== undefined) own.push(`max_items: ${config.payload_max_lines}`);
  if (config.payload_max_bytes !== undefined)
    own.push(`max_body_size: ${config.payload_max_bytes}`);
  const { span_dimensions, log_record_dimensions, metrics_schema, precision } = config;
  const idle = Object.entries({ span_dimensions, log_record_dimensions, metrics_schema, precision })
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name);
  if (own.length + idle.length === 0) return undefined;
  const became = own.length === 0 ? "" : `: they stand for ${own.join(", ")}; please write these`;
  const without =
    idle.length === 0
      ? ""
      : `; ${idle.join(", ")} ${idle.length === 1 ? "has" : "have"} no effect, as the series tables say what is a tag and what a field`;
  return `options of the Collector's influxdb exporter${became}${without}`;
}
