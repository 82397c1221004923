import { Exporting, type Outcome } from "../../kit/doors/exporting.ts";
import type { UnaryMethod } from "../../kit/server/grpc-call.ts";
import { createGrpcServer, type GrpcServer } from "../../kit/server/grpc-server.ts";
import { grpcServerOptions } from "../../kit/server/grpc-server-block.ts";
import { requestMetadata } from "../../kit/server/request-metadata.ts";
import { serverSurroundings } from "../../kit/server/server-surroundings.ts";
import { partialSuccessBody, successBody } from "../../otlp/responses.ts";
import { PipelineError, STATUS } from "../../otlp/status.ts";
import { SIGNALS, type Signal } from "../../otlp/tape.ts";
import type { Intake } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import type { GrpcConfig } from "./config.ts";

const SUCCESS = successBody("protobuf");

/** Paths of the three Export methods (opentelemetry/proto/collector). */
export const EXPORT_PATHS: Readonly<Record<Signal, string>> = {
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
};

/** The OTLP/gRPC server of one receiver. */
export function createOtlpGrpcServer(
  config: GrpcConfig,
  context: Context,
  intake: Intake,
): GrpcServer {
  const exporting = new Exporting(context, intake, "grpc");
  const wanted = SIGNALS.filter((signal) => intake.signals.has(signal));
  const option = `receivers.${context.id}.protocols.grpc`;
  return createGrpcServer({
    ...grpcServerOptions(config),
    ...serverSurroundings(config, context, option),
    endpoint: config.endpoint,
    what: `receiver ${context.id} (gRPC)`,
    option: `${option}.endpoint`,
    methods: new Map(
      wanted.map((signal) => [EXPORT_PATHS[signal], exportOf(signal, exporting, config)]),
    ),
    onTrouble: (error) =>
      context.log.error(
        { receiver: context.id, error: String(error.stack) },
        "a gRPC call or the gRPC server failed inside weir",
      ),
  });
}

function exportOf(signal: Signal, exporting: Exporting, config: GrpcConfig): UnaryMethod {
  return {
    admit: (bytes) => exporting.admit(signal, bytes),
    async handle(message, lease, headers) {
      try {
        if (config.include_metadata) lease.metadata = requestMetadata(headers);
        const { rejected, why } = await exporting.take(signal, message, lease);
        return rejected === 0 ? SUCCESS : partialSuccessBody(signal, rejected, why, "protobuf");
      } catch (reason) {
        exporting.count(PipelineError.from(reason).kind);
        throw reason;
      }
    },
    onUnhandled: (failure) =>
      exporting.count(failure === undefined ? "gone" : outcomeOf(failure.code)),
  };
}

/** Outcomes by gRPC code, for calls that ended before their message was complete; what no kind has is the sender's fault. */
function outcomeOf(code: number): Outcome {
  if (code === STATUS.too_large.grpc) return "too_large";
  if (code === STATUS.refused.grpc) return "refused";
  if (code === STATUS.unauthorized.grpc) return "unauthorized";
  return code === STATUS.unimplemented.grpc ? "unimplemented" : "invalid";
}
