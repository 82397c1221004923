/**
 * One execution of a function, told by a real OpenTelemetry SDK: a span, an ordinary log line inside it, and the record that says
 * how the execution ended. Both become rows of `logs`, and the last one a row of `function_logs` too, all with the span's ids.
 */
import { randomUUID } from "node:crypto";
import { logs, SeverityNumber, trace } from "@opentelemetry/api";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { BatchLogRecordProcessor } from "@opentelemetry/sdk-logs";
import { NodeSDK } from "@opentelemetry/sdk-node";

process.env.OTEL_METRICS_EXPORTER = "none";
const url = `${process.env.OTEL_EXPORTER_OTLP_ENDPOINT ?? "http://127.0.0.1:4318"}/v1/logs`;
const exporter = new OTLPLogExporter({ url });
const idsOnly = { onStart() {}, onEnd() {}, async forceFlush() {}, async shutdown() {} };
const sdk = new NodeSDK({
  serviceName: "resize-image",
  spanProcessors: [idsOnly], // spans only lend their ids here
  logRecordProcessors: [new BatchLogRecordProcessor({ exporter })],
});
sdk.start();

const execution = { "function.id": "fn-resize", "execution.id": randomUUID(), "function.version": "7" };
const logger = logs.getLogger("docs/examples");
const started = performance.now();

trace.getTracer("docs/examples").startActiveSpan("resize-image", (span) => {
  logger.emit({
    severityNumber: SeverityNumber.INFO,
    severityText: "INFO",
    body: "reading cat.jpg",
    attributes: { ...execution, stream: "stdout" },
  });
  logger.emit({
    severityNumber: SeverityNumber.INFO,
    severityText: "INFO",
    body: "Function executed successfully",
    attributes: {
      ...execution,
      duration_ms: performance.now() - started,
      memory_used_mb: process.memoryUsage().heapUsed / 1e6,
      exit_code: 0,
    },
  });
  const { traceId, spanId } = span.spanContext();
  console.log(`sent execution ${execution["execution.id"]}, trace ${traceId}, span ${spanId}`);
  span.end();
});

await sdk.shutdown();
