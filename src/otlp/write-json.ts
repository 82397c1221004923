import type { Batch } from "./batch.ts";
import { type Field, fieldAt } from "./fields.ts";
import { type FieldSchema, fieldsOf, idSizeOf, wireTypeOf } from "./schema.ts";
import type { Signal } from "./tape.ts";
import { doubleAt, int64At, textAt } from "./values.ts";

const REQUEST: Readonly<Record<Signal, string>> = {
  logs: "ExportLogsServiceRequest",
  metrics: "ExportMetricsServiceRequest",
  traces: "ExportTraceServiceRequest",
};

/**
 * A whole batch as one OTLP/JSON request: ids in hex, 64-bit integers as text, other bytes in base64, enums as numbers; NaN and
 * infinities as text. Exact: nothing passes through a double that is not one. Nesting is bounded, because batches are indexed.
 */
export function writeRequestJson(batch: Batch): string {
  return messageJson(REQUEST[batch.signal], batch.bytes.subarray(0, batch.length));
}

function messageJson(name: string, content: Uint8Array): string {
  const known = new Map(fieldsOf(name).map((field) => [field.number, field]));
  const singular = new Map<FieldSchema, string>();
  const repeated = new Map<FieldSchema, string[]>();
  for (let at = 0; at < content.length; ) {
    const found = fieldAt(content, at);
    at = found.end;
    const field = known.get(found.number);
    if (field === undefined) continue;
    const values = valuesOf(field, content, found);
    if (!field.isRepeated) singular.set(field, values[0] ?? "null");
    else {
      const list = repeated.get(field);
      if (list === undefined) repeated.set(field, values);
      else for (const value of values) list.push(value);
    }
  }
  const parts: string[] = [];
  for (const field of known.values()) {
    const list = repeated.get(field);
    const value = list === undefined ? singular.get(field) : `[${list.join(",")}]`;
    if (value !== undefined) parts.push(`"${field.name}":${value}`);
  }
  return `{${parts.join(",")}}`;
}

/** One value, or those of a packed field. */
function valuesOf(field: FieldSchema, content: Uint8Array, found: Field): string[] {
  const own = wireTypeOf(field.type);
  if (own === 2) return [sizedJson(field, content.subarray(found.at, found.end))];
  if (found.wireType !== 2) return [numberJson(field, content, found.at)];
  const values: string[] = [];
  for (let at = found.at; at < found.end; ) {
    values.push(numberJson(field, content, at));
    if (own === 1) at += 8;
    else {
      while (content[at]! > 127) at++;
      at++;
    }
  }
  return values;
}

function sizedJson(field: FieldSchema, payload: Uint8Array): string {
  if (field.type === "message") return messageJson(field.message, payload);
  if (field.type === "string") return JSON.stringify(textAt(payload, 0, payload.length));
  return `"${Buffer.from(payload).toString(idSizeOf(field.name) > 0 ? "hex" : "base64")}"`;
}

function numberJson(field: FieldSchema, content: Uint8Array, at: number): string {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  switch (field.type) {
    case "double": {
      const value = doubleAt(content, at);
      if (!Number.isFinite(value)) return `"${value}"`;
      return Object.is(value, -0) ? "-0" : String(value);
    }
    case "fixed64":
      return `"${view.getBigUint64(at, true)}"`;
    case "sfixed64":
      return `"${view.getBigInt64(at, true)}"`;
    case "fixed32":
      return String(view.getUint32(at, true));
    case "bool":
      return String(int64At(content, at) !== 0n);
    case "int64":
      return `"${int64At(content, at)}"`;
    case "uint64":
      return `"${BigInt.asUintN(64, int64At(content, at))}"`;
    case "uint32":
      return String(BigInt.asUintN(32, int64At(content, at)));
    case "sint32": {
      const zigzag = BigInt.asUintN(32, int64At(content, at));
      return String((zigzag >> 1n) ^ -(zigzag & 1n));
    }
    default:
      return String(BigInt.asIntN(32, int64At(content, at)));
  }
}
