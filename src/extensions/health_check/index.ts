import { createHttpServer } from "../../kit/server/http-server.ts";
import type { ExtensionFactory } from "../../pipeline/factory.ts";
import { type Config, config } from "./config.ts";

const MAX_CONNECTIONS = 256;

/** Answers 200 when every listener and route is ready, 503 before that and while stopping (the Collector's body). */
export const healthCheck: ExtensionFactory<Config> = {
  kind: "extension",
  type: "health_check",
  summary: "Tells load balancers and supervisors over HTTP whether the service is ready.",
  stability: {},
  schema: config,
  example: { endpoint: "127.0.0.1:13133" },
  create(options, context) {
    const startedMs = context.nowMs();
    const server = createHttpServer({
      endpoint: options.endpoint,
      what: `extension ${context.id}`,
      maxConnections: MAX_CONNECTIONS,
      onRequest({ path, method }) {
        if (path !== options.path)
          return { status: 404, contentType: "text/plain", body: "not found\n" };
        if (method !== "GET" && method !== "HEAD")
          return { status: 405, headers: { Allow: "GET, HEAD" } };
        return answer(context.isReady(), startedMs, context.nowMs(), context.alarms?.());
      },
    });
    return {
      async start() {
        await server.start();
        context.log.info({ endpoint: server.address() }, "health is answered here");
      },
      stop: (deadline) => server.stop(deadline),
    };
  },
};

/** Alarms are told in the body only: a service that queues is healthy, and restarting it would mend nothing. */
function answer(
  isReady: boolean,
  startedMs: number,
  nowMs: number,
  alarms: ReadonlyMap<string, string> = new Map(),
) {
  const status = isReady ? "Server available" : "Server not available";
  const body = {
    status,
    upSince: new Date(startedMs).toISOString(),
    uptime: `${(nowMs - startedMs) / 1_000}s`,
    ...(alarms.size > 0 && { alarms: Object.fromEntries(alarms) }),
  };
  return {
    status: isReady ? 200 : 503,
    contentType: "application/json",
    body: `${JSON.stringify(body)}\n`,
  };
}
