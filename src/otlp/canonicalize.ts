import { isUtf8 } from "node:buffer";
import { ProtoWriter, varintSize } from "./build.ts";
import { Merger, packed, Survey, scalar, unknown } from "./canonical-fields.ts";
import { type Canonical, CutOut, type Field, fieldAt, Malformed } from "./fields.ts";
import { isKeyValue } from "./index-attributes.ts";
import { LARGE, largeUnit } from "./index-large.ts";
import { logRecord } from "./index-logs.ts";
import { metric, point } from "./index-points.ts";
import { span } from "./index-spans.ts";
import { MAX_DEPTH, type Scan } from "./scan.ts";
import { type FieldSchema, fieldsOf, idSizeOf, wireTypeOf } from "./schema.ts";
import { MetricType, type Signal } from "./tape.ts";

const REQUEST: Readonly<Record<Signal, string>> = {
  logs: "ExportLogsServiceRequest",
  metrics: "ExportMetricsServiceRequest",
  traces: "ExportTraceServiceRequest",
};
/** What the indexer can judge alone: copied as it is where it is canonical. */
const UNITS: Readonly<Record<string, (s: Scan, p: number, end: number) => boolean>> = {
  LogRecord: logRecord,
  Span: span,
  Metric: metric,
  NumberDataPoint: (s, p, end) => point(s, MetricType.gauge, p, end),
  HistogramDataPoint: (s, p, end) => point(s, MetricType.histogram, p, end),
  ExponentialHistogramDataPoint: (s, p, end) => point(s, MetricType.exponentialHistogram, p, end),
  SummaryDataPoint: (s, p, end) => point(s, MetricType.summary, p, end),
};
/** Items, that is all of them but Metric, are cut out when bad, where everything around them is sound. */
const isItem = (message: string) => message !== "Metric" && UNITS[message] !== undefined;
/** Tape that a unit may have to be judged by the indexer; larger ones are re-encoded (ints). */
const JUDGED_INTS = 1 << 20;
/** A KeyValue of more bytes is not judged, but re-encoded at once: judging it at each level of nesting would take too long. */
const JUDGED_PAIR = 256;
const NO_BYTES = new Uint8Array(0);
/** Bytes of a step, and bytes copied in one. */
const STEP = 32 * 1024;
const COPY = 1 << 20;
/** A text byte that is not UTF-8 becomes three; nothing grows more. Memory for that much is only used where it is written. */
const MOST_GROWTH = 3;
/** Memory of merged parts at a time: per byte of request, or so much. Parts in parts, 64 levels deep, would take 64 times its bytes. */
const MERGED_RATIO = 2;
const MERGED_FLOOR = MAX_DEPTH * LARGE;

/** Lets the event loop turn if it is time. */
export type Breathe = (isDue?: boolean) => Promise<void>;
type Steps<T = void> = Generator<void, T>;

/**
 * Re-encodes any valid OTLP request into the one shape that indexer and writers assume: known fields in order of their numbers, each
 * singular one once (the last, or all merged), numbers packed, key before value, resource before scopes, unknown fields last
 * (none in an AnyValue, and no groups), text in valid UTF-8 (U+FFFD for what is not). Items in that shape are copied as they are. Bad items are
 * left out and counted; where no item can be cut out, the request is refused. Slow and exact: it also is the judge of what is bad.
 * `scan` is only borrowed.
 */
export function canonicalize(
  scan: Scan,
  signal: Signal,
  bytes: Uint8Array,
  length: number,
): Canonical {
  const pass = new Pass(scan, signal, bytes, length);
  try {
    for (const _ of pass.run());
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
  const pass = new Pass(scan, signal, bytes, length);
  try {
    for (const _ of pass.run()) await breathe();
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

interface Place {
  readonly name: string;
  index: number;
}

/** Messages up to LARGE bytes are re-encoded at once (`#message`), larger ones in steps (`#steps`). */
class Pass {
  readonly #out: ProtoWriter;
  #rejected = 0;
  #why = "";
  readonly #scan: Scan;
  readonly #signal: Signal;
  readonly #bytes: Uint8Array;
  readonly #length: number;
  #merged = 0;
  /** The repeated fields that what is being written stands in, with the number of the value in each. */
  readonly #places: Place[] = [];

  constructor(scan: Scan, signal: Signal, bytes: Uint8Array, length: number) {
    this.#out = new ProtoWriter((length > LARGE ? length * MOST_GROWTH : length) + 1024);
    this.#scan = scan;
    this.#signal = signal;
    this.#bytes = bytes;
    this.#length = length;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    scan.begin(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length), view, JUDGED_INTS);
    scan.largest = LARGE;
  }

  run(): Steps {
    return this.#steps(REQUEST[this.#signal], this.#bytes.subarray(0, this.#length), 0);
  }

  result(): Canonical {
    const { bytes, length } = this.#out;
    return { bytes, length, rejected: this.#rejected, why: this.#why };
  }

  /** Writes the message `content`. `depth`: AnyValues around it. */
  #message(name: string, content: Uint8Array, depth: number): void {
    const fields = fieldsOf(name);
    const survey = new Survey(name, fields);
    survey.take(content, 0, content.length);
    this.#missingKey(name, survey);
    for (const field of fields) {
      const last = survey.lastOf(field);
      if (last === undefined) continue;
      if (field.isRepeated) this.#repeated(field, content, depth);
      else if (survey.isParted(field)) {
        const merger = this.#merger(field, fields, content);
        try {
          merger.take(content, 0, content.length);
          this.#nested(field, merger.merged, depth);
        } finally {
          this.#merged -= content.length;
        }
      } else this.#value(field, content, last, depth);
    }
    if (survey.hasUnknown && name !== "AnyValue")
      unknown(fields, content, 0, content.length, this.#out);
  }

  /** The same in steps. */
  *#steps(name: string, content: Uint8Array, depth: number): Steps {
    const fields = fieldsOf(name);
    const survey = new Survey(name, fields);
    yield* eachStep(content, (at, until) => survey.take(content, at, until));
    this.#missingKey(name, survey);
    for (const field of fields) {
      const last = survey.lastOf(field);
      if (last === undefined) continue;
      if (field.isRepeated) yield* this.#repeatedSteps(field, content, depth);
      else if (survey.isParted(field)) {
        const merger = this.#merger(field, fields, content);
        try {
          yield* eachStep(content, (at, until) => merger.take(content, at, until));
          yield* this.#nestedSteps(field, merger.merged, depth);
        } finally {
          this.#merged -= content.length;
        }
      } else if (wireTypeOf(field.type) === 2)
        yield* this.#nestedSteps(field, content.subarray(last.at, last.end), depth);
      else this.#value(field, content, last, depth);
    }
    if (survey.hasUnknown && name !== "AnyValue")
      yield* eachStep(content, (at, until) => unknown(fields, content, at, until, this.#out));
  }

  #missingKey(name: string, survey: Survey): void {
    if (name === "KeyValue" && survey.last[1] === undefined) this.#out.data(0x0a, NO_BYTES);
  }

  #merger(field: FieldSchema, fields: readonly FieldSchema[], content: Uint8Array): Merger {
    const most = Math.max(this.#length * MERGED_RATIO, MERGED_FLOOR);
    if (this.#merged + content.length > most)
      throw new CutOut(`${field.name} comes in parts of parts of parts: too much to merge`);
    this.#merged += content.length;
    return new Merger(field, fields, content);
  }

  #repeated(field: FieldSchema, content: Uint8Array, depth: number): void {
    const { out, isPacked, place } = this.#beginRepeated(field);
    for (let at = 0; at < content.length; ) {
      const found = fieldAt(content, at);
      at = found.end;
      if (found.number !== field.number) continue;
      place.index++;
      if (!isPacked) this.#value(field, content, found, depth);
      else if (found.wireType !== 2) scalar(field, content, found, out);
      else packed(field, content, found.at, found.end, found.end, out);
    }
    if (isPacked) out.close();
    this.#places.pop();
  }

  *#repeatedSteps(field: FieldSchema, content: Uint8Array, depth: number): Steps {
    const { out, isPacked, place } = this.#beginRepeated(field);
    let due = STEP;
    for (let at = 0; at < content.length; ) {
      const found = fieldAt(content, at);
      at = found.end;
      if (found.number === field.number) {
        place.index++;
        const isLarge = found.end - found.at > LARGE;
        if (!isPacked && isLarge)
          yield* this.#nestedSteps(field, content.subarray(found.at, found.end), depth);
        else if (!isPacked) this.#value(field, content, found, depth);
        else if (found.wireType !== 2) scalar(field, content, found, out);
        else
          for (let p = found.at; p < found.end; yield)
            p = packed(field, content, p, found.end, Math.min(p + STEP, found.end), out);
      }
      if (at < due) continue;
      yield;
      due = at + STEP;
    }
    if (isPacked) out.close();
    this.#places.pop();
  }

  /** Numbers of a repeated field become one packed field. */
  #beginRepeated(field: FieldSchema) {
    const isPacked = wireTypeOf(field.type) !== 2;
    if (isPacked) this.#out.open((field.number << 3) | 2);
    const place: Place = { name: field.name, index: -1 };
    this.#places.push(place);
    return { out: this.#out, isPacked, place };
  }

  /** One value of a field that is not packed. */
  #value(field: FieldSchema, content: Uint8Array, found: Field, depth: number): void {
    const type = wireTypeOf(field.type);
    if (type === 2) {
      this.#nested(field, content.subarray(found.at, found.end), depth);
      return;
    }
    this.#out.varint((field.number << 3) | type);
    scalar(field, content, found, this.#out);
  }

  /** A text, bytes or message field. */
  #nested(field: FieldSchema, content: Uint8Array, depth: number): void {
    const out = this.#out;
    const tag = (field.number << 3) | 2;
    if (this.#isKept(field, content, depth)) out.data(tag, content);
    else if (field.type === "string")
      out.text(tag, new TextDecoder("utf-8", { ignoreBOM: true }).decode(content));
    else {
      const before = out.length;
      const places = this.#places.length;
      try {
        out.open(tag, isItem(field.message) ? 2 : 1);
        this.#message(field.message, content, deeper(field, depth));
        out.close();
      } catch (error) {
        this.#cutOut(field, before, places, error);
      }
    }
  }

  /** The same in steps. */
  *#nestedSteps(field: FieldSchema, content: Uint8Array, depth: number): Steps {
    if (content.length <= LARGE) return this.#nested(field, content, depth);
    const out = this.#out;
    const tag = (field.number << 3) | 2;
    if (this.#isKept(field, content, depth) || (yield* this.#isLargeUnit(field, content))) {
      out.varint(tag);
      out.varint(content.length);
      for (let at = 0; at < content.length; at += COPY, yield)
        out.raw(content.subarray(at, at + COPY));
      return;
    }
    const before = out.length;
    const places = this.#places.length;
    out.open(tag, varintSize(content.length));
    if (field.type === "string") yield* this.#textSteps(content);
    else
      try {
        yield* this.#steps(field.message, content, deeper(field, depth));
      } catch (error) {
        return this.#cutOut(field, before, places, error);
      }
    out.close();
  }

  /** Text that is not UTF-8. */
  *#textSteps(content: Uint8Array): Steps {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const encoder = new TextEncoder();
    for (let at = 0; at < content.length; at += STEP, yield) {
      const piece = content.subarray(at, at + STEP);
      const stream = at + STEP < content.length;
      this.#out.raw(encoder.encode(decoder.decode(piece, { stream })));
    }
  }

  /** Whether the payload of a field can be copied as it is. Entity references are: nothing here reads them. */
  #isKept(field: FieldSchema, content: Uint8Array, depth: number): boolean {
    if (field.type === "string") return isUtf8(content);
    if (field.type === "bytes") {
      const size = idSizeOf(field.name);
      if (size > 0 && content.length > 0 && content.length !== size)
        throw new CutOut(`${field.name} has ${content.length} bytes instead of ${size}`);
      return true;
    }
    if (field.message === "EntityRef") return true;
    const at = this.#positionOf(content);
    if (at < 0 || content.length > LARGE) return false;
    const end = at + content.length;
    if (field.message === "KeyValue")
      // Most are sound in items that are not.
      return (
        content.length <= JUDGED_PAIR && isKeyValue(this.#scan, at, end, depth) && isUtf8(content)
      );
    this.#scan.top = 0;
    return UNITS[field.message]?.(this.#scan, at, end) === true;
  }

  /** Whether a record, span or metric that is large can be copied as it is. */
  *#isLargeUnit({ message }: FieldSchema, content: Uint8Array): Steps<boolean> {
    const at = this.#positionOf(content);
    if (at < 0 || (message !== "LogRecord" && message !== "Span" && message !== "Metric"))
      return false;
    this.#scan.top = 0;
    this.#scan.later.length = 0;
    const steps = largeUnit(this.#scan, this.#signal, at, at + content.length);
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
      yield;
    }
  }

  /** Where `content` stands in the request, or -1 for merged parts. */
  #positionOf(content: Uint8Array): number {
    return content.buffer === this.#bytes.buffer ? content.byteOffset - this.#bytes.byteOffset : -1;
  }

  /** Leaves out a bad item, whose field began at `before`, in `places` places; whatever else is bad goes up to the item or request around it. */
  #cutOut({ message }: FieldSchema, before: number, places: number, error: unknown): void {
    if (!isItem(message) || !(error instanceof Malformed)) throw error;
    this.#out.rewind(before);
    this.#places.length = places;
    this.#rejected++;
    if (this.#why !== "") return;
    const where = this.#places.map(({ name, index }) => `${name}[${index}]`).join(".");
    this.#why = `${where}: ${error.message}`;
  }
}

/** Calls `take` with places and limits until all of `content` is taken. */
function* eachStep(content: Uint8Array, take: (at: number, until: number) => number): Steps {
  for (let at = 0; at < content.length; yield) at = take(at, Math.min(at + STEP, content.length));
}

/** AnyValues around what is in this field. */
function deeper({ message }: FieldSchema, depth: number): number {
  if (message !== "AnyValue") return depth;
  if (depth === MAX_DEPTH) throw new CutOut(`values are nested deeper than ${MAX_DEPTH}`);
  return depth + 1;
}
