import { z } from "zod";
import { duration, listenEndpoint } from "../../config/blocks.ts";

const MIB = 1024 * 1024;

const enabled = z
  .boolean()
  .default(true)
  .describe("false: as if the block were absent. Lets a later file switch a protocol off.");

function urlPath(signal: string) {
  return z
    .string()
    .transform((path) => (path.startsWith("/") ? path : `/${path}`))
    .prefault(`/v1/${signal}`)
    .describe(`Path that takes ${signal}.`);
}

const keepalive = z
  .strictObject({
    server_parameters: z
      .strictObject({
        max_connection_idle: duration("A connection without calls is closed after this.", "5m"),
        max_connection_age: duration(
          "A connection is asked to reconnect after this, give or take 10 %, so that load spreads over new instances.",
          "30m",
        ),
      })
      .prefault({})
      .describe("Limits on the life of a connection."),
  })
  .prefault({})
  .describe("Life of connections.");

const grpc = z.strictObject({
  enabled,
  endpoint: listenEndpoint("Where to listen for gRPC.", "127.0.0.1:4317"),
  max_recv_msg_size_mib: z
    .int()
    .min(1)
    .max(1024)
    .default(64)
    .describe("Largest message in MiB, before and after decompression."),
  max_concurrent_streams: z
    .int()
    .min(1)
    .max(10_000)
    .default(100)
    .describe("Calls in flight per connection."),
  max_connections: z
    .int()
    .min(1)
    .optional()
    .describe("Connections at once. Default: what fits the byte budget, at most 10,000."),
  keepalive,
});

const http = z.strictObject({
  enabled,
  endpoint: listenEndpoint("Where to listen for HTTP.", "127.0.0.1:4318"),
  max_request_body_size: z
    .int()
    .min(1)
    .max(1024 * MIB)
    .default(64 * MIB)
    .describe("Largest body in bytes, before and after decompression."),
  logs_url_path: urlPath("logs"),
  metrics_url_path: urlPath("metrics"),
  traces_url_path: urlPath("traces"),
  read_header_timeout: duration("How long the head of a request may take.", "10s"),
  read_timeout: duration("How long a whole request may take to arrive.", "60s"),
  idle_timeout: duration("How long an idle connection stays open.", "120s"),
  max_connections: z
    .int()
    .min(1)
    .optional()
    .describe("Connections at once. Default: what fits the byte budget, at most 10,000."),
});

/** `grpc:` with nothing behind it means the defaults, as in the Collector; `enabled: false` means absent. */
export const config = z.strictObject({
  protocols: z
    .strictObject({
      grpc: grpc
        .nullable()
        .optional()
        .transform((block) => (block === null ? grpc.parse({}) : block))
        .transform((block) => (block?.enabled === true ? block : undefined))
        .describe("OTLP over gRPC. Present, even when empty: on."),
      http: http
        .nullable()
        .optional()
        .transform((block) => (block === null ? http.parse({}) : block))
        .transform((block) => (block?.enabled === true ? block : undefined))
        .describe("OTLP over HTTP, protobuf and JSON. Present, even when empty: on."),
    })
    .refine(({ grpc, http }) => grpc !== undefined || http !== undefined, {
      error: "name at least one protocol: grpc, http or both",
    })
    .describe("The protocols to listen for; at least one."),
});

export type Config = z.output<typeof config>;
export type GrpcConfig = NonNullable<Config["protocols"]["grpc"]>;
export type HttpConfig = NonNullable<Config["protocols"]["http"]>;
