import type { ProtoWriter } from "./build.ts";
import { type Field, fieldAt, Malformed } from "./fields.ts";
import { type FieldSchema, wireTypeOf } from "./schema.ts";

/** Field numbers from this one on are legal (2^29 − 1 is the last), but no unknown field of theirs is kept. */
const KEPT_FIELDS = 2 ** 27;
/** Wire type of groups: whoever reads canonical fields meets none. */
const GROUP = 3;

/**
 * Which fields a message has, and where the last of each is. It is taken in steps, each of the fields that begin before `until`, so
 * that a message may be of any size; so is everything in this file that reads fields.
 */
export class Survey {
  readonly #name: string;
  readonly #fields: readonly FieldSchema[];
  /** By field number; OTLP's known ones are below 32. */
  readonly last: (Field | undefined)[] = [];
  hasUnknown = false;
  /** A bit per field number. */
  #repeats = 0;
  /** Number of the field that a oneof ended with. */
  #chosen: Map<string, number> | undefined;

  constructor(name: string, fields: readonly FieldSchema[]) {
    this.#name = name;
    this.#fields = fields;
  }

  /** Takes the fields from `at` on; returns where it stopped. */
  take(content: Uint8Array, at: number, until: number): number {
    while (at < until) {
      const found = fieldAt(content, at);
      at = found.end;
      const known = fieldOf(this.#fields, found.number);
      if (known === undefined) {
        this.hasUnknown = true;
        continue;
      }
      check(this.#name, known, found);
      if (this.last[known.number] !== undefined) this.#repeats |= 1 << known.number;
      this.last[known.number] = found;
      if (known.oneof === "") continue;
      this.#chosen ??= new Map();
      this.#chosen.set(known.oneof, known.number);
    }
    return at;
  }

  /** The last of a field; undefined when it is not to be written: it is absent, or another of its oneof came later. */
  lastOf(field: FieldSchema): Field | undefined {
    const last = this.last[field.number];
    if (last === undefined) return undefined;
    if (field.name.endsWith("Strindex")) return undefined; // indexes into nothing
    if (field.oneof !== "" && this.#chosen?.get(field.oneof) !== field.number) return undefined;
    return last;
  }

  /** A singular message that came in several parts, which are to be merged. */
  isParted(field: FieldSchema): boolean {
    return field.type === "message" && ((this.#repeats >>> field.number) & 1) === 1;
  }
}

/** The parts of a singular message, one behind the other: parsers merge them, and so does whoever reads them like that. */
export class Merger {
  readonly #field: FieldSchema;
  readonly #fields: readonly FieldSchema[];
  readonly #bytes: Uint8Array;
  #length = 0;

  /** `fields`: all of the message that has the parts. */
  constructor(field: FieldSchema, fields: readonly FieldSchema[], content: Uint8Array) {
    this.#field = field;
    this.#fields = fields;
    this.#bytes = new Uint8Array(content.length);
  }

  get merged(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Takes the parts from `at` on; returns where it stopped. */
  take(content: Uint8Array, at: number, until: number): number {
    const { number, oneof } = this.#field;
    while (at < until) {
      const found = fieldAt(content, at);
      at = found.end;
      if (found.number === number) {
        if (found.end === found.at) continue;
        this.#bytes.set(content.subarray(found.at, found.end), this.#length);
        this.#length += found.end - found.at;
      } else if (oneof !== "" && fieldOf(this.#fields, found.number)?.oneof === oneof)
        this.#length = 0;
    }
    return at;
  }
}

export function fieldOf(fields: readonly FieldSchema[], number: number): FieldSchema | undefined {
  for (const field of fields) if (field.number === number) return field;
  return undefined;
}

/** A known field with a wire type that is not its own is malformed; numbers of a repeated field may stand alone or packed. */
function check(message: string, known: FieldSchema, found: Field): void {
  const own = wireTypeOf(known.type);
  if (found.wireType === own || (known.isRepeated && found.wireType === 2)) return;
  throw new Malformed(`${message}.${known.name} has wire type ${found.wireType} instead of ${own}`);
}

/** One number without its tag. Varints become minimal, and lose bits that 64 do not hold. */
export function scalar(
  field: FieldSchema,
  content: Uint8Array,
  found: Field,
  out: ProtoWriter,
): void {
  if (wireTypeOf(field.type) === 0) varint(content, found.at, found.end, out);
  else out.raw(content.subarray(found.at, found.end));
}

/** Packed numbers [at, end) that begin before `until`; returns where it stopped. */
export function packed(
  field: FieldSchema,
  content: Uint8Array,
  at: number,
  end: number,
  until: number,
  out: ProtoWriter,
): number {
  if (wireTypeOf(field.type) === 1) {
    if ((end - at) % 8 !== 0)
      throw new Malformed(`${field.name} has ${end - at} bytes, no multiple of 8`);
    const stop = Math.min(end, at + Math.ceil((until - at) / 8) * 8);
    out.raw(content.subarray(at, stop));
    return stop;
  }
  while (at < until) {
    let stop = at;
    while (stop < end && content[stop]! > 127) stop++;
    if (stop === end || stop - at > 9)
      throw new Malformed(`${field.name} ends within a number, or has one of more than 10 bytes`);
    varint(content, at, ++stop, out);
    at = stop;
  }
  return at;
}

/** The unknown fields from `at` on, as they are, but no groups; returns where it stopped. */
export function unknown(
  fields: readonly FieldSchema[],
  content: Uint8Array,
  at: number,
  until: number,
  out: ProtoWriter,
): number {
  while (at < until) {
    const found = fieldAt(content, at);
    at = found.end;
    if (found.number >= KEPT_FIELDS || fieldOf(fields, found.number) !== undefined) continue;
    if (found.wireType === GROUP) continue;
    out.varint(((found.number << 3) | found.wireType) >>> 0);
    if (found.wireType === 2) out.varint(found.end - found.at);
    out.raw(content.subarray(found.at, found.end));
  }
  return at;
}

function varint(content: Uint8Array, at: number, end: number, out: ProtoWriter): void {
  if (end - at < 5) {
    let value = 0;
    for (let p = end - 1; p >= at; p--) value = (value << 7) | (content[p]! & 127);
    out.varint(value);
    return;
  }
  let value = 0n;
  for (let p = end - 1; p >= at; p--) value = (value << 7n) | BigInt(content[p]! & 127);
  out.varint64(value);
}
