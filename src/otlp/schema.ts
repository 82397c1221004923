import { SCHEMA } from "./schema.gen.ts";

/** One field of a message, for the slow paths (canonicalize, OTLP/JSON). */
export interface FieldSchema {
  readonly number: number;
  /** Its OTLP/JSON name. */
  readonly name: string;
  readonly type:
    | "message"
    | "enum"
    | "string"
    | "bytes"
    | "bool"
    | "double"
    | "int32"
    | "uint32"
    | "sint32"
    | "int64"
    | "uint64"
    | "fixed32"
    | "fixed64"
    | "sfixed64";
  /** Message name in SCHEMA when `type` is "message". */
  readonly message: string;
  readonly isRepeated: boolean;
  /** `optional`: zero is something else than absent. */
  readonly isOptional: boolean;
  /** Name of the oneof it belongs to. */
  readonly oneof: string;
}

/** Fields of a message by its name ("LogRecord", "SpanEvent"). Throws for a name that proto/ does not have. */
export function fieldsOf(message: string): readonly FieldSchema[] {
  const fields: readonly FieldSchema[] | undefined = (
    SCHEMA as Readonly<Record<string, readonly FieldSchema[]>>
  )[message];
  if (fields === undefined) throw new Error(`proto/ has no message ${message}`);
  return fields;
}

/** Wire type of one element of a field. */
export function wireTypeOf(type: FieldSchema["type"]): number {
  switch (type) {
    case "fixed64":
    case "sfixed64":
    case "double":
      return 1;
    case "message":
    case "string":
    case "bytes":
      return 2;
    case "fixed32":
      return 5;
    default:
      return 0;
  }
}

/** Bytes an id field must have when it is not empty; 0 for fields that are no ids. */
export function idSizeOf(name: string): number {
  if (name === "traceId") return 16;
  return name === "spanId" || name === "parentSpanId" ? 8 : 0;
}
