import { hash } from "node:crypto";
import { objectOf } from "./events.ts";
import { readTracing, type Tracing } from "./x-ray.ts";

type Fields = Readonly<Record<string, unknown>>;

/** A part of an invocation that the platform timed, such as responseLatency. */
export interface TimedPart {
  readonly name: string;
  readonly startNs: bigint;
  readonly durationMs: number;
}

/** How an invocation, its runtime or the start of an instance ended; numbers are undefined where the event has none. */
export interface Ending {
  readonly timeNs: bigint;
  /** success, failure, error, timeout; "" where the event does not say. */
  readonly status: string;
  readonly errorType: string;
  readonly durationMs: number | undefined;
  readonly billedMs: number | undefined;
  readonly memoryMb: number | undefined;
  readonly maxMemoryMb: number | undefined;
  readonly initMs: number | undefined;
  readonly restoreMs: number | undefined;
  readonly producedBytes: number | undefined;
  readonly parts: readonly TimedPart[];
}

/** All that is known of one invocation. Never changed: events make new ones. */
export interface Invocation {
  readonly requestId: string;
  /** platform.start; 0n: not seen. */
  readonly startNs: bigint;
  readonly version: string;
  readonly tracing: Tracing;
  /** Of its span: the platform's, else one that follows from the request id, so that what comes twice is the same span. */
  readonly spanId: string;
  /** platform.runtimeDone */
  readonly done: Ending | undefined;
  /** platform.report */
  readonly report: Ending | undefined;
  /** The start of the instance that it was the first of. */
  readonly init: Ending | undefined;
  /** When something was heard of it last, by our clock. */
  readonly heardMs: number;
}

/** Longest text that is taken from an event: names, ids, types of errors. */
const TEXT_MAX = 256;
const PARTS_MAX = 16;
const TRACE_DIGITS = 32;
const SPAN_DIGITS = 16;
const NO_TRACING: Tracing = { traceId: "", parentSpanId: "", isSampled: false };

/** The field as a text of sensible length; "" when it is none. */
export function textOf(fields: Fields | undefined, name: string): string {
  const value = fields?.[name];
  return typeof value === "string" && value.length <= TEXT_MAX ? value : "";
}

function numberOf(fields: Fields | undefined, name: string): number | undefined {
  const value = fields?.[name];
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}

/** An invocation of which nothing is known yet but its id. */
export function newInvocation(requestId: string, heardMs: number): Invocation {
  return {
    requestId,
    startNs: 0n,
    version: "",
    tracing: NO_TRACING,
    spanId: derivedId(`${requestId}/invocation`, SPAN_DIGITS),
    done: undefined,
    report: undefined,
    init: undefined,
    heardMs,
  };
}

/** What `tracing` of an event adds. */
export function withTracing(invocation: Invocation, record: Fields): Invocation {
  const fields = objectOf(record["tracing"]);
  const tracing = readTracing(textOf(fields, "value"));
  if (tracing.traceId === "") return invocation;
  const spanId = textOf(fields, "spanId").toLowerCase();
  const isId = /^[0-9a-f]{16}$/.test(spanId) && !/^0+$/.test(spanId);
  return { ...invocation, tracing, ...(isId && { spanId }) };
}

/** The end that an event tells of. `timeOf`: reads a time of the record. */
export function readEnding(
  record: Fields,
  timeNs: bigint,
  timeOf: (text: string) => bigint,
): Ending {
  const metrics = objectOf(record["metrics"]);
  return {
    timeNs,
    status: textOf(record, "status"),
    errorType: textOf(record, "errorType"),
    durationMs: numberOf(metrics, "durationMs"),
    billedMs: numberOf(metrics, "billedDurationMs"),
    memoryMb: numberOf(metrics, "memorySizeMB"),
    maxMemoryMb: numberOf(metrics, "maxMemoryUsedMB"),
    initMs: numberOf(metrics, "initDurationMs"),
    restoreMs: numberOf(metrics, "restoreDurationMs"),
    producedBytes: numberOf(metrics, "producedBytes"),
    parts: partsOf(record["spans"], timeOf),
  };
}

function partsOf(spans: unknown, timeOf: (text: string) => bigint): TimedPart[] {
  if (!Array.isArray(spans)) return [];
  return spans.slice(0, PARTS_MAX).flatMap((span) => {
    const fields = objectOf(span);
    const name = textOf(fields, "name");
    const startNs = timeOf(textOf(fields, "start"));
    const durationMs = numberOf(fields, "durationMs");
    return name === "" || startNs === 0n || durationMs === undefined
      ? []
      : [{ name, startNs, durationMs }];
  });
}

/** Nanoseconds of a duration. */
export function nanosOf(ms: number): bigint {
  return BigInt(Math.round(ms * 1e6));
}

/** When it began: as the platform said, else before its end by its duration. 0n: nobody knows. */
export function beginOf({ startNs, report, done }: Invocation): bigint {
  if (startNs !== 0n) return startNs;
  const end = report ?? done;
  if (end === undefined || end.timeNs === 0n) return 0n;
  return end.timeNs - nanosOf(end.durationMs ?? 0);
}

/** When it ended: when its runtime was done, else by its duration. */
export function endOf(invocation: Invocation): bigint {
  const { done, report } = invocation;
  const begin = beginOf(invocation);
  const ended =
    done?.timeNs ??
    (report?.durationMs === undefined ? report?.timeNs : begin + nanosOf(report.durationMs));
  return ended === undefined || ended < begin ? begin : ended;
}

/** The trace of its span: X-Ray's, else one of its own. */
export function traceOf({ tracing, requestId }: Invocation): string {
  if (tracing.traceId !== "") return tracing.traceId;
  const digits = requestId.replaceAll("-", "").toLowerCase();
  const isUuid = /^[0-9a-f]{32}$/.test(digits) && !/^0+$/.test(digits);
  return isUuid ? digits : derivedId(`${requestId}/trace`, TRACE_DIGITS);
}

/** The span id of a part of it, the same whenever it is asked for. */
export function partSpanId({ requestId }: Invocation, index: number): string {
  return derivedId(`${requestId}/part/${index}`, SPAN_DIGITS);
}

/** The words of `function_logs` for how it ended; failed where nobody said so. */
export function statusOf({ report, done }: Invocation): string {
  const status = (report?.status || done?.status || "").toLowerCase();
  if (status === "failure") return "error";
  if (status !== "") return status;
  return report !== undefined || done !== undefined ? "success" : "failed";
}

export function errorTypeOf({ report, done }: Invocation): string {
  if (report === undefined && done === undefined) return "Weir.NoReport";
  return report?.errorType || done?.errorType || "";
}

function derivedId(seed: string, digits: number): string {
  return hash("sha256", seed, "hex").slice(0, digits);
}
