/** Arbitrary OTLP/JSON requests of any signal, made from the reflected types of proto/: every field of every message. */
import fc from "fast-check";
import protobuf from "protobufjs";
import { SIGNALS, type Signal } from "../../src/otlp/tape.ts";
import { type Json, requestType } from "../support/otlp.ts";

const KEYS = [
  "service.name",
  "a",
  "",
  "status",
  "über",
  "__proto__",
  "constructor",
  "k".repeat(300),
];

/** A signal and a request for it. */
export const arbitraryRequest: fc.Arbitrary<{ signal: Signal; request: Json }> = fc
  .constantFrom(...SIGNALS)
  .chain((signal) => messageOf(requestType(signal), 0).map((request) => ({ signal, request })));

function messageOf(type: protobuf.Type, depth: number): fc.Arbitrary<Json> {
  if (type.name === "EntityRef") return fc.constant({});
  const oneofs = new Map<string, protobuf.Field[]>();
  const shape: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of type.fieldsArray) {
    if (field.name.endsWith("Strindex")) continue;
    const group = field.options?.["proto3_optional"] ? undefined : field.partOf?.name;
    if (group === undefined) shape[field.name] = fieldOf(field, depth);
    else oneofs.set(group, [...(oneofs.get(group) ?? []), field]);
  }
  const plain = fc.record(shape, { requiredKeys: type.name === "KeyValue" ? ["key"] : [] });
  const chosen = [...oneofs.values()].map((fields) => oneOf(fields, depth));
  return fc.tuple(plain, ...chosen).map((parts) => Object.assign({}, ...parts) as Json);
}

function oneOf(fields: protobuf.Field[], depth: number): fc.Arbitrary<Json> {
  const shallow =
    depth > 3 ? fields.filter((f) => !(f.resolvedType instanceof protobuf.Type)) : fields;
  return fc
    .constantFrom(undefined, ...shallow)
    .chain((field) =>
      field === undefined
        ? fc.constant({})
        : fieldOf(field, depth + 1).map((value) => ({ [field.name]: value })),
    );
}

function fieldOf(field: protobuf.Field, depth: number): fc.Arbitrary<unknown> {
  const one = oneValue(field, depth);
  return field.repeated ? fc.array(one, { maxLength: 3 }) : one;
}

function oneValue(field: protobuf.Field, depth: number): fc.Arbitrary<unknown> {
  if (field.resolvedType instanceof protobuf.Type) return messageOf(field.resolvedType, depth);
  if (field.resolvedType instanceof protobuf.Enum) return fc.integer({ min: 0, max: 30 });
  switch (field.type) {
    case "string":
      return field.name === "key"
        ? fc.constantFrom(...KEYS)
        : fc.string({ unit: "binary", maxLength: 12 });
    case "bytes":
      return bytesOf(field.name);
    case "bool":
      return fc.boolean();
    case "double":
      return fc.double();
    case "fixed64":
    case "uint64":
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
    case "int64":
    case "sfixed64":
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
    case "sint32":
    case "int32":
      return fc.integer();
    default:
      return fc.nat(2 ** 31 - 1);
  }
}

function bytesOf(name: string): fc.Arbitrary<string> {
  const size = { traceId: 16, spanId: 8, parentSpanId: 8 }[name];
  if (size === undefined)
    return fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString("base64"));
  return fc
    .oneof(
      fc.constant(new Uint8Array(0)),
      fc.constant(new Uint8Array(size)),
      fc.uint8Array({ minLength: size, maxLength: size }),
    )
    .map((bytes) => Buffer.from(bytes).toString("hex"));
}
