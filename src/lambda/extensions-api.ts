import { request } from "../kit/server/node-http.ts";

const VERSION = "/2020-01-01/extension";
const TELEMETRY = "/2022-07-01/telemetry";
/** Longest answer that is read: real ones have some hundred bytes. */
const ANSWER_MAX = 1 << 20;
/** How much of an answer is told in an error. */
const TOLD_MAX = 300;

/** What Lambda asks of an extension. */
export type LambdaEvent =
  | { readonly type: "invoke"; readonly requestId: string; readonly deadlineMs: number }
  | { readonly type: "shutdown"; readonly reason: string; readonly deadlineMs: number };

/** How Lambda collects events before it posts them: numbers within its limits. */
export interface Buffering {
  readonly maxItems: number;
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly identifier: string;
}

/** An answer that is none of those that the Extensions API may give; says what to do. */
export class LambdaApiError extends Error {}

/** The Extensions API and the subscription to the Telemetry API, as one extension speaks them. */
export class ExtensionsApi {
  readonly #host: string;
  readonly #port: number;
  #identifier = "";

  /** `address`: AWS_LAMBDA_RUNTIME_API. */
  constructor(address: string) {
    const { hostname, port } = new URL(`http://${address}`);
    this.#host = hostname.replace(/^\[(.*)\]$/, "$1");
    this.#port = Number(port || 80);
  }

  /** `name`: that of the file in /opt/extensions, else Lambda refuses it. */
  async register(name: string, events: readonly ("INVOKE" | "SHUTDOWN")[]): Promise<void> {
    const answer = await this.#call("POST", `${VERSION}/register`, JSON.stringify({ events }), {
      "Lambda-Extension-Name": name,
    });
    if (answer.status !== 200 || answer.identifier === "")
      throw new LambdaApiError(
        `Lambda did not register the extension "${name}": ${told(answer)}; its name must be that of its file in /opt/extensions`,
      );
    this.#identifier = answer.identifier;
  }

  /** False where there is no Telemetry API, as in a local sandbox. */
  async subscribe(
    schemaVersion: string,
    types: readonly string[],
    buffering: Buffering,
    uri: string,
  ): Promise<boolean> {
    const destination = { protocol: "HTTP", URI: uri, method: "POST", encoding: "JSON" };
    const body = JSON.stringify({ schemaVersion, types, buffering, destination });
    const answer = await this.#call("PUT", TELEMETRY, body);
    if (answer.status === 202) return false;
    if (answer.status !== 200)
      throw new LambdaApiError(`Lambda refused the subscription to telemetry: ${told(answer)}`);
    return true;
  }

  /** Says that the extension is ready, and waits for what comes; there is no time limit, because the sandbox sleeps meanwhile. */
  async next(): Promise<LambdaEvent> {
    const answer = await this.#call("GET", `${VERSION}/event/next`);
    if (answer.status !== 200)
      throw new LambdaApiError(`Lambda did not say what comes next: ${told(answer)}`);
    const event = JSON.parse(answer.text) as Readonly<Record<string, unknown>>;
    const deadlineMs = Number(event["deadlineMs"] ?? 0);
    if (event["eventType"] === "SHUTDOWN")
      return { type: "shutdown", reason: String(event["shutdownReason"] ?? ""), deadlineMs };
    return { type: "invoke", requestId: String(event["requestId"] ?? ""), deadlineMs };
  }

  /** Tells Lambda why the extension gives up, at its start or later. */
  async failed(phase: "init" | "exit", errorType: string): Promise<void> {
    await this.#call("POST", `${VERSION}/${phase}/error`, "{}", {
      "Lambda-Extension-Function-Error-Type": errorType,
    });
  }

  #call(
    method: string,
    path: string,
    body = "",
    more: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const own = this.#identifier === "" ? {} : { "Lambda-Extension-Identifier": this.#identifier };
    const headers = {
      "Content-Type": "application/json",
      "Content-Length": Buffer.byteLength(body),
      ...own,
      ...more,
    };
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const call = request(
      { host: this.#host, port: this.#port, method, path, headers, agent: false },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (part: string) => {
          if (text.length < ANSWER_MAX) text += part;
        });
        response.on("error", reject);
        response.on("end", () => {
          const identifier = response.headers["lambda-extension-identifier"];
          resolve({
            status: response.statusCode ?? 0,
            text,
            identifier: typeof identifier === "string" ? identifier : "",
          });
        });
      },
    );
    call.on("error", reject);
    call.end(body);
    return promise;
  }
}

function told({ status, text }: Answer): string {
  return `${status} ${text.slice(0, TOLD_MAX)}`.trim();
}
