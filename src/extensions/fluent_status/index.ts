import {
  createHttpServer,
  type HttpAnswer,
  type HttpServer,
} from "../../kit/server/http-server.ts";
import type { ExtensionContext, ExtensionFactory, Running } from "../../pipeline/factory.ts";
import { type Config, config } from "./config.ts";
import { NO_RELOAD, PAGES } from "./pages.ts";

const MAX_CONNECTIONS = 256;
const RELOAD = "/api/v2/reload";
const NOTHING: Running = { version: "", pipelines: new Map(), figures: () => [] };

/** The pages of one instance. */
function createStatusServer({ endpoint }: Config, context: ExtensionContext): HttpServer {
  const startedMs = context.nowMs();
  return createHttpServer({
    endpoint,
    what: `extension ${context.id}`,
    option: `extensions.${context.id}.endpoint`,
    maxConnections: MAX_CONNECTIONS,
    onRequest({ path, method }): HttpAnswer {
      const page = PAGES.get(path === "/" ? path : path.replace(/\/$/, ""));
      if (page === undefined)
        return {
          status: 404,
          contentType: "text/plain",
          body: `see ${[...PAGES.keys()].join(", ")}\n`,
        };
      if (path === RELOAD && (method === "POST" || method === "PUT")) return NO_RELOAD;
      if (method !== "GET" && method !== "HEAD")
        return { status: 405, headers: { Allow: "GET, HEAD" } };
      const nowMs = context.nowMs();
      return page({
        isReady: context.isReady(),
        uptimeMs: nowMs - startedMs,
        nowMs,
        running: context.running ?? NOTHING,
      });
    },
  });
}

/** Fluent Bit's monitoring pages: for scripts that ask port 2020 whether logs are collected. */
export const fluentStatus = {
  kind: "extension",
  type: "fluent_status",
  summary: "Status pages as Fluent Bit has them on port 2020: health, metrics, uptime, storage.",
  stability: {},
  schema: config,
  example: { endpoint: "127.0.0.1:2020" },
  create(options: Config, context: ExtensionContext): HttpServer {
    return createStatusServer(options, context);
  },
} satisfies ExtensionFactory<Config>;
