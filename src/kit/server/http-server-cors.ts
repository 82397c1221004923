import type { HttpAnswer, HttpRequest } from "./http-server.ts";

/** Which web pages of other origins may send here (Fetch standard, "CORS protocol"). */
export interface Cors {
  /** "https://app.example", with at most one "*" in it; "*" alone is everyone. */
  readonly allowedOrigins: readonly string[];
  /** Beside the safe ones; "*" is all. */
  readonly allowedHeaders: readonly string[];
  readonly exposedHeaders: readonly string[];
  /** How long browsers may remember the answer to a preflight; 0 = their default. */
  readonly maxAgeSeconds: number;
}

const METHODS = ["GET", "HEAD", "POST"];
/** What a browser may always send; the Collector's default where no header is configured. */
const SAFE_HEADERS = ["accept", "content-type", "origin", "x-requested-with"];

/** Answers preflights and marks answers, as the Collector's server does: credentials are allowed. */
export class CorsPolicy {
  readonly #origins: readonly (readonly [string, string | undefined])[];
  readonly #headers: ReadonlySet<string> | undefined;
  readonly #cors: Cors;

  constructor(cors: Cors) {
    this.#cors = cors;
    this.#origins = cors.allowedOrigins.map((origin) => {
      const [start = "", end] = origin.toLowerCase().split("*", 2);
      return [start, end];
    });
    this.#headers = cors.allowedHeaders.includes("*")
      ? undefined
      : new Set([...SAFE_HEADERS, ...cors.allowedHeaders.map((name) => name.toLowerCase())]);
  }

  /** The answer when `request` is a preflight; undefined when it is any other. Preflights carry no credentials and need none. */
  preflight(request: HttpRequest): HttpAnswer | undefined {
    const method = request.header("access-control-request-method");
    if (request.method !== "OPTIONS" || method === undefined) return undefined;
    const vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
    const asked = request.header("access-control-request-headers");
    const names = (asked ?? "").split(",").map((name) => name.trim().toLowerCase());
    const isFine =
      this.#allows(request.header("origin")) &&
      METHODS.includes(method) &&
      names.every((name) => name === "" || this.#headers === undefined || this.#headers.has(name));
    if (!isFine) return { status: 204, headers: { Vary: vary } };
    const { maxAgeSeconds } = this.#cors;
    const headers = {
      ...this.#origin(request),
      Vary: vary,
      "Access-Control-Allow-Methods": method,
      ...(asked !== undefined && { "Access-Control-Allow-Headers": names.join(", ") }),
      ...(maxAgeSeconds > 0 && { "Access-Control-Max-Age": String(maxAgeSeconds) }),
    };
    return { status: 204, headers };
  }

  /** Headers that let the page read the answer; also on errors, so that a person can see them in the browser. */
  headers(request: HttpRequest): Readonly<Record<string, string>> {
    if (!this.#allows(request.header("origin"))) return { Vary: "Origin" };
    const { exposedHeaders } = this.#cors;
    return {
      ...this.#origin(request),
      Vary: "Origin",
      ...(exposedHeaders.length > 0 && {
        "Access-Control-Expose-Headers": exposedHeaders.join(", "),
      }),
    };
  }

  #origin(request: HttpRequest): Readonly<Record<string, string>> {
    return {
      "Access-Control-Allow-Origin": request.header("origin") ?? "",
      "Access-Control-Allow-Credentials": "true",
    };
  }

  #allows(given: string | undefined): boolean {
    if (given === undefined) return false;
    const origin = given.toLowerCase();
    return this.#origins.some(([start, end]) =>
      end === undefined
        ? origin === start
        : origin.length >= start.length + end.length &&
          origin.startsWith(start) &&
          origin.endsWith(end),
    );
  }
}
