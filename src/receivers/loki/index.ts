import type { HttpServer } from "../../kit/server/http-server.ts";
import { createReceiverServer } from "../../kit/server/receiver-server.ts";
import type { Intake } from "../../pipeline/contracts.ts";
import type { Context, ReceiverFactory } from "../../pipeline/factory.ts";
import { NOT_FOUND } from "./answers.ts";
import { type Config, config } from "./config.ts";
import { Pushes } from "./pushes.ts";
import { Queries } from "./queries.ts";

/** The last one is where clients end up that add `/api/v1/push` to an address without a path. */
const PUSH_PATHS = new Set(["/loki/api/v1/push", "/api/prom/push", "/api/v1/push"]);
const OTLP_PATH = "/otlp/v1/logs";

/** Loki's port. */
function createLokiServer(options: Config, context: Context, intake: Intake): HttpServer {
  const pushes = new Pushes(options, context, intake);
  const queries = new Queries(options, context);
  const server = createReceiverServer(options, context, {
    onRequest: async (request) => {
      if (PUSH_PATHS.has(request.path)) return pushes.push(request);
      if (request.path === OTLP_PATH) return pushes.otlp(request);
      const answer = await queries.answer(request);
      return answer === NOT_FOUND ? pushes.refuse(answer) : answer;
    },
    upgrades: queries.upgrades,
    onDenied: (_request, why) => pushes.deny(why),
  });
  return {
    start: () => server.start(),
    address: () => server.address(),
    async stop(deadline) {
      queries.closeTails();
      await server.stop(deadline);
      queries.stop();
    },
  };
}

/** Takes what is sent to Loki. */
export const loki = {
  kind: "receiver",
  type: "loki",
  summary:
    "Loki's push API, in protobuf and JSON, and its OTLP endpoint; queries go to a Loki behind it.",
  stability: { logs: "beta" },
  schema: config,
  example: { endpoint: "127.0.0.1:3100" },
  create: (options: Config, context: Context, intake: Intake): HttpServer =>
    createLokiServer(options, context, intake),
} satisfies ReceiverFactory<Config>;
