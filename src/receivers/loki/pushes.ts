import { Exporting } from "../../kit/doors/exporting.ts";
import { RecordRequests } from "../../kit/doors/record-requests.ts";
import { admitBody } from "../../kit/server/admitted-body.ts";
import type { Body } from "../../kit/server/compression.ts";
import type { HttpAnswer, HttpRequest } from "../../kit/server/http-server.ts";
import type { Intake, Lease } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import { NOTHING_GIVEN } from "../../series/records/given-attributes.ts";
import { type ResourceAttribute, resourceAttribute } from "../../series/resource-attribute.ts";
import {
  failure,
  NO_STREAMS,
  otlpFailure,
  refusalIn,
  TAKEN,
  type Words,
  WRONG_METHOD,
} from "./answers.ts";
import {
  checkOtlpCoding,
  checkPushCoding,
  formatOf,
  otlpFormatOf,
  outerCoding,
  unsnapped,
} from "./coding.ts";
import { type Config, limitsOf } from "./config.ts";
import { PushReader } from "./reader.ts";
import { checkedTenant } from "./tenant.ts";

const TENANT = "x-scope-orgid";
const READERS_KEPT = 4;
const UNPROCESSABLE = 422;

/** Writes, from the head of the request to its answer: Loki's own push and its OTLP endpoint. */
export class Pushes {
  readonly #config: Config;
  readonly #context: Context;
  readonly #exporting: Exporting;
  readonly #records: RecordRequests;
  /** Those that no request uses. */
  readonly #readers: PushReader[] = [];

  constructor(config: Config, context: Context, intake: Intake) {
    this.#config = config;
    this.#context = context;
    this.#exporting = new Exporting(context, intake, "http");
    this.#records = new RecordRequests(context, intake, this.#exporting, {});
  }

  push(request: HttpRequest): Promise<HttpAnswer> {
    return this.#answer(request, failure, async () => {
      const coding = request.header("content-encoding");
      const tenant = this.#tenant(request);
      const format = formatOf(request.header("content-type"));
      checkPushCoding(coding);
      const { max_request_body_size: limit } = this.#config;
      const outer = (body: Body) =>
        format === "json" && coding === "snappy" ? "identity" : outerCoding(body, coding);
      const admitted = await admitBody(request, limit, (bytes) => this.#admit(bytes), outer);
      using lease = admitted.lease;
      const body = format === "json" ? admitted.body : await unsnapped(admitted.body, limit, lease);
      return await this.#read(body, format, tenant, lease);
    });
  }

  otlp(request: HttpRequest): Promise<HttpAnswer> {
    return this.#answer(request, otlpFailure, async () => {
      this.#tenant(request);
      const format = otlpFormatOf(request.header("content-type"));
      checkOtlpCoding(request.header("content-encoding"));
      const { max_request_body_size: limit } = this.#config;
      const admitted = await admitBody(request, limit, (bytes) => this.#admit(bytes));
      using lease = admitted.lease;
      if (admitted.body.length === 0) {
        this.#exporting.count("invalid");
        return otlpFailure(UNPROCESSABLE, NO_STREAMS);
      }
      const { rejected, why } =
        format === "json"
          ? await this.#exporting.takeJson("logs", admitted.body, lease)
          : await this.#exporting.take("logs", admitted.body, lease);
      return rejected === 0 ? TAKEN : otlpFailure(400, why);
    });
  }

  /** Whoever has no credentials learns nothing else. */
  deny(why: string): HttpAnswer {
    this.#exporting.count("unauthorized");
    return failure(401, why);
  }

  /** The answer to what is neither a write nor a query, counted. */
  refuse(answer: HttpAnswer): HttpAnswer {
    this.#exporting.count("unimplemented");
    return answer;
  }

  async #answer(
    request: HttpRequest,
    words: Words,
    take: () => Promise<HttpAnswer>,
  ): Promise<HttpAnswer> {
    if (request.method !== "POST") {
      this.#exporting.count("invalid");
      return WRONG_METHOD;
    }
    try {
      return await take();
    } catch (reason) {
      const error = this.#exporting.failure(reason);
      this.#exporting.count(error.kind);
      return refusalIn(error.kind === "unauthorized" ? failure : words, error);
    }
  }

  #admit(bytes: number) {
    return this.#exporting.admit("logs", bytes);
  }

  /** The attribute that keeps the tenant, where it is to be kept. */
  #tenant(request: HttpRequest): ResourceAttribute | undefined {
    const { auth_enabled: isNeeded, tenant_attribute: name } = this.#config;
    const header = request.header(TENANT);
    const tenant = isNeeded ? checkedTenant(header) : (header ?? "");
    return name === undefined || tenant === "" ? undefined : resourceAttribute(name, tenant);
  }

  async #read(
    body: Body,
    format: "json" | "protobuf",
    tenant: ResourceAttribute | undefined,
    lease: Lease,
  ): Promise<HttpAnswer> {
    const reader = this.#readers.pop() ?? new PushReader(this.#options());
    try {
      reader.begin(body, format, this.#context.nowMs(), tenant);
      const { rejected, why } = await this.#records.take(reader, NOTHING_GIVEN, lease);
      const { errors, streams } = reader.entries;
      if (streams === 0) return failure(UNPROCESSABLE, NO_STREAMS);
      if (rejected === 0) return TAKEN;
      return failure(400, errors.isEmpty ? why : errors.text());
    } finally {
      reader.release();
      if (this.#readers.length < READERS_KEPT) this.#readers.push(reader);
    }
  }

  #options() {
    const { parse } = this.#config;
    return { limits: limitsOf(this.#config), isPromtailClient: parse === "promtail_client" };
  }
}
