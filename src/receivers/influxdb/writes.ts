import { type AdmittedBody, admitBody } from "../../kit/admitted-body.ts";
import { codingOf } from "../../kit/compression.ts";
import { Exporting } from "../../kit/exporting.ts";
import type { HttpAnswer, HttpRequest } from "../../kit/http-server.ts";
import { ClientGone } from "../../kit/http-server-body.ts";
import { replacedTimesCounter } from "../../kit/line-counts.ts";
import { RareLog } from "../../kit/rare-log.ts";
import type { Precision } from "../../line/time.ts";
import type { Intake } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import type { Counter } from "../../pipeline/telemetry.ts";
import type { DoorResult } from "../../series/door.ts";
import type { LineShape } from "../../series/line-shapes.ts";
import type { ResourceAttribute } from "../../series/resource-attribute.ts";
import type { Api, WriteParameters } from "./apis.ts";
import type { Config } from "./config.ts";
import { Databases } from "./databases.ts";
import { Fault } from "./fault.ts";
import { LineDesk } from "./line-desk.ts";

const STORED: HttpAnswer = { status: 204 };
const LOG_EVERY_MS = 60_000;
/** Desks that are kept for later requests; more are needed only while large bodies are read. */
const DESKS_KEPT = 2;

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
  readonly #intake: Intake;
  readonly #limitBytes: number;
  readonly #makeDesk: () => LineDesk;
  readonly #desks: LineDesk[] = [];
  readonly #log = new RareLog(LOG_EVERY_MS);
  readonly #replacedTimes: Counter;

  constructor(shapes: readonly LineShape[], config: Config, context: Context, intake: Intake) {
    this.databases = new Databases(config);
    this.#exporting = new Exporting(context, intake, "http");
    this.#context = context;
    this.#intake = intake;
    this.#limitBytes = config.max_request_body_size;
    this.#makeDesk = () => new LineDesk(shapes, config.service_name);
    this.#replacedTimes = replacedTimesCounter(context, "http");
  }

  async answer(api: Api, request: HttpRequest, query: URLSearchParams): Promise<HttpAnswer> {
    try {
      if (request.method !== "POST") throw new Fault("method", `send POST, not ${request.method}`);
      const parameters = api.parameters(query);
      const carried = this.databases.carried(parameters.database);
      const coding = request.header("content-encoding") ?? "";
      if (codingOf(coding) === undefined)
        throw new Fault("invalid", `unacceptable content-encoding: ${coding.slice(0, 100)}`);
      const admitted = await admitBody(request, this.#limitBytes, (bytes) =>
        this.#exporting.admit("logs", bytes),
      );
      using _lease = admitted.lease;
      return await this.#take(api, parameters, carried, admitted);
    } catch (reason) {
      return this.refuse(api, reason);
    }
  }

  /** The answer to a request that gets no success, counted. */
  refuse(api: Api, reason: unknown): HttpAnswer {
    if (reason instanceof ClientGone) {
      this.#exporting.count("gone");
      throw reason;
    }
    const fault = Fault.from(reason);
    this.#exporting.count(fault.outcome);
    if (fault.kind === "internal")
      this.#context.log.error(
        {
          receiver: this.#context.id,
          error: String(reason instanceof Error ? reason.stack : reason),
        },
        "a request failed inside weir",
      );
    const answer = api.fault(fault, this.#limitBytes);
    return fault.kind === "method"
      ? { ...answer, headers: { ...answer.headers, Allow: "POST" } }
      : answer;
  }

  async #take(
    api: Api,
    parameters: WriteParameters,
    carried: ResourceAttribute,
    admitted: AdmittedBody,
  ): Promise<HttpAnswer> {
    const { result, complaint } = await this.#read(api, parameters, carried, admitted);
    const { items, badLines, firstBad, replacedTimes } = result;
    if (badLines > 0) this.#sayBad(badLines, firstBad);
    if (badLines > 0 && (items === 0 || !parameters.acceptPartial)) {
      this.#intake.rejected("logs", items + badLines, firstBad, "http");
      this.#exporting.count("invalid");
    } else {
      const before = { rejected: badLines, why: firstBad };
      await this.#exporting.take("logs", result, admitted.lease, before);
      if (replacedTimes > 0) this.#replacedTimes.add(replacedTimes);
    }
    return complaint ?? STORED;
  }

  /** The lines, and what to answer where some are bad: both while the desk is ours. */
  async #read(
    api: Api,
    parameters: WriteParameters,
    carried: ResourceAttribute,
    { body, lease }: AdmittedBody,
  ): Promise<{ readonly result: DoorResult; readonly complaint: HttpAnswer | undefined }> {
    const { precision } = parameters;
    const now = this.#context.nowMs();
    const receivedMs = now - (now % STEP_MS[precision]);
    const desk = this.#desks.pop() ?? this.#makeDesk();
    try {
      const result = await desk.read(body, { precision, receivedMs, carried }, lease);
      const { bad } = desk;
      const complaint = bad.count > 0 ? api.badLines(bad, result.items, parameters) : undefined;
      return { result, complaint };
    } finally {
      if (this.#desks.length < DESKS_KEPT) this.#desks.push(desk);
    }
  }

  #sayBad(lines: number, why: string): void {
    this.#log.say(lines, why, this.#context.nowMs(), (reasons) =>
      this.#context.log.warn(
        { receiver: this.#context.id, transport: "http", lines: reasons },
        "lines were rejected",
      ),
    );
  }
}
