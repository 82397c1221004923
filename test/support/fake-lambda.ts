import { createServer, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { PATIENCE_MS } from "./until.ts";

/** What an extension subscribed to. */
export interface Subscription {
  readonly schemaVersion: string;
  readonly types: readonly string[];
  readonly buffering: {
    readonly maxItems: number;
    readonly maxBytes: number;
    readonly timeoutMs: number;
  };
  readonly destination: { readonly protocol: string; readonly URI: string };
}

const ID = "6f2c0e9a-extension";
const POSTS = 20;
const AGAIN_MS = 50;

/** Lambda's Runtime API as one extension sees it: register, subscribe, next, and batches posted until they are answered with 2xx. */
export class FakeLambda {
  /** Every call in its order, `GET next`. */
  readonly calls: string[] = [];
  readonly names: string[] = [];
  readonly registered: unknown[] = [];
  readonly errors: string[] = [];
  /** Wall clock of the first `next`: the extension is ready. */
  readyMs = 0;
  subscription: Subscription | undefined;
  /** What the subscription is answered with. */
  subscribing = 200;
  readonly #server: Server;
  readonly #wakers: (() => void)[] = [];
  #waiting: ServerResponse | undefined;
  #sequence = 0;

  private constructor() {
    this.#server = createServer((call, response) => {
      let body = "";
      call.on("data", (part: Buffer) => {
        body += String(part);
      });
      call.on("end", () =>
        this.#answer(`${call.method} ${call.url}`, call.headers, body, response),
      );
    });
  }

  static async start(): Promise<FakeLambda> {
    const lambda = new FakeLambda();
    await new Promise<void>((resolve) => lambda.#server.listen(0, "127.0.0.1", resolve));
    return lambda;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Until the extension waits in `next` for the n-th time. */
  async asked(times: number, limitMs = PATIENCE_MS): Promise<void> {
    const end = Date.now() + limitMs;
    while (this.calls.filter((call) => call === "GET next").length < times) {
      if (Date.now() > end) throw new Error(`no next after ${this.calls.join(", ")}`);
      await Promise.race([new Promise<void>((wake) => this.#wakers.push(wake)), sleep(50)]);
    }
  }

  invoke(requestId: string, deadlineMs: number = Date.now() + PATIENCE_MS): void {
    this.#tell({ eventType: "INVOKE", requestId, deadlineMs, invokedFunctionArn: "arn:aws:x" });
  }

  shutDown(deadlineMs: number = Date.now() + 2_000): void {
    this.#tell({ eventType: "SHUTDOWN", shutdownReason: "spindown", deadlineMs });
  }

  /** Posts a batch as the Telemetry API does: the host of the sandbox is this machine. Resolves with the statuses. */
  async post(events: unknown): Promise<number[]> {
    const { port } = new URL(this.subscription?.destination.URI ?? "http://none:0/");
    const statuses: number[] = [];
    for (let n = 0; n < POSTS && !(Number(statuses.at(-1)) < 300); n++) {
      if (n > 0) await sleep(AGAIN_MS);
      statuses.push(await this.#postOnce(Number(port), JSON.stringify(events)));
    }
    return statuses;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #postOnce(port: number, body: string): Promise<number> {
    const headers = { "Content-Type": "application/json", "Sequence-Id": String(++this.#sequence) };
    return new Promise((resolve, reject) => {
      const call = request({ host: "127.0.0.1", port, method: "POST", headers }, (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode ?? 0));
      });
      call.on("error", reject);
      call.end(body);
    });
  }

  #tell(event: object): void {
    const response = this.#waiting;
    this.#waiting = undefined;
    if (response === undefined) throw new Error("the extension does not wait for an event");
    response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(event));
  }

  #answer(
    call: string,
    headers: Readonly<Record<string, unknown>>,
    body: string,
    response: ServerResponse,
  ): void {
    const fail = (why: string) =>
      response
        .writeHead(400)
        .end(JSON.stringify({ errorType: "ValidationError", errorMessage: why }));
    const isRegister = call === "POST /2020-01-01/extension/register";
    if (!isRegister && headers["lambda-extension-identifier"] !== ID) return void fail("who?");
    if (isRegister) {
      this.calls.push("POST register");
      this.names.push(String(headers["lambda-extension-name"]));
      this.registered.push(JSON.parse(body));
      const answer = { functionName: "resize", functionVersion: "$LATEST", handler: "index.main" };
      response.writeHead(200, { "Lambda-Extension-Identifier": ID }).end(JSON.stringify(answer));
    } else if (call === "PUT /2022-07-01/telemetry") {
      this.calls.push("PUT telemetry");
      const subscription = JSON.parse(body) as Subscription;
      const wrong = wrongIn(subscription);
      if (wrong !== "") return void fail(wrong);
      this.subscription = subscription;
      response.writeHead(this.subscribing).end('"OK"');
    } else if (call === "GET /2020-01-01/extension/event/next") {
      this.calls.push("GET next");
      this.readyMs ||= Date.now();
      this.#waiting = response;
      for (const wake of this.#wakers.splice(0)) wake();
    } else {
      this.errors.push(`${call} ${String(headers["lambda-extension-function-error-type"])}`);
      response.writeHead(202).end("{}");
    }
  }
}

/** What the Telemetry API refuses. */
function wrongIn({ schemaVersion, types, buffering, destination }: Subscription): string {
  const within = (value: number, least: number, most: number) => value >= least && value <= most;
  if (!["2022-07-01", "2022-12-13", "2025-01-29"].includes(schemaVersion)) return "schemaVersion";
  if (types.some((type) => !["platform", "function", "extension"].includes(type))) return "types";
  if (!within(buffering.maxItems, 1_000, 10_000)) return "maxItems";
  if (!within(buffering.maxBytes, 262_144, 1_048_576)) return "maxBytes";
  if (!within(buffering.timeoutMs, 25, 30_000)) return "timeoutMs";
  const { protocol, hostname } = new URL(destination.URI);
  const isSandbox = hostname === "sandbox.localdomain" || hostname === "sandbox";
  return protocol === "http:" && isSandbox ? "" : "destination";
}
