import { fieldAt, Malformed } from "../../otlp/fields.ts";
import { int64At } from "../../otlp/values.ts";

/** What an OTLP answer says: items that were not kept, and a text. */
export interface OtlpAnswer {
  readonly rejected: number;
  readonly message: string;
}

const EMPTY = new Uint8Array(0);
const TEXT_MAX = 1_024;
const FIELD_1 = 1;
const FIELD_2 = 2;
const DETAILS = 3;

/**
 * Reads an Export*ServiceResponse (`partial_success = 1 { rejected_* = 1, error_message = 2 }`) in protobuf or JSON. A body that
 * is neither counts as full success: the status said so.
 */
export function readExportResponse(body: Uint8Array, contentType: string | undefined): OtlpAnswer {
  if (isJson(contentType)) {
    const partial = property(parseJson(body), "partialSuccess", "partial_success");
    const rejected = Number(
      property(partial, "rejectedLogRecords", "rejected_log_records") ??
        property(partial, "rejectedDataPoints", "rejected_data_points") ??
        property(partial, "rejectedSpans", "rejected_spans") ??
        0,
    );
    const message = property(partial, "errorMessage", "error_message");
    return { rejected: asCount(rejected), message: asText(message) };
  }
  const partial = fieldsIn(last(fieldsIn(body), FIELD_1)?.bytes ?? EMPTY);
  const message = last(partial, FIELD_2)?.bytes ?? EMPTY;
  return { rejected: asCount(last(partial, FIELD_1)?.number ?? 0), message: decode(message) };
}

/** The text of a google.rpc.Status (`code = 1, message = 2`) in protobuf or JSON; other bodies as they are, cut to 1 KiB. */
export function readStatusText(body: Uint8Array, contentType: string | undefined): string {
  if (isJson(contentType)) {
    const message = asText(property(parseJson(body), "message", "message"));
    if (message !== "") return message;
  } else if (contentType === undefined || contentType.includes("protobuf")) {
    const message = last(fieldsIn(body), FIELD_2)?.bytes;
    if (message !== undefined) return decode(message);
  }
  return decode(body);
}

/**
 * The pause that RetryInfo asks for, of a google.rpc.Status (`details = 3: Any { type_url = 1, value = 2 }`; RetryInfo
 * `retry_delay = 1: Duration { seconds = 1, nanos = 2 }`), in milliseconds; undefined when there is none.
 */
export function readRetryDelay(status: Uint8Array): number | undefined {
  for (const { field, bytes: any } of fieldsIn(status) ?? []) {
    if (field !== DETAILS || any === undefined) continue;
    const parts = fieldsIn(any);
    const type = last(parts, FIELD_1)?.bytes;
    const info = last(parts, FIELD_2)?.bytes;
    if (type === undefined || !decode(type).endsWith("/google.rpc.RetryInfo")) continue;
    const delay = fieldsIn(last(fieldsIn(info ?? EMPTY), FIELD_1)?.bytes ?? EMPTY);
    const seconds = last(delay, FIELD_1)?.number ?? 0;
    const nanos = last(delay, FIELD_2)?.number ?? 0;
    return Math.max(0, seconds * 1_000 + nanos / 1e6);
  }
  return undefined;
}

interface Value {
  readonly field: number;
  /** Of a varint. */
  readonly number: number | undefined;
  /** Of a length-delimited field. */
  readonly bytes: Uint8Array | undefined;
}

/** Fields of a message; undefined when it is not protobuf. */
function fieldsIn(message: Uint8Array): readonly Value[] | undefined {
  const values: Value[] = [];
  try {
    for (let from = 0; from < message.length; ) {
      const { number: field, wireType, at, end } = fieldAt(message, from);
      const number = wireType === 0 ? Number(int64At(message, at)) : undefined;
      values.push({ field, number, bytes: wireType === 2 ? message.subarray(at, end) : undefined });
      from = end;
    }
  } catch (reason) {
    if (reason instanceof Malformed) return undefined;
    throw reason;
  }
  return values;
}

/** Of a field that is there several times, the last counts. */
function last(values: readonly Value[] | undefined, field: number): Value | undefined {
  return values?.findLast((value) => value.field === field);
}

function isJson(contentType: string | undefined): boolean {
  return contentType?.includes("json") ?? false;
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(decode(body, body.length));
  } catch {
    return undefined;
  }
}

function property(value: unknown, camel: string, snake: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  const record = value as Readonly<Record<string, unknown>>;
  return record[camel] ?? record[snake];
}

function asCount(n: number): number {
  return Number.isSafeInteger(n) && n > 0 ? n : 0;
}

function asText(value: unknown): string {
  return typeof value === "string" ? value.slice(0, TEXT_MAX) : "";
}

function decode(bytes: Uint8Array, most = TEXT_MAX): string {
  return new TextDecoder().decode(bytes.subarray(0, most)).trim();
}
