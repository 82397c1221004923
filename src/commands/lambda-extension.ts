import { parseEndpoint } from "../kit/server/listen-endpoint.ts";
import { ExtensionsApi } from "../lambda/extensions-api.ts";
import { ExtensionLoop } from "../lambda/loop.ts";
import { readSettings, type Settings, SettingsError } from "../lambda/own-config.ts";
import { Rest } from "../lambda/rest.ts";
import type { TelemetryListener } from "../receivers/telemetry_api/receiver.ts";
import { Service } from "../service/service.ts";
import { parseArguments } from "./arguments.ts";
import { quickStart } from "./lambda-quick.ts";
import type { LambdaStart } from "./lambda-start.ts";
import { version } from "./version.ts";

const USAGE = `weir lambda-extension [--config <file> …] [--name <file name in /opt/extensions>]

Runs as an external extension of AWS Lambda: subscribes to the Telemetry API and delivers what the function says. Without --config or WEIR_CONFIG,
to the Loki at LOKI_IP, as the Lambda-Telemetry-API-Loki extension does.
`;

const SCHEMA = "2022-12-13";
const MANAGED_SCHEMA = "2025-01-29";
/** Name of a sandbox inside itself. */
const SANDBOX = "sandbox.localdomain";
/** The process is to end even when a socket does not. */
const EXIT_MS = 50;

/** What Lambda is told of an extension that gives up. */
const FAILED = { init: "Extension.WeirStart", exit: "Extension.WeirFailed" } as const;

/** `weir lambda-extension`: resolves with the exit code, when Lambda shuts the sandbox down or nothing can be done. */
export async function runLambdaExtension(args: readonly string[]): Promise<number> {
  const say = (text: string) => void process.stderr.write(`${text}\n`);
  if (args.includes("--help") || args.includes("-h")) {
    process.stdout.write(USAGE);
    return 0;
  }
  const { list } = parseArguments(args, { config: "list", name: "list", help: "switch" });
  const { env } = process;
  const address = env["AWS_LAMBDA_RUNTIME_API"] ?? "";
  let settings: Settings;
  try {
    if (address === "")
      throw new SettingsError(
        "AWS_LAMBDA_RUNTIME_API is missing: weir lambda-extension runs inside of AWS Lambda, from /opt/extensions",
      );
    settings = readSettings(env, list("config"));
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    say(error.message);
    return 1;
  }
  const isManaged = env["AWS_LAMBDA_INITIALIZATION_TYPE"] === "lambda-managed-instances";
  const name = list("name").at(-1) ?? "weir";
  const code = await new Extension(new ExtensionsApi(address), settings, isManaged, say).run(name);
  setTimeout(() => process.exit(code), EXIT_MS).unref();
  return code;
}

/** One life of the extension. */
class Extension {
  readonly #api: ExtensionsApi;
  readonly #settings: Settings;
  readonly #isManaged: boolean;
  readonly #say: (text: string) => void;
  readonly #died = Promise.withResolvers<never>();
  #port = 0;
  #types: readonly string[] = [];
  #loop: ExtensionLoop | undefined;

  constructor(
    api: ExtensionsApi,
    settings: Settings,
    isManaged: boolean,
    say: (text: string) => void,
  ) {
    this.#api = api;
    this.#settings = settings;
    this.#isManaged = isManaged;
    this.#say = say;
    this.#died.promise.catch(() => undefined);
  }

  async run(name: string): Promise<number> {
    let phase: "init" | "exit" = "init";
    try {
      const events = this.#isManaged ? (["SHUTDOWN"] as const) : (["INVOKE", "SHUTDOWN"] as const);
      // Both take their time, and neither needs the other; but only a registered extension can say why it gives up.
      const [made, registered] = await Promise.allSettled([
        this.#service(),
        this.#api.register(name, events),
      ]);
      if (made.status === "rejected") throw made.reason;
      if (registered.status === "rejected") throw registered.reason;
      const service = made.value;
      await this.#subscribe();
      phase = "exit";
      const { minBatch, flushMs, buffering } = this.#settings;
      const rest = new Rest();
      const delivery = { waiting: () => waitingIn(service), stop: () => service.stop() };
      this.#loop = new ExtensionLoop(this.#api, delivery, {
        minBatch,
        flushMs,
        buffering,
        nowMs: Date.now,
        rest: () => rest.take(),
      });
      const lost = await Promise.race([this.#loop.run(), this.#died.promise]);
      if (lost > 0) this.#say(`weir: ${lost} items could not be delivered before the shutdown`);
      return 0;
    } catch (error) {
      this.#say(`weir lambda-extension: ${error instanceof Error ? error.message : String(error)}`);
      await this.#api.failed(phase, FAILED[phase]).catch(() => undefined);
      return 1;
    }
  }

  async #service(): Promise<Service> {
    const service = this.#create(
      await this.#prepared({
        listens: (address, { types }) => {
          this.#port = parseEndpoint(address).port;
          this.#types = types;
        },
        done: (requestId) => this.#loop?.done(requestId),
      }),
    );
    await service.start();
    if (this.#port === 0)
      throw new Error("the configuration has no telemetry_api receiver in a pipeline: add one");
    return service;
  }

  /** A bundle of its own holds what reads configurations, and what only whole ones name. */
  async #prepared(listener: TelemetryListener): Promise<LambdaStart> {
    const quick = quickStart(this.#settings, listener);
    if (quick !== undefined) return quick;
    return (await import("./lambda-whole.ts")).wholeStart(this.#settings, listener);
  }

  #create(start: LambdaStart): Service {
    const onFailure = (error: Error) => this.#died.reject(error);
    process.stderr.on("error", () => {});
    process.on("uncaughtException", onFailure);
    process.on("unhandledRejection", (reason) => onFailure(new Error(String(reason))));
    return new Service({ ...start, version: version(), self: [], settles: false, onFailure });
  }

  async #subscribe(): Promise<void> {
    // The platform's events say when an invocation is over, whether they become items or not.
    const types = [...new Set(["platform", ...this.#types])];
    const schema = this.#isManaged ? MANAGED_SCHEMA : SCHEMA;
    const uri = `http://${SANDBOX}:${this.#port}/`;
    const isThere = await this.#api.subscribe(schema, types, this.#settings.buffering, uri);
    if (!isThere) this.#say("weir: there is no Telemetry API here: nothing will be received");
  }
}

function waitingIn({ metrics }: Service): number {
  let items = 0;
  for (const { name, value } of metrics.figures())
    if (name === "weir_route_queued_items") items += value;
  return items;
}
