import { z } from "zod";
import { listenEndpoint } from "../../config/blocks.ts";
import { grpcServerShape } from "../../kit/server/grpc-server-block.ts";
import { bodySizeOption, httpServerShape } from "../../kit/server/http-server-block.ts";

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

const grpc = z.strictObject({
  enabled,
  endpoint: listenEndpoint("Where to listen for gRPC.", "127.0.0.1:4317"),
  ...grpcServerShape,
});

const http = z.strictObject({
  enabled,
  endpoint: listenEndpoint("Where to listen for HTTP.", "127.0.0.1:4318"),
  max_request_body_size: bodySizeOption(1024, 64),
  logs_url_path: urlPath("logs"),
  metrics_url_path: urlPath("metrics"),
  traces_url_path: urlPath("traces"),
  ...httpServerShape,
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
