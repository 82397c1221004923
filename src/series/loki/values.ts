import { Kind } from "../../otlp/tape.ts";
import { type JsonWriter, writeBase64 } from "../../otlp/value-json.ts";
import { writeDouble, writeInt, writeUint64 } from "../../wire/numbers.ts";
import { SlotKind } from "../slots.ts";

/** Bytes of a varint that is a negative int64, or a uint64 that no int64 holds. */
export const NEGATIVE_BYTES = 10;

/** Bytes that a number or a boolean takes at most. */
export const SCALAR_MAX = 32;

/** Whether a value is nothing in structured metadata, where empty text is the same as none. */
export function isEmpty(kind: number, length: number): boolean {
  return kind === Kind.none || (length === 0 && (kind === Kind.text || kind === Kind.bytes));
}

/** Whether a kind is one of `writeScalar`. */
export function isScalar(kind: number): boolean {
  return kind === Kind.bool || kind === Kind.int || kind === Kind.double || kind === SlotKind.uint;
}

/** A bool, an int, an unsigned int or a double as text; returns its end. There must be SCALAR_MAX bytes. */
export function writeScalar(
  out: DataView,
  at: number,
  json: JsonWriter,
  kind: number,
  from: number,
): number {
  if (kind === Kind.double) {
    const value = json.view.getFloat64(from, true);
    return Number.isFinite(value) ? writeDouble(out, at, value) : writeWord(out, at, String(value));
  }
  json.varint(from);
  if (kind === Kind.int) return writeInt(out, at, json.low, json.high);
  if (kind === SlotKind.uint) return writeUint64(out, at, json.low, json.high);
  return writeWord(out, at, (json.low | json.high) === 0 ? "false" : "true");
}

/** Any other value as text: bytes in base64, arrays and maps as JSON. There must be `jsonRoom(end - from)` bytes. */
export function writeComposite(
  out: DataView,
  at: number,
  json: JsonWriter,
  kind: number,
  from: number,
  end: number,
): number {
  if (kind === Kind.bytes) return writeBase64(out, at, json.bytes, from, end);
  return json.value(out, at, kind as Kind, from, end);
}

/** ASCII only. */
function writeWord(out: DataView, at: number, word: string): number {
  for (let i = 0; i < word.length; i++) out.setUint8(at + i, word.charCodeAt(i));
  return at + word.length;
}
