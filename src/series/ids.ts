import type { IdForm } from "./tables/tables.ts";

const TRACE = /^[0-9a-f]{32}$/;
const SPAN = /^[0-9a-f]{16}$/;
/** Version 00 ends after the flags; later versions may go on after a dash (W3C trace context §3.2). */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/;
const XRAY = /(?:^|;)\s*root=1-([0-9a-f]{8})-([0-9a-f]{24})(?:;|$)/;
const ALL_ZERO = /^0*$/;
/** Longer text is no id; it also bounds what a slow look-up reads. */
export const ID_TEXT_MAX = 512;

/** The trace id in a text of this form: 32 lower-case hex digits, or undefined. */
export function readTraceId(form: IdForm, text: string): string | undefined {
  if (text.length > ID_TEXT_MAX) return undefined;
  const lower = text.toLowerCase();
  if (form === "trace_id") return nonZero(TRACE.test(lower) ? lower : undefined);
  if (form === "datadog") return nonZero(TRACE.test(lower) ? lower : fromDecimal(lower));
  if (form === "traceparent") return nonZero(traceparent(lower)?.[2]);
  if (form === "xray") {
    const found = XRAY.exec(lower);
    return found === null ? undefined : nonZero(`${found[1]}${found[2]}`);
  }
  return undefined;
}

/** The span id in a text of this form: 16 lower-case hex digits, or undefined. */
export function readSpanId(form: IdForm, text: string): string | undefined {
  if (text.length > ID_TEXT_MAX) return undefined;
  const lower = text.toLowerCase();
  if (form === "span_id") return nonZero(SPAN.test(lower) ? lower : undefined);
  if (form === "traceparent") return nonZero(traceparent(lower)?.[3]);
  return undefined;
}

function traceparent(lower: string): RegExpExecArray | undefined {
  const found = TRACEPARENT.exec(lower);
  if (found === null || found[1] === "ff") return undefined;
  return found[1] === "00" && found[4] !== undefined ? undefined : found;
}

/** Datadog writes ids of 64 or 128 bits in decimal. */
function fromDecimal(text: string): string | undefined {
  if (!/^\d{1,39}$/.test(text)) return undefined;
  const hex = BigInt(text).toString(16);
  return hex.length > 32 ? undefined : hex.padStart(32, "0");
}

/** Whether a text is an id that counts as absent, and not one that is malformed. */
export function isAllZero(text: string): boolean {
  return ALL_ZERO.test(text);
}

function nonZero(id: string | undefined): string | undefined {
  return id === undefined || ALL_ZERO.test(id) ? undefined : id;
}
