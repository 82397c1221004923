import {
  beginOf,
  type Ending,
  endOf,
  errorTypeOf,
  type Invocation,
  nanosOf,
  partSpanId,
  statusOf,
  traceOf,
} from "./invocation.ts";
import type { Attributes, MadeRecord, MadeSpan } from "./output.ts";
import { reportText } from "./platform-text.ts";

const SEVERITY_INFO = 9;
const SEVERITY_ERROR = 17;
const SEVERITY_TIMEOUT = 18;
const INTERNAL = 1;
const SERVER = 2;

/** Of the names that the table function_logs reads, those that OpenTelemetry has are taken. */
function attributesOf(invocation: Invocation, functionVersion: string): Attributes {
  const { requestId, version, report, done } = invocation;
  return {
    "faas.invocation_id": requestId,
    "faas.version": version || functionVersion,
    "faas.coldstart": isCold(invocation),
    "execution.status": statusOf(invocation),
    "execution.duration_ms": report?.durationMs ?? done?.durationMs,
    "execution.memory_used_mb": report?.maxMemoryMb,
    "error.type": errorTypeOf(invocation),
    "aws.lambda.billed_duration_ms": report?.billedMs,
    "aws.lambda.memory_size_mb": report?.memoryMb,
    "aws.lambda.init_duration_ms": report?.initMs,
    "aws.lambda.restore_duration_ms": report?.restoreMs,
    "aws.lambda.produced_bytes": done?.producedBytes,
  };
}

function isCold({ report }: Invocation): boolean {
  return report?.initMs !== undefined;
}

/** The row of an invocation: a record for the table function_logs. `spanId`: of its span, where there is one. */
export function rowOf(
  invocation: Invocation,
  functionVersion: string,
  spanId: string,
  nowNs: bigint,
): MadeRecord {
  const status = statusOf(invocation);
  const severity =
    status === "success" ? SEVERITY_INFO : status === "timeout" ? SEVERITY_TIMEOUT : SEVERITY_ERROR;
  return {
    eventName: "function_logs",
    timeNs: beginOf(invocation) || nowNs,
    observedNs: nowNs,
    severity,
    body: errorTypeOf(invocation) || reportText(invocation.requestId, invocation.report),
    traceId: invocation.tracing.traceId,
    spanId,
    attributes: attributesOf(invocation, functionVersion),
  };
}

/** The spans of an invocation: itself, kind SERVER, and below it what the platform timed, and the start of the instance. */
export function spansOf(
  invocation: Invocation,
  functionName: string,
  functionVersion: string,
  nowNs: bigint,
): MadeSpan[] {
  const { tracing, spanId, init, done, report } = invocation;
  const traceId = traceOf(invocation);
  const startNs = beginOf(invocation) || nowNs;
  const endNs = endOf(invocation) || startNs;
  const status = statusOf(invocation);
  const server: MadeSpan = {
    traceId,
    spanId,
    parentSpanId: tracing.parentSpanId,
    isParentRemote: true,
    isSampled: tracing.isSampled,
    name: functionName || "invocation",
    kind: SERVER,
    startNs,
    endNs,
    error: status === "success" ? undefined : errorTypeOf(invocation) || status,
    attributes: attributesOf(invocation, functionVersion),
  };
  const below = { ...server, parentSpanId: spanId, isParentRemote: false, kind: INTERNAL } as const;
  const parts = [...(done?.parts ?? []), ...(report?.parts ?? [])].map((part, index) => ({
    ...below,
    spanId: partSpanId(invocation, index),
    name: part.name,
    startNs: part.startNs,
    endNs: part.startNs + nanosOf(part.durationMs),
    error: undefined,
    attributes: {},
  }));
  const start = init === undefined ? [] : [initSpan(init, below, partSpanId(invocation, -1))];
  return [server, ...start, ...parts];
}

/** How long the instance took to start, before its first invocation. */
function initSpan(init: Ending, below: MadeSpan, spanId: string): MadeSpan {
  const isFailed = !["", "success"].includes(init.status);
  return {
    ...below,
    spanId,
    name: `init ${below.name}`,
    startNs: init.timeNs - nanosOf(init.durationMs ?? 0),
    endNs: init.timeNs,
    error: isFailed ? init.errorType || init.status : undefined,
    attributes: { "faas.coldstart": true, "error.type": init.errorType },
  };
}
