/** What an OTLP answer says: items that were not kept, and a text. */
export interface OtlpAnswer {
  readonly rejected: number;
  readonly message: string;
}

const NOTHING: OtlpAnswer = { rejected: 0, message: "" };
const TEXT_MAX = 1_024;
const FIELD_1 = 1;
const FIELD_2 = 2;

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
  const outer = readFields(body);
  return outer?.text === undefined ? NOTHING : (asPartial(readFields(outer.text)) ?? NOTHING);
}

/** The text of a google.rpc.Status (`code = 1, message = 2`) in protobuf or JSON; other bodies as they are, cut to 1 KiB. */
export function readStatusText(body: Uint8Array, contentType: string | undefined): string {
  if (isJson(contentType)) {
    const message = asText(property(parseJson(body), "message", "message"));
    if (message !== "") return message;
  } else if (contentType === undefined || contentType.includes("protobuf")) {
    const status = readFields(body);
    if (status?.second !== undefined) return decode(status.second);
  }
  return decode(body);
}

interface Fields {
  /** Field 1 as a varint. */
  readonly number: number;
  /** Field 1 as bytes. */
  readonly text: Uint8Array | undefined;
  /** Field 2 as bytes. */
  readonly second: Uint8Array | undefined;
}

function asPartial(fields: Fields | undefined): OtlpAnswer | undefined {
  if (fields === undefined) return undefined;
  const message = fields.second === undefined ? "" : decode(fields.second);
  return { rejected: asCount(fields.number), message };
}

/** Fields 1 and 2 of a message; undefined when it is not protobuf. Each length is checked against the end. */
function readFields(bytes: Uint8Array): Fields | undefined {
  let at = 0;
  let number = 0;
  let text: Uint8Array | undefined;
  let second: Uint8Array | undefined;
  while (at < bytes.length) {
    const tag = readVarint(bytes, at);
    if (tag === undefined || tag.value < 8) return undefined;
    const field = Math.floor(tag.value / 8);
    const value = readValue(bytes, tag.end, tag.value % 8);
    if (value === undefined) return undefined;
    at = value.end;
    if (field === FIELD_1 && value.number !== undefined) number = value.number;
    if (field === FIELD_1 && value.bytes !== undefined) text = value.bytes;
    if (field === FIELD_2 && value.bytes !== undefined) second = value.bytes;
  }
  return { number, text, second };
}

function readValue(
  bytes: Uint8Array,
  at: number,
  wireType: number,
): { readonly end: number; readonly number?: number; readonly bytes?: Uint8Array } | undefined {
  const fixed = wireType === 1 ? 8 : wireType === 5 ? 4 : 0;
  if (fixed > 0) return at + fixed > bytes.length ? undefined : { end: at + fixed };
  if (wireType !== 0 && wireType !== 2) return undefined;
  const read = readVarint(bytes, at);
  if (read === undefined) return undefined;
  if (wireType === 0) return { end: read.end, number: read.value };
  const end = read.end + read.value;
  return end > bytes.length ? undefined : { end, bytes: bytes.subarray(read.end, end) };
}

/** As a double: counts above 2^53 are no counts, and lengths above it fail the bounds check all the same. */
function readVarint(
  bytes: Uint8Array,
  from: number,
): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  let scale = 1;
  for (let at = from; at < bytes.length && at < from + 10; at++) {
    const byte = bytes[at] ?? 0;
    value += (byte & 127) * scale;
    scale *= 128;
    if (byte < 128) return { value, end: at + 1 };
  }
  return undefined;
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
