import { createHttpServer, type HttpServer } from "../../kit/server/http-server.ts";
import { httpServerOptions } from "../../kit/server/http-server-block.ts";
import { serverSurroundings } from "../../kit/server/server-surroundings.ts";
import type { Intake } from "../../pipeline/contracts.ts";
import type { Context, ReceiverFactory } from "../../pipeline/factory.ts";
import { type Config, config } from "./config.ts";
import { Ingest } from "./ingest.ts";

/** The HTTP server of one receiver. */
function createHttpLogsServer(options: Config, context: Context, intake: Intake): HttpServer {
  const ingest = new Ingest(options, context, intake);
  const option = `receivers.${context.id}`;
  return createHttpServer({
    ...httpServerOptions(options),
    ...serverSurroundings(options, context, option),
    endpoint: options.endpoint,
    what: `receiver ${context.id}`,
    option: `${option}.endpoint`,
    onRequest: (request) => ingest.answer(request),
    onDenied: (_request, why) => ingest.deny(why),
    onTrouble: (error) =>
      context.log.warn(
        { receiver: context.id, error: error.message },
        "trouble in the HTTP server",
      ),
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
