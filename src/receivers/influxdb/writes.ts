import { BadLines } from "../../kit/doors/bad-lines.ts";
import { Exporting } from "../../kit/doors/exporting.ts";
import { BodyLines, LineRequests } from "../../kit/doors/line-requests.ts";
import { admitBody } from "../../kit/server/admitted-body.ts";
import { type Body, codingOf } from "../../kit/server/compression.ts";
import type { HttpAnswer, HttpRequest } from "../../kit/server/http-server.ts";
import type { Precision } from "../../line/time.ts";
import type { Intake, Lease } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import { LineDoor } from "../../series/doors/door.ts";
import type { LineShape } from "../../series/doors/line-shapes.ts";
import type { ResourceAttribute } from "../../series/resource-attribute.ts";
import type { Api, WriteParameters } from "./apis.ts";
import type { Config } from "./config.ts";
import { Databases } from "./databases.ts";
import { Fault } from "./fault.ts";

const STORED: HttpAnswer = { status: 204 };

/** Steps of the wall clock that a line without a time gets, in milliseconds: as coarse as its request's times, as InfluxDB does it. */
const STEP_MS: Readonly<Record<Precision, number>> = {
  auto: 1,
  ns: 1,
  us: 1,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** Writes, from the head of the request to its answer. The same for the three versions of the API. */
export class Writes {
  readonly databases: Databases;
  readonly #exporting: Exporting;
  readonly #context: Context;
  readonly #limitBytes: number;
  readonly #requests: LineRequests;

  constructor(shapes: readonly LineShape[], config: Config, context: Context, intake: Intake) {
    this.databases = new Databases(config);
    this.#exporting = new Exporting(context, intake, "http");
    this.#context = context;
    this.#limitBytes = config.max_request_body_size;
    const { service_name: serviceName } = config;
    this.#requests = new LineRequests(
      context,
      intake,
      this.#exporting,
      (onBadLine) =>
        new LineDoor(shapes, {
          precision: "ns",
          onBadLine,
          ...(serviceName !== undefined && { serviceName }),
        }),
    );
  }

  async answer(api: Api, request: HttpRequest, query: URLSearchParams): Promise<HttpAnswer> {
    try {
      if (request.method !== "POST") throw new Fault("method", `send POST, not ${request.method}`);
      const parameters = api.parameters(query);
      const carried = this.databases.carried(parameters.database);
      const coding = request.header("content-encoding") ?? "";
      if (codingOf(coding) === undefined)
        throw new Fault("invalid", `unacceptable content-encoding: ${coding.slice(0, 100)}`);
      const admit = (bytes: number) => this.#exporting.admit("logs", bytes);
      const { body, lease } = await admitBody(request, this.#limitBytes, admit);
      using _lease = lease;
      return await this.#take(api, parameters, carried, body, lease);
    } catch (reason) {
      return this.refuse(api, reason);
    }
  }

  /** The answer to a request that gets no success, counted. */
  refuse(api: Api, reason: unknown): HttpAnswer {
    const fault = reason instanceof Fault ? reason : Fault.from(this.#exporting.failure(reason));
    this.#exporting.count(fault.outcome);
    const answer = api.fault(fault, this.#limitBytes);
    return fault.kind === "method"
      ? { ...answer, headers: { ...answer.headers, Allow: "POST" } }
      : answer;
  }

  async #take(
    api: Api,
    parameters: WriteParameters,
    carried: ResourceAttribute,
    { bytes, length }: Body,
    lease: Lease,
  ): Promise<HttpAnswer> {
    const { precision, acceptPartial } = parameters;
    const now = this.#context.nowMs();
    const receivedMs = now - (now % STEP_MS[precision]);
    const bad = new BadLines();
    bad.begin(bytes);
    const source = new BodyLines(length, (door) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      door.begin(bytes, view, 0, length, receivedMs, precision);
    });
    const { items } = await this.#requests.take(source, lease, {
      onBadLine: bad.add,
      carried,
      decide: (read) => (acceptPartial || read.bad === 0 ? "keep" : "refuse"),
    });
    return bad.count > 0 ? api.badLines(bad, items, parameters) : STORED;
  }
}
