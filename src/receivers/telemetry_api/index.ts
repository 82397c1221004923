import type { Intake } from "../../pipeline/contracts.ts";
import type { Context, ReceiverFactory } from "../../pipeline/factory.ts";
import { type Config, config } from "./config.ts";
import { TelemetryApi, type TelemetryListener } from "./receiver.ts";

const NOBODY: TelemetryListener = { listens() {}, done() {} };

/** Takes what AWS Lambda tells of functions; `listener` hears of ends. */
export function createTelemetryApi(listener: TelemetryListener = NOBODY) {
  return {
    kind: "receiver",
    type: "telemetry_api",
    summary: "AWS Lambda's Telemetry API: a row and a span for each invocation, and its lines.",
    stability: { logs: "beta", traces: "beta" },
    schema: config,
    example: { endpoint: "127.0.0.1:4323" },
    create: (options: Config, context: Context, intake: Intake): TelemetryApi =>
      new TelemetryApi(options, context, intake, listener),
  } satisfies ReceiverFactory<Config>;
}
