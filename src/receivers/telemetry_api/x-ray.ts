import { ID_TEXT_MAX, readTraceId } from "../../series/ids.ts";

/** What the header X-Amzn-Trace-Id says, in OpenTelemetry's ids: lower-case hex, "" where there is none. */
export interface Tracing {
  readonly traceId: string;
  readonly parentSpanId: string;
  readonly isSampled: boolean;
}

const NONE: Tracing = { traceId: "", parentSpanId: "", isSampled: false };
const PARENT = /(?:^|;)\s*parent=([0-9a-f]{16})(?:;|$)/;
const SAMPLED = /(?:^|;)\s*sampled=1(?:;|$)/;

/** Reads `Root=1-62e900b2-710d76f009d6e7785905449a;Parent=0efbd19962d95b05;Sampled=1`. A parent without a root is none. */
export function readTracing(header: string): Tracing {
  const traceId = readTraceId("xray", header);
  if (traceId === undefined || header.length > ID_TEXT_MAX) return NONE;
  const lower = header.toLowerCase();
  const parent = PARENT.exec(lower)?.[1] ?? "";
  return {
    traceId,
    parentSpanId: /^0*$/.test(parent) ? "" : parent,
    isSampled: SAMPLED.test(lower),
  };
}
