import type { HttpServer } from "../../kit/server/http-server.ts";
import { createReceiverServer } from "../../kit/server/receiver-server.ts";
import type { Intake } from "../../pipeline/contracts.ts";
import type { Context, ReceiverFactory } from "../../pipeline/factory.ts";
import { type Config, config } from "./config.ts";
import { Ingest } from "./ingest.ts";

/** The HTTP server of one receiver. */
function createHttpLogsServer(options: Config, context: Context, intake: Intake): HttpServer {
  const ingest = new Ingest(options, context, intake);
  return createReceiverServer(options, context, {
    onRequest: (request) => ingest.answer(request),
    onDenied: (_request, why) => ingest.deny(why),
  });
}

/** Takes records as JSON and MessagePack over HTTP. */
export const httpLogs = {
  kind: "receiver",
  type: "http_logs",
  summary: "Log records as JSON or MessagePack over HTTP: Fluent Bit, Fluentd, curl.",
  stability: { logs: "beta" },
  schema: config,
  example: { endpoint: "127.0.0.1:8080" },
  create: (options: Config, context: Context, intake: Intake): HttpServer =>
    createHttpLogsServer(options, context, intake),
} satisfies ReceiverFactory<Config>;
