import { createHttpServer, type HttpServer } from "../../kit/server/http-server.ts";
import { httpServerOptions } from "../../kit/server/http-server-block.ts";
import { serverSurroundings } from "../../kit/server/server-surroundings.ts";
import type { Component, Intake } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import type { Config } from "./config.ts";
import { Ingest } from "./ingest.ts";

/** Between two looks for invocations that will not end any more. */
const SWEEP_MS = 10_000;

/** What a program around the receiver hears: `weir lambda-extension` waits for it. */
export interface TelemetryListener {
  /** It listens here, and wants these streams. */
  listens(address: string, config: Config): void;
  /** The runtime is done with an invocation, and what it wrote until then is in the queue. */
  done(requestId: string): void;
}

/** The server of one receiver, and the invocations it knows of. */
export class TelemetryApi implements Component {
  readonly #config: Config;
  readonly #listener: TelemetryListener;
  readonly #ingest: Ingest;
  readonly #server: HttpServer;
  #timer: NodeJS.Timeout | undefined;

  constructor(config: Config, context: Context, intake: Intake, listener: TelemetryListener) {
    this.#config = config;
    this.#listener = listener;
    const ingest = new Ingest(config, context, intake, (requestId) => listener.done(requestId));
    this.#ingest = ingest;
    const option = `receivers.${context.id}`;
    this.#server = createHttpServer({
      ...httpServerOptions(config),
      ...serverSurroundings(config, context, option),
      endpoint: config.endpoint,
      what: `receiver ${context.id}`,
      option: `${option}.endpoint`,
      onRequest: (request) => ingest.answer(request),
      onDenied: (_request, why) => ingest.deny(why),
      onTrouble: (error) =>
        context.log.warn(
          { receiver: context.id, error: error.message },
          "trouble in the HTTP server",
        ),
    });
  }

  async start(): Promise<void> {
    await this.#server.start();
    this.#timer = setInterval(() => void this.#ingest.sweep(false), SWEEP_MS).unref();
    this.#listener.listens(this.address() ?? "", this.#config);
  }

  /** What is open by then is written as it is known. */
  async stop(deadline: AbortSignal): Promise<void> {
    clearInterval(this.#timer);
    await this.#server.stop(deadline);
    await this.#ingest.sweep(true);
  }

  address(): string | undefined {
    return this.#server.address();
  }
}
