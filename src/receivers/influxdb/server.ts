import { randomUUID } from "node:crypto";
import type { HttpAnswer, HttpRequest, HttpServer } from "../../kit/server/http-server.ts";
import { createReceiverServer } from "../../kit/server/receiver-server.ts";
import { serverSurroundings } from "../../kit/server/server-surroundings.ts";
import type { Intake } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import type { LineShape } from "../../series/doors/line-shapes.ts";
import { Access } from "./access.ts";
import { type Api, V1, V2, V3 } from "./apis.ts";
import type { Config } from "./config.ts";
import type { Fault } from "./fault.ts";
import { Queries } from "./queries.ts";
import { health, ping, VERSION_HEADERS } from "./status.ts";
import { Writes } from "./writes.ts";

const WRITES: ReadonlyMap<string, Api> = new Map([
  ["/write", V1],
  ["/api/v2/write", V2],
  ["/api/v3/write_lp", V3],
]);

/** InfluxDB's port: writes of its three versions, and what asks for data. */
export function createInfluxdbServer(
  shapes: readonly LineShape[],
  config: Config,
  context: Context,
  intake: Intake,
): HttpServer {
  // Asked by this receiver itself, after its own tokens.
  const { auth } = serverSurroundings({ auth: config.auth }, context, `receivers.${context.id}`);
  const access = new Access(config, auth);
  const writes = new Writes(shapes, config, context, intake);
  const queries = new Queries(config, context, access, writes.databases);
  const doors = new Doors(access, writes, queries);
  const server = createReceiverServer({ ...config, auth: undefined }, context, {
    ownHeaders: { ...VERSION_HEADERS, "cluster-uuid": randomUUID() },
    onRequest: (request) => doors.answer(request),
    onHttp2Stream: queries.call,
  });
  return {
    start: () => server.start(),
    address: () => server.address(),
    async stop(deadline) {
      await server.stop(deadline);
      queries.stop();
    },
  };
}

/** Which part answers which path. */
class Doors {
  readonly #access: Access;
  readonly #writes: Writes;
  readonly #queries: Queries;

  constructor(access: Access, writes: Writes, queries: Queries) {
    this.#access = access;
    this.#writes = writes;
    this.#queries = queries;
  }

  answer(request: HttpRequest): HttpAnswer | Promise<HttpAnswer> {
    const { path, method } = request;
    if (method === "OPTIONS") return { status: 204 };
    if (path === "/ping") return ping(request);
    if (path === "/health" || path === "/api/v1/health") return health(request);
    const api = WRITES.get(path);
    const query = new URLSearchParams(request.query);
    const words = api ?? apiOf(path);
    const header = (name: string) => request.header(name);
    const denied = this.#access.check(header, words === V1 ? query : undefined);
    const decide = (fault: Fault | undefined) => {
      if (fault !== undefined) return this.#deny(words, fault);
      return api === undefined
        ? this.#query(words, request, query)
        : this.#writes.answer(api, request, query);
    };
    return denied instanceof Promise ? denied.then(decide) : decide(denied);
  }

  async #query(api: Api, request: HttpRequest, query: URLSearchParams): Promise<HttpAnswer> {
    try {
      return await this.#queries.answer(request, query);
    } catch (reason) {
      return this.#writes.refuse(api, reason);
    }
  }

  #deny(api: Api, fault: Fault): HttpAnswer {
    const answer = this.#writes.refuse(api, fault);
    if (fault.kind !== "unauthorized") return answer;
    const challenge = api === V1 ? 'Basic realm="InfluxDB"' : 'Token realm="InfluxDB"';
    return { ...answer, headers: { ...answer.headers, "WWW-Authenticate": challenge } };
  }
}

/** In whose words to speak of a path. */
function apiOf(path: string): Api {
  if (path === "/query") return V1;
  return path.startsWith("/api/v2/") ? V2 : V3;
}
