import { isUtf8 } from "node:buffer";
import { ProtoWriter, varintSize } from "./build.ts";
import { type Canonical, CutOut, type Field, fieldAt, Malformed } from "./fields.ts";
import { isKeyValue } from "./index-attributes.ts";
import { logRecord } from "./index-logs.ts";
import { metric } from "./index-points.ts";
import { span } from "./index-spans.ts";
import { MAX_DEPTH, type Scan } from "./scan.ts";
import { type FieldSchema, fieldsOf, idSizeOf, wireTypeOf } from "./schema.ts";
import type { Signal } from "./tape.ts";

const REQUEST: Readonly<Record<Signal, string>> = {
  logs: "ExportLogsServiceRequest",
  metrics: "ExportMetricsServiceRequest",
  traces: "ExportTraceServiceRequest",
};
/** The messages that are items: cut out when bad, where everything around them is sound. */
const ITEMS: ReadonlySet<string> = new Set([
  "LogRecord",
  "Span",
  "NumberDataPoint",
  "HistogramDataPoint",
  "ExponentialHistogramDataPoint",
  "SummaryDataPoint",
]);
/** The messages around items. Work on them pauses, as they have no largest size but that of the request. */
const OUTER = /^(Export|Resource|Scope)\w*(Request|Logs|Metrics|Spans)$/;
/** What the indexer can judge alone: copied as it is where it is canonical. */
const UNITS: ReadonlySet<string> = new Set(["LogRecord", "Span", "Metric"]);
/** Tape that a unit may have to be judged by the indexer; larger ones are re-encoded (ints). */
const JUDGED_INTS = 1 << 20;
/** Fields between two pauses. */
const STEP_FIELDS = 256;
/** Field numbers above this one are legal (2^29 − 1 is the last), but no unknown field of theirs is kept. */
const KEPT_FIELDS = 2 ** 27;

/** Lets the event loop turn if it is time. */
export type Breathe = (isDue?: boolean) => Promise<void>;

/**
 * Re-encodes any valid OTLP request into the one shape that indexer and writers assume: known fields in order of their numbers, each
 * singular one once (the last, or all merged), numbers packed, key before value, resource before scopes, unknown fields last
 * (none in an AnyValue), text in valid UTF-8 (U+FFFD for what is not). Items in that shape are copied as they are. Bad items are
 * left out and counted; where no item can be cut out, the request is refused. Slow and exact: it also is the judge of what is bad.
 * `scan` is only borrowed.
 */
export function canonicalize(
  scan: Scan,
  signal: Signal,
  bytes: Uint8Array,
  length: number,
): Canonical {
  const pass = new Pass(scan, bytes, length);
  try {
    const steps = pass.outer(REQUEST[signal], bytes.subarray(0, length));
    while (!steps.next().done);
  } catch (error) {
    return refusal(signal, error);
  } finally {
    scan.release();
  }
  return pass.result();
}

/** The same with pauses. Nobody else may use `scan` until it is done. */
export async function canonicalizeSlowly(
  scan: Scan,
  signal: Signal,
  bytes: Uint8Array,
  length: number,
  breathe: Breathe,
): Promise<Canonical> {
  const pass = new Pass(scan, bytes, length);
  try {
    for (const _ of pass.outer(REQUEST[signal], bytes.subarray(0, length))) await breathe();
  } catch (error) {
    return refusal(signal, error);
  } finally {
    scan.release();
  }
  return pass.result();
}

function refusal(signal: Signal, error: unknown): Canonical {
  if (!(error instanceof Malformed)) throw error;
  const why = `the body is no valid OTLP protobuf ${signal} request: ${error.message}`;
  return { refused: "malformed", why };
}

class Pass {
  readonly out: ProtoWriter;
  rejected = 0;
  why = "";
  readonly #scan: Scan;
  readonly #bytes: Uint8Array;

  constructor(scan: Scan, bytes: Uint8Array, length: number) {
    this.out = new ProtoWriter(length + 1024);
    this.#scan = scan;
    this.#bytes = bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    scan.begin(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length), view, JUDGED_INTS);
  }

  result(): Canonical {
    const { out, rejected, why } = this;
    return { bytes: out.bytes, length: out.length, rejected, why };
  }

  /** Writes a message around items; stops now and then. */
  *outer(name: string, content: Uint8Array): Generator<void> {
    const fields = fieldsOf(name);
    const present = new Set<number>();
    let hasUnknown = false;
    let count = 0;
    for (const field of walk(content)) {
      if (++count % STEP_FIELDS === 0) yield;
      const known = fieldOf(fields, field.number);
      if (known === undefined) hasUnknown = true;
      else {
        check(name, known, field);
        present.add(known.number);
      }
    }
    for (const field of fields) {
      if (!present.has(field.number)) continue;
      if (UNITS.has(field.message)) yield* this.#units(field, content);
      else if (OUTER.test(field.message)) yield* this.#outers(field, content);
      else if (field.isRepeated) this.#repeated(field, content, 0);
      else this.#singular(field, fields, content, 0);
    }
    if (hasUnknown) this.#unknown(fields, content);
  }

  *#outers(field: FieldSchema, content: Uint8Array): Generator<void> {
    let count = 0;
    for (const found of walk(content)) {
      if (++count % STEP_FIELDS === 0) yield;
      if (found.number !== field.number) continue;
      this.out.open((field.number << 3) | 2, varintSize(found.end - found.at));
      yield* this.outer(field.message, content.subarray(found.at, found.end));
      this.out.close();
    }
  }

  /** Runs of canonical units are copied, the others re-encoded. */
  *#units(field: FieldSchema, content: Uint8Array): Generator<void> {
    const offset = content.byteOffset - this.#bytes.byteOffset;
    const limit = offset + content.length;
    let count = 0;
    let from = 0; // of the run that is still to be copied
    let to = 0;
    for (let at = 0; at < content.length; ) {
      const found = fieldAt(content, at);
      if (++count % STEP_FIELDS === 0) yield;
      if (found.number === field.number) {
        const isCanonical = this.#isCanonical(field, offset + at, limit, offset + found.end);
        if (!isCanonical || to !== at) {
          this.out.raw(content.subarray(from, to));
          from = isCanonical ? at : found.end;
        }
        to = found.end;
        if (!isCanonical) this.#nested(field, content.subarray(found.at, found.end), 0);
      }
      at = found.end;
    }
    this.out.raw(content.subarray(from, to));
  }

  /** Whether the indexer takes the field at `p` as it is, and finds its end at `stop`. */
  #isCanonical(field: FieldSchema, p: number, end: number, stop: number): boolean {
    const s = this.#scan;
    if (s.bytes[p] !== ((field.number << 3) | 2) || s.sized(p + 1, end) !== stop) return false;
    s.top = 0;
    if (field.message === "LogRecord") return logRecord(s, s.at, stop);
    return field.message === "Span" ? span(s, s.at, stop) : metric(s, s.at, stop);
  }

  /** Whether a KeyValue can be copied: most are sound in items that are not. */
  #isCanonicalPair(content: Uint8Array, depth: number): boolean {
    const bytes = this.#bytes;
    const at = content.byteOffset - bytes.byteOffset;
    if (content.buffer !== bytes.buffer || at < 0 || at + content.length > bytes.length)
      return false; // merged parts
    return isKeyValue(this.#scan, at, at + content.length, depth) && isUtf8(content);
  }

  /** Writes the message `content`. `depth`: AnyValues around it. */
  message(name: string, content: Uint8Array, depth: number): void {
    const fields = fieldsOf(name);
    const last: Field[] = []; // by field number; OTLP's known ones are below 32
    let repeats = 0; // a bit per field number
    const chosen = new Map<string, number>();
    let hasUnknown = false;
    for (let at = 0; at < content.length; ) {
      const found = fieldAt(content, at);
      at = found.end;
      const known = fieldOf(fields, found.number);
      if (known === undefined) {
        hasUnknown = true;
        continue;
      }
      check(name, known, found);
      if (last[known.number] !== undefined) repeats |= 1 << known.number;
      last[known.number] = found;
      if (known.oneof !== "") chosen.set(known.oneof, known.number);
    }
    if (name === "KeyValue" && last[1] === undefined) this.out.data(0x0a, new Uint8Array(0));
    for (const field of fields) {
      const found = last[field.number];
      if (found === undefined) continue;
      if (field.name.endsWith("Strindex")) continue; // indexes into nothing
      if (field.oneof !== "" && chosen.get(field.oneof) !== field.number) continue;
      if (field.isRepeated) this.#repeated(field, content, depth);
      else if ((repeats >>> field.number) & 1) this.#singular(field, fields, content, depth);
      else this.#value(field, content, found, depth);
    }
    if (hasUnknown && name !== "AnyValue") this.#unknown(fields, content);
  }

  #repeated(field: FieldSchema, content: Uint8Array, depth: number): void {
    const { out } = this;
    if (wireTypeOf(field.type) === 2) {
      for (let at = 0; at < content.length; ) {
        const found = fieldAt(content, at);
        at = found.end;
        if (found.number === field.number) this.#value(field, content, found, depth);
      }
      return;
    }
    out.open((field.number << 3) | 2);
    for (const found of walk(content)) {
      if (found.number !== field.number) continue;
      if (found.wireType === 2) packed(field, content, found, out);
      else scalar(field, content, found, out);
    }
    out.close();
  }

  #singular(
    field: FieldSchema,
    fields: readonly FieldSchema[],
    content: Uint8Array,
    depth: number,
  ): void {
    let last: Field | undefined;
    let parts: Uint8Array[] = [];
    for (const found of walk(content)) {
      if (found.number === field.number) {
        last = found;
        if (field.type === "message") parts.push(content.subarray(found.at, found.end));
      } else if (field.oneof !== "" && isSibling(fields, field, found.number)) parts = [];
    }
    if (last === undefined) return;
    if (parts.length > 1) this.#nested(field, Buffer.concat(parts), depth);
    else this.#value(field, content, last, depth);
  }

  /** One value of a field that is not packed. */
  #value(field: FieldSchema, content: Uint8Array, found: Field, depth: number): void {
    const type = wireTypeOf(field.type);
    if (type === 2) {
      this.#nested(field, content.subarray(found.at, found.end), depth);
      return;
    }
    this.out.varint((field.number << 3) | type);
    scalar(field, content, found, this.out);
  }

  /** A text, bytes or message field. Entity references are kept as they are: nothing here reads them. */
  #nested(field: FieldSchema, content: Uint8Array, depth: number): void {
    const { out } = this;
    const tag = (field.number << 3) | 2;
    if (field.type === "string") {
      if (isUtf8(content)) out.data(tag, content);
      else out.text(tag, new TextDecoder("utf-8", { ignoreBOM: true }).decode(content));
    } else if (field.type === "bytes") {
      const size = idSizeOf(field.name);
      if (size > 0 && content.length > 0 && content.length !== size)
        throw new CutOut(`${field.name} has ${content.length} bytes instead of ${size}`);
      out.data(tag, content);
    } else if (field.message === "EntityRef") out.data(tag, content);
    else if (ITEMS.has(field.message)) this.#item(tag, field, content);
    else if (field.message === "KeyValue" && this.#isCanonicalPair(content, depth))
      out.data(tag, content);
    else {
      const inner = field.message === "AnyValue" ? depth + 1 : depth;
      if (inner > MAX_DEPTH) throw new CutOut(`values are nested deeper than ${MAX_DEPTH}`);
      out.open(tag);
      this.message(field.message, content, inner);
      out.close();
    }
  }

  #item(tag: number, field: FieldSchema, content: Uint8Array): void {
    const { out } = this;
    const before = out.length;
    try {
      out.open(tag, 2);
      this.message(field.message, content, 0);
      out.close();
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      out.rewind(before);
      this.rejected++;
      if (this.why === "") this.why = `${field.message}: ${error.message}`;
    }
  }

  #unknown(fields: readonly FieldSchema[], content: Uint8Array): void {
    for (const found of walk(content)) {
      if (found.number >= KEPT_FIELDS) continue;
      if (fields.some((one) => one.number === found.number)) continue;
      this.out.varint(((found.number << 3) | found.wireType) >>> 0);
      if (found.wireType === 2) this.out.varint(found.end - found.at);
      this.out.raw(content.subarray(found.at, found.end));
    }
  }
}

function* walk(content: Uint8Array): Generator<Field> {
  for (let at = 0; at < content.length; ) {
    const field = fieldAt(content, at);
    yield field;
    at = field.end;
  }
}

function fieldOf(fields: readonly FieldSchema[], number: number): FieldSchema | undefined {
  for (const field of fields) if (field.number === number) return field;
  return undefined;
}

/** A known field with a wire type that is not its own is malformed; numbers of a repeated field may stand alone or packed. */
function check(message: string, known: FieldSchema, found: Field): void {
  const own = wireTypeOf(known.type);
  if (found.wireType === own || (known.isRepeated && found.wireType === 2)) return;
  throw new Malformed(`${message}.${known.name} has wire type ${found.wireType} instead of ${own}`);
}

function isSibling(fields: readonly FieldSchema[], field: FieldSchema, number: number): boolean {
  return fields.some((one) => one.number === number && one.oneof === field.oneof);
}

/** One number without its tag. Varints become minimal, and lose bits that 64 do not hold. */
function scalar(field: FieldSchema, content: Uint8Array, found: Field, out: ProtoWriter): void {
  if (wireTypeOf(field.type) === 0) out.varint64(varintAt(content, found.at, found.end));
  else out.raw(content.subarray(found.at, found.end));
}

function packed(field: FieldSchema, content: Uint8Array, found: Field, out: ProtoWriter): void {
  if (wireTypeOf(field.type) === 1) {
    if ((found.end - found.at) % 8 !== 0)
      throw new Malformed(`${field.name} has ${found.end - found.at} bytes, no multiple of 8`);
    out.raw(content.subarray(found.at, found.end));
    return;
  }
  for (let at = found.at; at < found.end; ) {
    let end = at;
    while (end < found.end && content[end]! > 127) end++;
    if (end === found.end || end - at > 9)
      throw new Malformed(`${field.name} ends within a number, or has one of more than 10 bytes`);
    out.varint64(varintAt(content, at, end + 1));
    at = end + 1;
  }
}

function varintAt(content: Uint8Array, at: number, end: number): bigint {
  if (end - at === 1) return BigInt(content[at]!);
  let value = 0n;
  for (let p = end - 1; p >= at; p--) value = (value << 7n) | BigInt(content[p]! & 127);
  return BigInt.asUintN(64, value);
}
