import type { Component, Intake } from "../../pipeline/contracts.ts";
import type { Context, ReceiverFactory } from "../../pipeline/factory.ts";
import { type Config, config } from "./config.ts";
import { createOtlpGrpcServer } from "./grpc.ts";
import { createOtlpHttpServer } from "./http.ts";

interface Listener extends Component {
  address(): string | undefined;
}

/** The receiver's servers behind one start and one stop. */
export class OtlpReceiver implements Component {
  readonly #context: Context;
  readonly #grpc: Listener | undefined;
  readonly #http: Listener | undefined;

  constructor({ protocols: { grpc, http } }: Config, context: Context, intake: Intake) {
    this.#context = context;
    this.#grpc = grpc && createOtlpGrpcServer(grpc, context, intake);
    this.#http = http && createOtlpHttpServer(http, context, intake);
  }

  async start(): Promise<void> {
    for (const [transport, server] of this.#servers()) {
      await server.start();
      this.#context.log.info(
        { receiver: this.#context.id, transport, endpoint: server.address() },
        "listening",
      );
    }
  }

  async stop(deadline: AbortSignal): Promise<void> {
    await Promise.all(this.#servers().map(([, server]) => server.stop(deadline)));
  }

  /** Where it listens, with the real port; undefined for protocols that are off. */
  address(transport: "grpc" | "http"): string | undefined {
    return (transport === "grpc" ? this.#grpc : this.#http)?.address();
  }

  #servers(): (readonly [string, Listener])[] {
    const servers: (readonly [string, Listener])[] = [];
    if (this.#grpc !== undefined) servers.push(["grpc", this.#grpc]);
    if (this.#http !== undefined) servers.push(["http", this.#http]);
    return servers;
  }
}

/** Takes OTLP over gRPC and HTTP. */
export const otlp: ReceiverFactory<Config> = {
  kind: "receiver",
  type: "otlp",
  summary: "Takes OTLP logs, metrics and traces over gRPC and HTTP.",
  stability: { logs: "beta", metrics: "beta", traces: "beta" },
  schema: config,
  example: { protocols: { grpc: {}, http: {} } },
  create: (options, context, intake): OtlpReceiver => new OtlpReceiver(options, context, intake),
};
