import type { ProtoWriter } from "./build.ts";
import type { AttributeValue } from "./draft.ts";
import { fieldAt } from "./fields.ts";
import { Kind } from "./tape.ts";

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
/** Longer texts are left to the platform's encoder (UTF-16 units; below 128, so that a length takes one byte). */
const SHORT = 64;
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

/** Appends the content of an AnyValue. Integers beyond int64 become text. */
export function writeAnyValue(out: ProtoWriter, value: AttributeValue): Kind {
  if (typeof value === "string") {
    if (!writeAscii(out, value)) out.text(0x0a, value);
    return Kind.text;
  }
  if (typeof value === "boolean") {
    out.uint(0x10, value ? 1 : 0);
    return Kind.bool;
  }
  if (typeof value === "number") {
    out.double(0x21, value);
    return Kind.double;
  }
  if (typeof value !== "bigint") {
    out.data(0x3a, value);
    return Kind.bytes;
  }
  if (value < INT64_MIN || value > INT64_MAX) return writeAnyValue(out, String(value));
  out.int64(0x18, value);
  return Kind.int;
}

/** Appends a short ASCII text as a string_value; false, with nothing appended, for any other. */
function writeAscii(out: ProtoWriter, value: string): boolean {
  const n = value.length;
  if (n > SHORT) return false;
  out.reserve(n + 2);
  const { bytes } = out;
  const at = out.length + 2;
  for (let i = 0; i < n; i++) {
    const code = value.charCodeAt(i);
    if (code > 127) return false;
    bytes[at + i] = code;
  }
  bytes[at - 2] = 0x0a; // AnyValue.string_value
  bytes[at - 1] = n;
  out.length = at + n;
  return true;
}

/** Appends the AnyValue content of which [at, end) of `bytes` is what an entry of `kind` points at. */
export function wrapAnyValue(
  out: ProtoWriter,
  kind: Kind,
  bytes: Uint8Array,
  at: number,
  end: number,
): void {
  if (kind === Kind.none) return;
  const payload = bytes.subarray(at, end);
  if (kind === Kind.int || kind === Kind.bool || kind === Kind.double) {
    out.varint(kind === Kind.int ? 0x18 : kind === Kind.bool ? 0x10 : 0x21);
    out.raw(payload);
    return;
  }
  const tags = { [Kind.text]: 0x0a, [Kind.bytes]: 0x3a, [Kind.array]: 0x2a, [Kind.map]: 0x32 };
  out.data(tags[kind], payload);
}

/** Where the payload of an AnyValue content starts; `at` when it is empty. */
export function payloadAt(bytes: Uint8Array, at: number, end: number): number {
  if (at === end) return at;
  let p = at + 1;
  if ((bytes[at]! & 7) !== 2) return p;
  while (bytes[p]! > 127) p++;
  return p + 1;
}

/** Kind of an AnyValue content. */
export function kindAt(bytes: Uint8Array, at: number, end: number): Kind {
  if (at >= end) return Kind.none;
  switch (bytes[at]) {
    case 0x0a: // AnyValue.string_value
      return Kind.text;
    case 0x10: // AnyValue.bool_value
      return Kind.bool;
    case 0x18: // AnyValue.int_value
      return Kind.int;
    case 0x21: // AnyValue.double_value
      return Kind.double;
    case 0x2a: // AnyValue.array_value
      return Kind.array;
    case 0x32: // AnyValue.kvlist_value
      return Kind.map;
    case 0x3a: // AnyValue.bytes_value
      return Kind.bytes;
    default:
      return Kind.none;
  }
}

/** The UTF-8 text [at, end); U+FFFD for what is not UTF-8. */
export function textAt(bytes: Uint8Array, at: number, end: number): string {
  return DECODER.decode(bytes.subarray(at, end));
}

/** The int64 whose varint is at `at`. */
export function int64At(bytes: Uint8Array, at: number): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = bytes[at++]!;
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) break;
  }
  return BigInt.asIntN(64, value);
}

/** Whether the varint at `at` is not 0. */
export function boolAt(bytes: Uint8Array, at: number): boolean {
  return int64At(bytes, at) !== 0n;
}

export function doubleAt(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(at, true);
}

/** The payload [at, end) of a value of `kind` as AttributeValue; undefined for none, arrays and maps. */
export function valueAt(
  kind: Kind,
  bytes: Uint8Array,
  at: number,
  end: number,
): AttributeValue | undefined {
  switch (kind) {
    case Kind.text:
      return textAt(bytes, at, end);
    case Kind.bool:
      return boolAt(bytes, at);
    case Kind.int:
      return int64At(bytes, at);
    case Kind.double:
      return doubleAt(bytes, at);
    case Kind.bytes:
      return bytes.slice(at, end);
    default:
      return undefined;
  }
}

/** The payload as text: see `Attributes.text`. */
export function describe(kind: Kind, bytes: Uint8Array, at: number, end: number): string {
  switch (kind) {
    case Kind.none:
      return "";
    case Kind.text:
      return textAt(bytes, at, end);
    case Kind.bytes:
      return Buffer.from(bytes.subarray(at, end)).toString("base64");
    case Kind.array:
    case Kind.map:
      return json(kind, bytes, at, end);
    default:
      return String(valueAt(kind, bytes, at, end));
  }
}

/** Plain JSON of a payload: 64-bit integers in full, numbers that JSON lacks as text. Nesting is bounded by the indexer. */
function json(kind: Kind, bytes: Uint8Array, at: number, end: number): string {
  if (kind === Kind.none) return "null";
  if (kind === Kind.int || kind === Kind.bool) return describe(kind, bytes, at, end);
  if (kind === Kind.double) {
    const value = doubleAt(bytes, at);
    return Number.isFinite(value) ? String(value) : `"${value}"`;
  }
  if (kind !== Kind.array && kind !== Kind.map)
    return JSON.stringify(describe(kind, bytes, at, end));
  const parts: string[] = [];
  for (const [from, to] of elements(bytes, at, end))
    parts.push(kind === Kind.array ? anyJson(bytes, from, to) : pairJson(bytes, from, to));
  return kind === Kind.array ? `[${parts.join(",")}]` : `{${parts.join(",")}}`;
}

function anyJson(bytes: Uint8Array, at: number, end: number): string {
  return json(kindAt(bytes, at, end), bytes, payloadAt(bytes, at, end), end);
}

function pairJson(bytes: Uint8Array, at: number, end: number): string {
  let key = "";
  let value = "null";
  for (const [from, to, tag] of elements(bytes, at, end)) {
    if (tag === 0x0a) key = textAt(bytes, from, to);
    else if (tag === 0x12) value = anyJson(bytes, from, to);
  }
  return `${JSON.stringify(key)}:${value}`;
}

/** [start, end, tag] of each length-delimited field with a one-byte tag in canonical wire; others are passed over. */
function* elements(
  bytes: Uint8Array,
  at: number,
  end: number,
): Generator<readonly [number, number, number]> {
  const content = bytes.subarray(0, end);
  for (let p = at; p < end; ) {
    const field = fieldAt(content, p);
    if (field.wireType === 2) yield [field.at, field.end, (field.number << 3) | 2];
    p = field.end;
  }
}
