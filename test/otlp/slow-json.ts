import protobuf from "protobufjs";
import type { Signal } from "../../src/otlp/tape.ts";
import { decodeRequest, encodeRequest, type Json, requestType } from "../support/otlp.ts";

/**
 * The slow twin of otlp/read-json.ts: JSON.parse, the reflected types of proto/, BigInt and regular expressions. Shares nothing with src/.
 * JSON.parse keeps a repeated name at its first place, so with repeated names it may choose another member of a oneof.
 */
export type SlowJson =
  | {
      /** As protobufjs writes it: without the empty keys that canonical wire has. */
      readonly bytes: Uint8Array;
      readonly hasEmptyKey: boolean;
      readonly rejected: number;
      /** The first item that was left out. */
      readonly where: string;
    }
  | "malformed";

const ITEM_LISTS = new Set(["logRecords", "spans", "dataPoints"]);
const ID_DIGITS: Readonly<Record<string, number>> = { traceId: 32, spanId: 16, parentSpanId: 16 };
const RANGES: Readonly<Record<string, readonly [bigint, bigint]>> = {
  fixed64: [0n, 2n ** 64n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  sfixed64: [-(2n ** 63n), 2n ** 63n - 1n],
  fixed32: [0n, 2n ** 32n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  sint32: [-(2n ** 31n), 2n ** 31n - 1n],
};
const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;
const DEEPEST = 64;

/** A number as it is written. */
class Digits {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

class Misfit extends Error {}

export function slowRead(signal: Signal, bytes: Uint8Array): SlowJson {
  try {
    const request = parse(new TextDecoder().decode(bytes));
    const reading = new Reading();
    const message = reading.message(requestType(signal), request, 0, "");
    const { rejected, where, hasEmptyKey } = reading;
    return { bytes: encodeRequest(signal, message), hasEmptyKey, rejected, where };
  } catch (error) {
    if (error instanceof Misfit || error instanceof SyntaxError) return "malformed";
    throw error;
  }
}

/** Whether `bytes` are what the twin says: byte for byte, or when there are empty keys, as protobufjs writes them again. */
export function isSame(
  signal: Signal,
  bytes: Uint8Array,
  slow: Exclude<SlowJson, "malformed">,
): boolean {
  const { hasEmptyKey } = slow;
  const comparable = hasEmptyKey ? encodeRequest(signal, decodeRequest(signal, bytes)) : bytes;
  return Buffer.from(comparable).equals(slow.bytes);
}

/** Whether some object of the text has a name twice. */
export function hasRepeatedNames(text: string): boolean {
  let members = 0;
  JSON.parse(text, (_key, value: unknown) => {
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      members += Object.keys(value).length;
    return value === undefined ? null : value;
  });
  const withoutTexts = text.replace(/"(?:\\.|[^"\\])*"/g, "");
  return members !== withoutTexts.split(":").length - 1;
}

function parse(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) =>
    typeof value === "number" ? new Digits(context?.source as string) : value,
  );
}

class Reading {
  rejected = 0;
  where = "";
  hasEmptyKey = false;

  message(type: protobuf.Type, value: unknown, depth: number, where: string): Json {
    if (
      typeof value !== "object" ||
      value === null ||
      Array.isArray(value) ||
      value instanceof Digits
    )
      throw new Misfit();
    if (depth > DEEPEST) throw new Misfit();
    const message: Json = {};
    for (const [name, content] of Object.entries(value)) {
      const field = type.fieldsArray.find(
        (one) => one.name === name || original(one.name) === name,
      );
      if (field === undefined || field.name.endsWith("Strindex")) continue;
      const place = where === "" ? field.name : `${where}.${field.name}`;
      const read = content === null ? undefined : this.#field(field, content, depth, place);
      delete message[field.name];
      if (read === undefined) continue;
      const isOneof = field.partOf && field.options?.["proto3_optional"] === undefined;
      if (isOneof) for (const other of field.partOf?.fieldsArray ?? []) delete message[other.name];
      message[field.name] = read;
    }
    if (type.name === "KeyValue") this.hasEmptyKey ||= (message["key"] ?? "") === "";
    return message;
  }

  #field(field: protobuf.Field, value: unknown, depth: number, where: string): unknown {
    if (!field.repeated) return this.#one(field, value, depth, where);
    if (!Array.isArray(value)) throw new Misfit();
    return value.flatMap((element, i) => {
      const place = `${where}[${i}]`;
      if (!ITEM_LISTS.has(field.name)) return [this.#one(field, element, depth, place)];
      try {
        return [this.#one(field, element, depth, place)];
      } catch (error) {
        if (!(error instanceof Misfit)) throw error;
        if (this.rejected++ === 0) this.where = place;
        return [];
      }
    });
  }

  #one(field: protobuf.Field, value: unknown, depth: number, where: string): unknown {
    const { resolvedType } = field;
    if (resolvedType instanceof protobuf.Type)
      return this.message(
        resolvedType,
        value,
        depth + (resolvedType.name === "AnyValue" ? 1 : 0),
        where,
      );
    if (resolvedType instanceof protobuf.Enum) {
      if (!(value instanceof Digits)) throw new Misfit();
      return Number(integerOf("int32", value));
    }
    if (field.type === "string") return textOf(value);
    if (field.type === "bytes") return bytesOf(field.name, textOf(value));
    if (field.type === "double") return doubleOf(value);
    if (field.type !== "bool") {
      const integer = integerOf(field.type, value);
      return field.type.endsWith("32") ? Number(integer) : String(integer);
    }
    if (typeof value !== "boolean") throw new Misfit();
    return value;
  }
}

function original(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function textOf(value: unknown): string {
  if (typeof value !== "string") throw new Misfit();
  return value.toWellFormed();
}

function bytesOf(name: string, text: string): string | undefined {
  const digits = ID_DIGITS[name];
  if (digits === undefined) {
    const isPadded = /^[\w+/-]*={1,2}$/.test(text) && text.length % 4 === 0;
    if (!isPadded && !(/^[\w+/-]*$/.test(text) && text.length % 4 !== 1)) throw new Misfit();
    return text;
  }
  if (text === "") return undefined;
  if (text.length !== digits || !/^[0-9a-f]+$/i.test(text)) throw new Misfit();
  return text;
}

function doubleOf(value: unknown): number {
  if (value instanceof Digits) return Number(value.text);
  if (typeof value !== "string") throw new Misfit();
  if (NUMBER.test(value)) return Number(value);
  const named = /^([+-]?)inf(?:inity)?$/i.exec(value);
  if (named !== null) return named[1] === "-" ? -Infinity : Infinity;
  if (/^nan$/i.test(value)) return Number.NaN;
  throw new Misfit();
}

function integerOf(type: string, value: unknown): bigint {
  const text = value instanceof Digits ? value.text : value;
  const [, sign, whole = "", fraction = "", exponent = "0"] =
    NUMBER.exec(typeof text === "string" ? text : "") ?? [];
  if (sign === undefined) throw new Misfit();
  // At most some hundred digits in tests: the value as a fraction.
  const shift = BigInt(exponent) - BigInt(fraction.length);
  const digits = BigInt(whole + fraction);
  if (shift > 400n && digits !== 0n) throw new Misfit();
  const up = shift > 0n && digits !== 0n ? 10n ** shift : 1n;
  const down = shift < 0n && digits !== 0n ? 10n ** -shift : 1n;
  if ((digits * up) % down !== 0n) throw new Misfit();
  const integer = ((digits * up) / down) * (sign === "-" ? -1n : 1n);
  const [least, most] = RANGES[type] as readonly [bigint, bigint];
  if (integer < least || integer > most) throw new Misfit();
  return integer;
}
