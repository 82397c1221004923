import { ProtoWriter } from "./build.ts";
import { type FieldSchema, fieldsOf, idSizeOf, wireTypeOf } from "./schema.ts";
import type { Signal } from "./tape.ts";

/**
 * OTLP/JSON → OTLP bytes (specification 1.11, "JSON Protobuf Encoding"): lowerCamelCase names, hex ids in any case, 64-bit numbers as text
 * or numbers, enums as numbers, other bytes in base64; unknown names are ignored. Over JSON.parse: exact, but not the fast way.
 */
export type JsonRead =
  | {
      readonly bytes: Uint8Array;
      readonly length: number;
      readonly rejected: number;
      readonly why: string;
    }
  | { readonly refused: "malformed"; readonly why: string };

const REQUEST: Readonly<Record<Signal, string>> = {
  logs: "ExportLogsServiceRequest",
  metrics: "ExportMetricsServiceRequest",
  traces: "ExportTraceServiceRequest",
};
/** A bad element of these lists costs itself, and nothing else. */
const ITEM_LISTS = new Set(["logRecords", "spans", "dataPoints"]);
const MAX_NESTING = 64;
/** A bare number this long may have lost digits when it was parsed. */
const LONG_NUMBER = /[:[,]\s*-?\d{16}/;
const INT64_MIN = -(2n ** 63n);
const UINT64_END = 2n ** 64n;

/** A value that does not fit its field; the message says which. */
class Misfit extends Error {}

/** Reads a request. Items that do not fit are left out and counted; `why` tells the first reason. */
export function readRequestJson(signal: Signal, bytes: Uint8Array, length: number): JsonRead {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length));
    const out = new ProtoWriter(length + 1024);
    const encoder = new Encoder(out);
    encoder.message(REQUEST[signal], parse(text), "request", 0);
    return { bytes: out.take(), length: out.length, rejected: encoder.rejected, why: encoder.why };
  } catch (error) {
    if (error instanceof RangeError)
      return { refused: "malformed", why: "the JSON is nested too deeply" };
    if (error instanceof Misfit || error instanceof SyntaxError || error instanceof TypeError)
      return { refused: "malformed", why: `not an OTLP/JSON ${signal} request: ${error.message}` };
    throw error;
  }
}

/** JSON.parse, but long integers come as bigint, exact. */
function parse(text: string): unknown {
  if (!LONG_NUMBER.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) => {
    const isLong =
      typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
    return isLong && context?.source !== undefined && /^-?\d+$/.test(context.source)
      ? BigInt(context.source)
      : value;
  });
}

class Encoder {
  rejected = 0;
  why = "";
  readonly #out: ProtoWriter;
  constructor(out: ProtoWriter) {
    this.#out = out;
  }

  /** Writes the fields of an object in the order of their numbers, which is the canonical one. */
  message(name: string, value: unknown, where: string, nesting: number): void {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new Misfit(`${where} must be an object, not ${kindOf(value)}`);
    if (nesting > MAX_NESTING)
      throw new Misfit(`${where} is nested more than ${MAX_NESTING} values deep`);
    for (const field of fieldsOf(name)) {
      const content = (value as Readonly<Record<string, unknown>>)[field.name];
      if (content === undefined || content === null) continue;
      const place = `${where}.${field.name}`;
      if (field.isRepeated) this.#list(field, content, place, nesting);
      else this.#single(field, content, place, nesting);
    }
  }

  #list(field: FieldSchema, values: unknown, where: string, nesting: number): void {
    if (!Array.isArray(values)) throw new Misfit(`${where} must be a list, not ${kindOf(values)}`);
    if (field.type === "message" || wireTypeOf(field.type) === 2) {
      values.forEach((value, i) => {
        if (ITEM_LISTS.has(field.name)) this.#item(field, value, `${where}[${i}]`);
        else this.#single(field, value, `${where}[${i}]`, nesting);
      });
      return;
    }
    this.#out.open((field.number << 3) | 2, 2);
    values.forEach((value, i) => {
      this.#number(field, value, `${where}[${i}]`, undefined);
    });
    this.#out.close();
  }

  #item(field: FieldSchema, value: unknown, where: string): void {
    const { length } = this.#out;
    try {
      this.#single(field, value, where, 0);
    } catch (error) {
      if (!(error instanceof Misfit)) throw error;
      this.#out.rewind(length);
      this.rejected++;
      this.why ||= error.message;
    }
  }

  #single(field: FieldSchema, value: unknown, where: string, nesting: number): void {
    const tag = (field.number << 3) | wireTypeOf(field.type);
    switch (field.type) {
      case "message":
        this.#out.open(tag, 2);
        this.message(
          field.message,
          value,
          where,
          field.message === "AnyValue" ? nesting + 1 : nesting,
        );
        this.#out.close();
        return;
      case "string":
        if (typeof value !== "string")
          throw new Misfit(`${where} must be text, not ${kindOf(value)}`);
        this.#out.text(tag, value);
        return;
      case "bytes":
        this.#bytes(tag, field.name, value, where);
        return;
      default:
        this.#number(field, value, where, tag);
        return;
    }
  }

  #bytes(tag: number, name: string, value: unknown, where: string): void {
    if (typeof value !== "string") throw new Misfit(`${where} must be text, not ${kindOf(value)}`);
    const idBytes = idSizeOf(name);
    if (idBytes === 0) {
      if (!/^[\w+/-]*={0,2}$/.test(value)) throw new Misfit(`${where} must be base64`);
      this.#out.data(tag, Buffer.from(value, "base64"));
      return;
    }
    if (value === "") return;
    if (value.length !== idBytes * 2 || !/^[0-9a-fA-F]+$/.test(value))
      throw new Misfit(
        `${where} must be ${idBytes * 2} hex digits, got ${JSON.stringify(value.slice(0, 64))}`,
      );
    this.#out.data(tag, Buffer.from(value, "hex"));
  }

  /** Scalars. `tag` undefined: an element of a packed list. */
  #number(field: FieldSchema, value: unknown, where: string, tag: number | undefined): void {
    const out = this.#out;
    switch (field.type) {
      case "bool":
        if (typeof value !== "boolean")
          throw new Misfit(`${where} must be true or false, not ${kindOf(value)}`);
        out.uint(tag ?? 0, value ? 1 : 0);
        return;
      case "double": {
        const number = doubleOf(value, where);
        if (tag !== undefined) out.varint(tag);
        out.reserve(8);
        out.view.setFloat64(out.length, number, true);
        out.length += 8;
        return;
      }
      case "fixed32":
        out.fixed32(tag ?? 0, Number(BigInt.asUintN(32, integerOf(value, where))));
        return;
      case "fixed64":
      case "sfixed64": {
        const integer = integerOf(value, where);
        if (tag !== undefined) out.varint(tag);
        out.reserve(8);
        out.view.setBigUint64(out.length, BigInt.asUintN(64, integer), true);
        out.length += 8;
        return;
      }
      case "sint32": {
        const integer = integerOf(value, where);
        const zigzag = integer < 0n ? -integer * 2n - 1n : integer * 2n;
        if (tag !== undefined) out.varint(tag);
        out.varint64(BigInt.asUintN(32, zigzag));
        return;
      }
      default:
        if (field.type === "enum" && typeof value === "string")
          throw new Misfit(
            `${where} must be a number: OTLP/JSON does not use names of enum values`,
          );
        if (tag !== undefined) out.varint(tag);
        out.varint64(integerOf(value, where));
        return;
    }
  }
}

function integerOf(value: unknown, where: string): bigint {
  const isInteger =
    typeof value === "bigint" ||
    Number.isSafeInteger(value) ||
    (typeof value === "string" && /^-?\d{1,20}$/.test(value));
  const integer = isInteger ? BigInt(value as bigint | number | string) : undefined;
  if (integer === undefined || integer < INT64_MIN || integer >= UINT64_END)
    throw new Misfit(`${where} must be a whole number of at most 64 bits, got ${shown(value)}`);
  return integer;
}

function doubleOf(value: unknown, where: string): number {
  if (typeof value === "number" || typeof value === "bigint") return Number(value);
  if (value === "NaN") return Number.NaN;
  if (value === "Infinity") return Number.POSITIVE_INFINITY;
  if (value === "-Infinity") return Number.NEGATIVE_INFINITY;
  if (typeof value === "string" && value.trim() !== "" && !Number.isNaN(Number(value)))
    return Number(value);
  throw new Misfit(`${where} must be a number, got ${shown(value)}`);
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value)
    ? "a list"
    : `${/^[aeiou]/.test(typeof value) ? "an" : "a"} ${typeof value}`;
}

function shown(value: unknown): string {
  return typeof value === "object" ? kindOf(value) : JSON.stringify(String(value).slice(0, 64));
}
