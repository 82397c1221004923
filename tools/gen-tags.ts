/**
 * Writes src/otlp/tags.gen.ts: one constant per OTLP field (`field << 3 | wire type`), so that no decoder spells a number.
 * `--check` writes nothing and fails when the file is stale.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import protobuf from "protobufjs";

const FILES = [
  ...["logs", "metrics", "trace", "common", "resource"].map(
    (name) => `opentelemetry/proto/${name}/v1/${name}.proto`,
  ),
  ...["logs", "metrics", "trace"].map(
    (name) => `opentelemetry/proto/collector/${name}/v1/${name}_service.proto`,
  ),
  "google/rpc/status.proto",
  "google/rpc/error_details.proto",
];
const FIXED: Readonly<Record<string, number>> = {
  fixed64: 1,
  sfixed64: 1,
  double: 1,
  string: 2,
  bytes: 2,
  fixed32: 5,
  sfixed32: 5,
  float: 5,
};
const root = load();
const OUTPUT: Readonly<Record<string, string>> = {
  "tags.gen.ts": tags(),
  "schema.gen.ts": schema(),
};
for (const [file, text] of Object.entries(OUTPUT)) {
  const target = new URL(`../src/otlp/${file}`, import.meta.url);
  if (!process.argv.includes("--check")) writeFileSync(target, text);
  else if (readFileSync(target, "utf8") !== text) {
    console.error(`src/otlp/${file} is stale: run \`node tools/gen-tags.ts\``);
    process.exitCode = 1;
  }
}

function load(): protobuf.Root {
  const loaded = new protobuf.Root();
  loaded.resolvePath = (_origin, path) =>
    fileURLToPath(new URL(`../proto/${path}`, import.meta.url));
  loaded.loadSync(FILES, { keepCase: true }).resolveAll();
  return loaded;
}

function tags(): string {
  const lines = ["// Generated from proto/ by tools/gen-tags.ts. Do not edit."];
  for (const type of messages(root)) {
    lines.push("", `/** ${type.fullName.slice(1)} */`, `export const ${nameOf(type)} = {`);
    for (const field of type.fieldsArray.toSorted((a, b) => a.id - b.id))
      lines.push(`  ${field.name}: 0x${tagOf(field).toString(16).padStart(2, "0")},`);
    lines.push("} as const;");
  }
  return `${lines.join("\n")}\n`;
}

/** What slow paths (canonicalize, JSON) need to know of each field. */
function schema(): string {
  const lines = [
    "// Generated from proto/ by tools/gen-tags.ts. Do not edit.",
    'import type { FieldSchema } from "./schema.ts";',
    "",
    "/** Fields of every message, by number. */",
    "export const SCHEMA = {",
  ];
  for (const type of messages(root)) {
    lines.push(`  ${nameOf(type)}: [`);
    for (const field of type.fieldsArray.toSorted((a, b) => a.id - b.id))
      lines.push(`    ${rowOf(field)},`);
    lines.push("  ],");
  }
  lines.push("} as const satisfies Readonly<Record<string, readonly FieldSchema[]>>;");
  return `${lines.join("\n")}\n`;
}

function rowOf(field: protobuf.Field): string {
  const resolved = field.resolvedType;
  const isMessage = resolved instanceof protobuf.Type;
  const type = isMessage ? "message" : resolved ? "enum" : field.type;
  const isOptional = field.options?.["proto3_optional"] === true;
  const oneof = field.partOf && !isOptional ? field.partOf.name : "";
  const camel = field.name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  const message = isMessage ? nameOf(resolved) : "";
  return `{ number: ${field.id}, name: "${camel}", type: "${type}", message: "${message}", isRepeated: ${field.repeated}, isOptional: ${isOptional}, oneof: "${oneof}" }`;
}

function nameOf(type: protobuf.Type): string {
  if (type.fullName === ".google.rpc.Status") return "RpcStatus";
  return type.parent instanceof protobuf.Type ? type.parent.name + type.name : type.name;
}

function* messages(space: protobuf.NamespaceBase): Generator<protobuf.Type> {
  for (const object of space.nestedArray) {
    if (object instanceof protobuf.Type) yield object;
    if (object instanceof protobuf.Namespace) yield* messages(object);
  }
}

/** Numbers of a repeated field travel packed (wire type 2). */
function tagOf(field: protobuf.Field): number {
  const scalar = field.resolvedType instanceof protobuf.Enum ? 0 : wireTypeOf(field.type);
  const isMessage = field.resolvedType instanceof protobuf.Type;
  return (field.id << 3) | (isMessage || field.repeated ? 2 : scalar);
}

function wireTypeOf(type: string): number {
  return FIXED[type] ?? 0;
}
