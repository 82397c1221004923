import { fileURLToPath } from "node:url";
import protobuf from "protobufjs";
import type { Signal } from "../../src/otlp/tape.ts";

/**
 * The oracle: OTLP requests through protobufjs and proto/, sharing nothing with src/. Objects have the shape of OTLP/JSON:
 * ids in hex, 64-bit integers as decimal strings, enums as numbers, other bytes in base64.
 */
export type Json = { [name: string]: unknown };

const REQUEST: Readonly<Record<Signal, string>> = {
  logs: "opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest",
  metrics: "opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest",
  traces: "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest",
};
const WIDE = new Set(["int64", "uint64", "sint64", "fixed64", "sfixed64"]);
const HEX = new Set(["traceId", "spanId", "parentSpanId"]);

/** The message types of proto/, loaded once. */
export const root: protobuf.Root = loadRoot();

/** Any message of proto/ by its full name. */
export function typeOf(name: string): protobuf.Type {
  return root.lookupType(name);
}

/** The type of the answer to an export of this signal. */
export function responseType(signal: Signal): protobuf.Type {
  return typeOf(REQUEST[signal].replace(/Request$/, "Response"));
}

export function requestType(signal: Signal): protobuf.Type {
  return typeOf(REQUEST[signal]);
}

/** Encodes an OTLP/JSON request, exactly: `BigInt`s and decimal strings keep all 64 bits. */
export function encodeRequest(signal: Signal, request: object): Uint8Array {
  return encodeMessage(requestType(signal), request);
}

/** Decodes OTLP request bytes. Throws where protobufjs does. */
export function decodeRequest(signal: Signal, bytes: Uint8Array): Json {
  return decodeMessage(requestType(signal), bytes);
}

export function encodeMessage(type: protobuf.Type, json: object): Uint8Array {
  const bytes = type.encode(toMessage(type, json)).finish();
  return Uint8Array.from(bytes);
}

export function decodeMessage(type: protobuf.Type, bytes: Uint8Array): Json {
  return toJson(type, type.decode(bytes));
}

function loadRoot(): protobuf.Root {
  const loaded = new protobuf.Root();
  loaded.resolvePath = (_origin, path) =>
    fileURLToPath(new URL(`../../proto/${path}`, import.meta.url));
  const services = ["logs", "metrics", "trace"].map(
    (name) => `opentelemetry/proto/collector/${name}/v1/${name}_service.proto`,
  );
  loaded.loadSync([...services, "google/rpc/status.proto", "google/rpc/error_details.proto"]);
  loaded.resolveAll();
  return loaded;
}

function toMessage(type: protobuf.Type, json: object): protobuf.Message {
  const message: Json = {};
  const from = json as Json;
  for (const field of type.fieldsArray) {
    const value = from[field.name];
    if (value === undefined || value === null) continue;
    message[field.name] = field.repeated
      ? (value as unknown[]).map((one) => toWire(field, one))
      : toWire(field, value);
  }
  for (const name of Object.keys(from))
    if (type.fields[name] === undefined) throw new Error(`${type.fullName} has no field ${name}`);
  return type.create(message);
}

function toWire(field: protobuf.Field, value: unknown): unknown {
  if (field.resolvedType instanceof protobuf.Type)
    return toMessage(field.resolvedType, value as object);
  if (field.type === "bytes")
    return value instanceof Uint8Array
      ? value
      : Buffer.from(String(value), HEX.has(field.name) ? "hex" : "base64");
  if (WIDE.has(field.type)) return toLong(BigInt(value as string));
  if (field.type === "double") return Number(value);
  return value;
}

function toJson(type: protobuf.Type, message: object): Json {
  // A KeyValue without a key has the empty one, as the wire cannot tell them apart.
  const json: Json = type.name === "KeyValue" ? { key: "" } : {};
  const from = message as Json;
  for (const field of type.fieldsArray) {
    if (!Object.hasOwn(from, field.name)) continue;
    const value = from[field.name];
    if (value === null || value === undefined) continue;
    if (Array.isArray(value)) {
      if (value.length > 0) json[field.name] = value.map((one) => fromWire(field, one));
    } else json[field.name] = fromWire(field, value);
  }
  return json;
}

function fromWire(field: protobuf.Field, value: unknown): unknown {
  if (field.resolvedType instanceof protobuf.Type)
    return toJson(field.resolvedType, value as object);
  if (field.type === "bytes")
    return Buffer.from(value as Uint8Array).toString(HEX.has(field.name) ? "hex" : "base64");
  return WIDE.has(field.type) ? String(value) : value;
}

/** What protobufjs takes for a Long: two halves. `value` in −2⁶³ … 2⁶⁴−1. */
function toLong(value: bigint): object {
  const bits = BigInt.asUintN(64, value);
  return { low: Number(BigInt.asIntN(32, bits)), high: Number(BigInt.asIntN(32, bits >> 32n)) };
}
