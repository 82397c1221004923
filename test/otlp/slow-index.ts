/**
 * The obvious twin of indexer and canonicalize: decodes by the reflected types of proto/ into plain objects, and judges. Shares
 * nothing with src/.
 */
import protobuf from "protobufjs";
import type { Signal } from "../../src/otlp/tape.ts";
import { type Json, requestType } from "../support/otlp.ts";

export type Slow =
  | { readonly refused: string }
  | { readonly request: Json; readonly items: number; readonly rejected: number };

class Bad extends Error {}
const ITEM = /^(LogRecord|Span|\w+DataPoint)$/;
const WIRE: Readonly<Record<string, number>> = {
  fixed64: 1,
  sfixed64: 1,
  double: 1,
  string: 2,
  bytes: 2,
  fixed32: 5,
};
const ID_SIZE: Readonly<Record<string, number>> = { traceId: 16, spanId: 8, parentSpanId: 8 };
/** U+FEFF at the start of a text is text. */
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

export function slowIndex(signal: Signal, bytes: Uint8Array): Slow {
  const count = { items: 0, rejected: 0 };
  try {
    return { request: message(requestType(signal), [bytes], 0, count), ...count };
  } catch (error) {
    if (error instanceof Bad) return { refused: error.message };
    throw error;
  }
}

/** One message as plain objects. Its AnyValues are not near the nesting limit. */
export function slowDecode(type: protobuf.Type, bytes: Uint8Array): Json {
  return message(type, [bytes], 0, { items: 0, rejected: 0 });
}

type Count = { items: number; rejected: number };
type Raw = { readonly wire: number; readonly number: bigint; readonly payload: Uint8Array };

function message(type: protobuf.Type, parts: Uint8Array[], depth: number, count: Count): Json {
  if (type.name === "AnyValue" && depth > 64) throw new Bad("too deep");
  const json: Json = {};
  if (type.name === "EntityRef") return json;
  const open = new Map<string, Uint8Array[]>();
  for (const [id, raw] of fields(Buffer.concat(parts))) {
    const field = type.fieldsById[id];
    if (field === undefined) continue;
    const own = field.resolvedType instanceof protobuf.Type ? 2 : (WIRE[field.type] ?? 0);
    const isPacked = field.repeated && own !== 2 && raw.wire === 2;
    if (raw.wire !== own && !isPacked) throw new Bad(`wire type of ${field.name}`);
    for (const sibling of field.partOf?.fieldsArray ?? [])
      if (sibling !== field) {
        delete json[sibling.name];
        open.delete(sibling.name);
      }
    if (field.name.endsWith("Strindex")) continue;
    if (field.resolvedType instanceof protobuf.Type) {
      if (!field.repeated) {
        open.set(field.name, [...(open.get(field.name) ?? []), raw.payload]);
        continue;
      }
      const one = nested(field.resolvedType, raw.payload, depth, count);
      if (one !== undefined) listOf(json, field.name).push(one);
    } else if (field.repeated && own !== 2) {
      const list = listOf(json, field.name);
      if (isPacked) list.push(...packed(field, own, raw.payload));
      else list.push(scalar(field, raw));
    } else json[field.name] = scalar(field, raw);
  }
  for (const [name, size] of Object.entries(ID_SIZE)) {
    const id = (json[name] ?? "") as string;
    if (id !== "" && id.length !== size * 2) throw new Bad("id");
  }
  if (type.name === "KeyValue") json["key"] ??= "";
  for (const [name, contents] of open) {
    const inner = type.fields[name]?.resolvedType as protobuf.Type;
    json[name] = message(inner, contents, inner.name === "AnyValue" ? depth + 1 : depth, count);
  }
  return json;
}

function listOf(json: Json, name: string): unknown[] {
  json[name] ??= [];
  return json[name] as unknown[];
}

function nested(
  type: protobuf.Type,
  payload: Uint8Array,
  depth: number,
  count: Count,
): Json | undefined {
  if (!ITEM.test(type.name))
    return message(type, [payload], type.name === "AnyValue" ? depth + 1 : depth, count);
  try {
    const item = message(type, [payload], 0, count);
    count.items++;
    return item;
  } catch (error) {
    if (!(error instanceof Bad)) throw error;
    count.rejected++;
    return undefined;
  }
}

function* fields(bytes: Uint8Array): Generator<[number, Raw]> {
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let i = 0n; i < 10n; i++) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Bad("cut off");
      value |= BigInt(byte & 127) << (i * 7n);
      if (byte < 128) return value;
    }
    throw new Bad("long varint");
  };
  const take = (size: bigint) => {
    if (size > BigInt(bytes.length - at)) throw new Bad("length");
    at += Number(size);
    return bytes.subarray(at - Number(size), at);
  };
  const none = new Uint8Array(0);
  const head = () => {
    const tag = varint();
    const id = tag >> 3n;
    if (id === 0n || id > 536_870_911n) throw new Bad("field number");
    return { id, wire: Number(tag & 7n) };
  };
  const passGroup = (group: bigint, depth: number): void => {
    if (depth > 100) throw new Bad("groups");
    for (;;) {
      const { id, wire } = head();
      if (wire === 3) passGroup(id, depth + 1);
      else if (wire === 4 && id === group) return;
      else if (wire === 0) varint();
      else if (wire === 1) take(8n);
      else if (wire === 2) take(varint());
      else if (wire === 5) take(4n);
      else throw new Bad("wire type");
    }
  };
  while (at < bytes.length) {
    const { id, wire } = head();
    if (wire === 3) {
      passGroup(id, 1);
      yield [Number(id), { wire, number: 0n, payload: none }];
      continue;
    }
    if (wire === 0) yield [Number(id), { wire, number: varint(), payload: none }];
    else if (wire === 1) yield [Number(id), { wire, number: 0n, payload: take(8n) }];
    else if (wire === 2) yield [Number(id), { wire, number: 0n, payload: take(varint()) }];
    else if (wire === 5) yield [Number(id), { wire, number: 0n, payload: take(4n) }];
    else throw new Bad("wire type");
  }
}

function packed(field: protobuf.Field, own: number, payload: Uint8Array): unknown[] {
  const list: unknown[] = [];
  if (own === 1) {
    if (payload.length % 8 !== 0) throw new Bad("packed");
    for (let at = 0; at < payload.length; at += 8)
      list.push(scalar(field, { wire: 1, number: 0n, payload: payload.subarray(at, at + 8) }));
    return list;
  }
  // A varint is a field without its tag.
  for (let at = 0; at < payload.length; ) {
    let end = at;
    while ((payload[end] as number) > 127) end++;
    const field1 = Buffer.concat([Buffer.from([8]), payload.subarray(at, end + 1)]);
    for (const [, raw] of fields(field1)) list.push(scalar(field, raw));
    at = end + 1;
  }
  return list;
}

function scalar(field: protobuf.Field, raw: Raw): unknown {
  const { payload } = raw;
  const buffer = Buffer.from(payload);
  switch (field.type) {
    case "string":
      return UTF8.decode(payload);
    case "bytes": {
      const isId = ID_SIZE[field.name] !== undefined;
      return buffer.toString(isId ? "hex" : "base64");
    }
    case "double":
      return buffer.readDoubleLE();
    case "fixed64":
      return String(buffer.readBigUInt64LE());
    case "sfixed64":
      return String(buffer.readBigInt64LE());
    case "fixed32":
      return buffer.readUInt32LE();
    case "bool":
      return BigInt.asUintN(64, raw.number) !== 0n;
    case "int64":
      return String(BigInt.asIntN(64, raw.number));
    case "uint64":
      return String(BigInt.asUintN(64, raw.number));
    case "uint32":
      return Number(BigInt.asUintN(32, raw.number));
    case "sint32": {
      const zigzag = BigInt.asUintN(32, raw.number);
      return Number((zigzag >> 1n) ^ -(zigzag & 1n));
    }
    default:
      return Number(BigInt.asIntN(32, raw.number)); // enums
  }
}
