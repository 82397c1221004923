import { isUtf8 } from "node:buffer";
import protobuf from "protobufjs";
import type { Signal } from "../../src/otlp/tape.ts";
import { requestType } from "./otlp.ts";

const LENGTH_DELIMITED = 2;

/** Throws where a string of an OTLP request is no UTF-8, which protobuf asks for ("string" in the language guide of proto3). */
export function expectText(signal: Signal, request: Uint8Array): void {
  walk(requestType(signal), request);
}

function walk(type: protobuf.Type, message: Uint8Array): void {
  const reader = protobuf.Reader.create(message);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    const field = type.fieldsById[tag >>> 3];
    if ((tag & 7) !== LENGTH_DELIMITED) {
      reader.skipType(tag & 7);
      continue;
    }
    const content = reader.bytes();
    if (field?.type === "string" && !isUtf8(content))
      throw new Error(
        `${type.name}.${field.name} is no UTF-8: ${Buffer.from(content).toString("latin1")}`,
      );
    if (field?.resolvedType instanceof protobuf.Type) walk(field.resolvedType, content);
  }
}
