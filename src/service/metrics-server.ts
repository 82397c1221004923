import { createHttpServer, type HttpServer } from "../kit/server/http-server.ts";
import { droppedLines } from "./law.ts";
import type { Metrics } from "./metrics.ts";
import type { Route } from "./routes.ts";

const MAX_CONNECTIONS = 64;

/** `/metrics` as Prometheus text, where `service.telemetry.metrics` asks for it. */
export function createMetricsServer(
  endpoint: string,
  metrics: Metrics,
  routes: () => readonly Route[],
): HttpServer {
  return createHttpServer({
    endpoint,
    what: "service telemetry (service.telemetry.metrics)",
    maxConnections: MAX_CONNECTIONS,
    onRequest({ path, method }) {
      if (path !== "/metrics")
        return { status: 404, contentType: "text/plain", body: "see /metrics\n" };
      if (method !== "GET" && method !== "HEAD")
        return { status: 405, headers: { Allow: "GET, HEAD" } };
      const body = metrics.text() + droppedLines(routes());
      return { status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8", body };
    },
  });
}
