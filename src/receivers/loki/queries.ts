import { QueryUpstream, UpstreamDown } from "../../kit/doors/query-upstream.ts";
import type { HttpAnswer, HttpRequest } from "../../kit/server/http-server.ts";
import type { Upgrades } from "../../kit/server/http-server-upgrade.ts";
import type { Context } from "../../pipeline/factory.ts";
import { failure, NOT_FOUND } from "./answers.ts";
import type { Config } from "./config.ts";

/** Paths of Loki's API that read: queries, labels, series, and what Grafana asks beside them. */
const READS =
  /^\/(?:loki\/api\/v1|api\/prom)\/(?:query(?:_range)?|instant-query|labels?(?:\/[^/]+\/values)?|series|tail|index\/[a-z_]+|patterns?|detected_[a-z]+(?:\/[^/]+\/values)?|format_query|drilldown-limits|rules|delete)$/;
const TAIL = /^\/(?:loki\/api\/v1|api\/prom)\/tail$/;
const BUILDINFO = {
  version: "3.7.8",
  revision: "",
  branch: "",
  buildUser: "",
  buildDate: "",
  goVersion: "",
};

/** What asks for data goes to `query_upstream`; whether this is alive and what it is, is answered here. */
export class Queries {
  readonly #upstream: QueryUpstream | undefined;
  readonly #option: string;

  constructor({ query_upstream: url }: Config, context: Context) {
    this.#option = `receivers.${context.id}.query_upstream`;
    if (url === undefined) return;
    const upstream = new QueryUpstream(url, this.#option);
    this.#upstream = upstream;
    context.meter.observe(
      "weir_query_tunnels",
      "Live queries over WebSocket that are handed on at present.",
      { receiver: context.id },
      "gauge",
      () => upstream.tunnels,
    );
  }

  /** Ends live tailing, which would not end by itself. */
  closeTails(): void {
    this.#upstream?.closeTunnels();
  }

  stop(): void {
    this.#upstream?.stop();
  }

  async answer(request: HttpRequest): Promise<HttpAnswer> {
    const { path } = request;
    if (path === "/ready")
      return { status: 200, contentType: "text/plain; charset=utf-8", body: "ready\n" };
    const isBuildinfo = path === "/loki/api/v1/status/buildinfo";
    if (this.#upstream === undefined) {
      if (isBuildinfo)
        return {
          status: 200,
          contentType: "application/json",
          body: `${JSON.stringify(BUILDINFO)}\n`,
        };
      return READS.test(path) ? this.#unanswered() : NOT_FOUND;
    }
    if (!isBuildinfo && !READS.test(path)) return NOT_FOUND;
    return answered(this.#upstream.forward(request));
  }

  /** Live tailing: WebSocket, from the client to the database. */
  get upgrades(): Upgrades | undefined {
    const upstream = this.#upstream;
    if (upstream === undefined) return undefined;
    return {
      paths: TAIL,
      take: (request, socket, head) => answered(upstream.tunnel(request, socket, head)),
    };
  }

  #unanswered(): HttpAnswer {
    return failure(
      501,
      `queries are not answered here: set ${this.#option} to the URL of a Loki that does, for example http://127.0.0.1:3101`,
    );
  }
}

async function answered(answer: Promise<HttpAnswer>): Promise<HttpAnswer> {
  try {
    return await answer;
  } catch (reason) {
    if (!(reason instanceof UpstreamDown)) throw reason;
    return failure(reason.status, reason.message);
  }
}
