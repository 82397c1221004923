import { z } from "zod";
import { delivery, duration, listenEndpoint, secret, url } from "../../src/config/blocks.ts";
import type { Catalog, ComponentSchema } from "../../src/config/config.ts";

/** Small components in the shape of the real ones, so that these tests are about the grammar only. */

const logs = { logs: "stable" } as const;
const all = { logs: "stable", metrics: "stable", traces: "stable" } as const;

const door = (port: number) => {
  const block = z.strictObject({
    enabled: z.boolean().default(true),
    endpoint: listenEndpoint("Where to listen.", `127.0.0.1:${port}`),
    max_mib: z.int().min(1).max(1024).default(64),
  });
  return block
    .nullable()
    .optional()
    .transform((given) => (given === null ? block.parse({}) : given));
};

const otlp = z.strictObject({
  protocols: z
    .strictObject({ grpc: door(4317), http: door(4318) })
    .refine(({ grpc, http }) => grpc !== undefined || http !== undefined, {
      error: "name at least one protocol: grpc, http or both",
    }),
});

const lines = z.strictObject({
  udp: z.strictObject({ endpoint: listenEndpoint("UDP.", "127.0.0.1:8094") }).optional(),
  tcp: z.strictObject({ endpoint: listenEndpoint("TCP.", "127.0.0.1:8094") }).optional(),
  precision: z.enum(["auto", "ns", "us", "ms", "s"]).default("auto"),
});

const influxdb = z.strictObject({
  endpoint: url("Base URL."),
  database: z.string().min(1).describe("Database."),
  token: secret("API token."),
  api: z.enum(["v3", "v2", "v1"]).default("v3"),
  tables: z.array(z.string()).optional(),
  headers: z.record(z.string(), secret("A header.")).optional(),
  ...delivery,
});

const attributes = z.strictObject({
  actions: z
    .array(
      z.strictObject({
        key: z.string().min(1),
        action: z.enum(["insert", "update", "upsert", "delete"]),
        value: z.union([z.string(), z.number(), z.boolean()]).optional(),
      }),
    )
    .min(1),
});

/** Every kind of scalar, for the typing tables. */
const probe = z.strictObject({
  text: z.string().default("default"),
  int: z.int().default(1),
  float: z.number().default(1.5),
  bool: z.boolean().default(false),
  list: z.array(z.string()).default([]),
  map: z.record(z.string(), z.unknown()).default({}),
  pause: duration("A pause.", "1s"),
  any: z.unknown().optional(),
});

function typed(entries: Record<string, readonly [z.ZodType, ComponentSchema["stability"]]>) {
  return new Map<string, ComponentSchema>(
    Object.entries(entries).map(([type, [schema, stability]]) => [
      type,
      { type, schema, stability },
    ]),
  );
}

export const catalog: Catalog = {
  receivers: typed({ otlp: [otlp, all], line_protocol: [lines, logs], probe: [probe, all] }),
  processors: typed({ attributes: [attributes, all] }),
  exporters: typed({
    influxdb: [influxdb, logs],
    debug: [z.strictObject({ verbosity: z.enum(["basic", "detailed"]).default("basic") }), all],
    otlp_http: [z.strictObject({ endpoint: url("Base URL."), ...delivery }), all],
  }),
  extensions: typed({
    health_check: [z.strictObject({ endpoint: listenEndpoint("Health.", "127.0.0.1:13133") }), {}],
    file_storage: [z.strictObject({ directory: z.string().default("./data/queue") }), {}],
  }),
  connectors: new Map(),
};
