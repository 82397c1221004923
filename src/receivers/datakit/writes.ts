import { namedCoding } from "../../kit/coding-magic.ts";
import { BadLines } from "../../kit/doors/bad-lines.ts";
import { Exporting } from "../../kit/doors/exporting.ts";
import { LineRequests, type LinesTaken } from "../../kit/doors/line-requests.ts";
import { admitBody } from "../../kit/server/admitted-body.ts";
import type { Body, Coding } from "../../kit/server/compression.ts";
import type { HttpAnswer, HttpRequest } from "../../kit/server/http-server.ts";
import { KnownTokens } from "../../kit/tls/known-tokens.ts";
import type { Intake, Lease } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import { LineDoor } from "../../series/doors/door.ts";
import type { LineShape } from "../../series/doors/line-shapes.ts";
import type { ResourceAttribute } from "../../series/resource-attribute.ts";
import { type Code, failure, refusal, TAKEN } from "./answers.ts";
import { badPoints } from "./bad-points.ts";
import { carriedBy } from "./categories.ts";
import { realCoding } from "./coding.ts";
import type { Config } from "./config.ts";
import { ECHO_BYTES_MAX, echo } from "./echo.ts";
import { type Parameters, readParameters } from "./parameters.ts";
import { formatOf, pointsOf } from "./point-sources.ts";

/** Where points are written: the category comes behind it. */
export const WRITE_PATH = "/v1/write/";
/** DataFlux Func says so of each of its uploads: of one whose group was refused it sends the rest no more. */
const FROM_FUNC = "x-dff-line-protocol-category";

/** A write whose head is in order. */
interface Write {
  readonly parameters: Parameters;
  readonly carried: ResourceAttribute;
}

/** Writes, from the head of the request to its answer. */
export class Writes {
  readonly #context: Context;
  readonly #limitBytes: number;
  readonly #tokens: KnownTokens | undefined;
  readonly #exporting: Exporting;
  readonly #lines: LineRequests;

  constructor(shapes: readonly LineShape[], config: Config, context: Context, intake: Intake) {
    const { service_name: serviceName, tokens } = config;
    this.#context = context;
    this.#limitBytes = config.max_request_body_size;
    this.#tokens = tokens && new KnownTokens(tokens.map((token) => token.reveal()));
    this.#exporting = new Exporting(context, intake, "http");
    const named = serviceName === undefined ? {} : { serviceName };
    this.#lines = new LineRequests(
      context,
      intake,
      this.#exporting,
      (onBadLine) => new LineDoor(shapes, { precision: "auto", ...named, onBadLine }),
    );
  }

  /** The answer to who may not write. */
  deny(why: string): HttpAnswer {
    this.#exporting.count("unauthorized");
    return failure("invalidToken", why);
  }

  /** The answer to what is no write, counted. */
  refuse(answer: HttpAnswer): HttpAnswer {
    this.#exporting.count("unimplemented");
    return answer;
  }

  async answer(request: HttpRequest): Promise<HttpAnswer> {
    const write = this.#head(request);
    if ("status" in write) return write;
    try {
      const { headers } = request;
      const admitted = await admitBody(
        request,
        this.#limitBytes,
        (bytes) => this.#exporting.admit("logs", bytes + bytesOf(headers)),
        (body) => realCoding(body, codingNamed(request, write.parameters) ?? "identity"),
      );
      using lease = admitted.lease;
      return await this.#take(request, write, admitted.body, lease);
    } catch (reason) {
      const error = this.#exporting.failure(reason);
      this.#exporting.count(error.kind);
      return refusal(error);
    }
  }

  /** What the head alone decides, in this order: token, method, category, encoding, length. */
  #head(request: HttpRequest): Write | HttpAnswer {
    const parameters = readParameters(request.query);
    const { token } = parameters;
    if (this.#tokens?.has(token) === false)
      return this.deny(token === "" ? "no token: add ?token=… to the address" : "invalid token");
    if (request.method !== "POST") {
      const answer = failure("badRequest", `send POST, not ${request.method}`, 405);
      this.#exporting.count("invalid");
      return { ...answer, headers: { ...answer.headers, Allow: "POST" } };
    }
    const category = request.path.slice(WRITE_PATH.length);
    const carried = carriedBy(category);
    if (carried === undefined)
      return this.#invalid("invalidCategory", `invalid category: ${quoted(category)}`);
    if (codingNamed(request, parameters) === undefined)
      return this.#invalid(
        "decodeBodyFailed",
        `unknown encoding ${quoted(nameOfCoding(request, parameters) ?? "")}: send gzip, deflate, br, zstd or none`,
      );
    if (request.declaredBytes === 0) return this.#invalid("emptyBody", "empty body");
    return { parameters, carried };
  }

  async #take(
    request: HttpRequest,
    { parameters, carried }: Write,
    body: Body,
    lease: Lease,
  ): Promise<HttpAnswer> {
    if (body.length === 0) return this.#invalid("emptyBody", "empty body");
    const { precision, isDry, isStrict, echo: echoed } = parameters;
    if (echoed !== undefined && body.length > ECHO_BYTES_MAX)
      return this.#invalid("badRequest", `echo is for bodies of at most ${ECHO_BYTES_MAX} bytes`);
    const format = formatOf(request.header("content-type"), body);
    const receivedMs = this.#context.nowMs();
    const source = pointsOf(format, body, receivedMs, precision);
    const bad = new BadLines();
    bad.begin(body.bytes);
    const taken = await this.#lines.take(source, lease, {
      carried,
      ...(format === "lines" && { onBadLine: bad.add }),
      decide: (read) => {
        if (isDry) return "forget";
        const isRefused = isEmpty(read) || (isStrict && isDoubtful(read));
        return isRefused ? "refuse" : "keep";
      },
    });
    if (isEmpty(taken)) return failure("noPoints", "no points");
    const isStored = taken.items > 0 && !isDry && !isStrict;
    const isFunc = request.header(FROM_FUNC) !== undefined;
    if (taken.bad > 0 && !(isFunc && isStored))
      return badPoints(format, taken, bad, body.bytes.subarray(0, body.length));
    if (isStrict && isDoubtful(taken))
      return failure(
        "pointGotWarning",
        `${taken.replacedTimes} points have a time before 1677 or after 2262`,
      );
    return echoed === undefined ? TAKEN : echo(echoed, format, body, precision);
  }

  #invalid(code: Code, message: string): HttpAnswer {
    this.#exporting.count("invalid");
    return failure(code, message);
  }
}

function isEmpty({ items, bad }: LinesTaken): boolean {
  return items + bad === 0;
}

/** What `strict` refuses. */
function isDoubtful({ bad, replacedTimes }: LinesTaken): boolean {
  return bad + replacedTimes > 0;
}

function nameOfCoding(request: HttpRequest, { encoding }: Parameters): string | undefined {
  return encoding ?? request.header("content-encoding");
}

function codingNamed(request: HttpRequest, parameters: Parameters): Coding | undefined {
  return namedCoding(nameOfCoding(request, parameters));
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}

/** Heads may be large here: they are charged with their bodies. */
function bytesOf(headers: HttpRequest["headers"]): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(headers))
    bytes += name.length + (typeof value === "string" ? value.length : 0);
  return bytes;
}
