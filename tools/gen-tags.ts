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
const target = new URL("../src/otlp/tags.gen.ts", import.meta.url);
const text = generate();
if (!process.argv.includes("--check")) writeFileSync(target, text);
else if (readFileSync(target, "utf8") !== text) {
  console.error("src/otlp/tags.gen.ts is stale: run `node tools/gen-tags.ts`");
  process.exitCode = 1;
}

function generate(): string {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, path) => fileURLToPath(new URL(`../proto/${path}`, import.meta.url));
  root.loadSync(FILES, { keepCase: true }).resolveAll();
  const lines = ["// Generated from proto/ by tools/gen-tags.ts. Do not edit."];
  for (const type of messages(root)) {
    const name = type.parent instanceof protobuf.Type ? type.parent.name + type.name : type.name;
    lines.push("", `/** ${type.fullName.slice(1)} */`);
    lines.push(`export const ${type.fullName === ".google.rpc.Status" ? "RpcStatus" : name} = {`);
    for (const field of type.fieldsArray.toSorted((a, b) => a.id - b.id))
      lines.push(`  ${field.name}: 0x${tagOf(field).toString(16).padStart(2, "0")},`);
    lines.push("} as const;");
  }
  return `${lines.join("\n")}\n`;
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
