import type { Batch } from "../../otlp/batch.ts";
import { varintSize } from "../../otlp/build.ts";
import type { KeyId, Keys } from "../../otlp/keys.ts";
import {
  AnyValue,
  KeyValue,
  LogRecord,
  ResourceSpans,
  ScopeSpans,
  Span,
  Status,
} from "../../otlp/tags.gen.ts";
import { ENTRY, Group, ITEM_HEADER, Item, Kind, Log, LogFlags, NodeType } from "../../otlp/tape.ts";
import { JsonWriter } from "../../otlp/value-json.ts";
import type { SpanPart, Table } from "../tables/tables.ts";
import { type Constant, constant, madeMark } from "./door-marks.ts";
import { DoorOutput } from "./door-output.ts";

const TWO_32 = 4_294_967_296;
/** Longest message of the request: lengths have at most 28 bits. */
const GROUP_BOUND = (1 << 28) - 1;
/** Beside what a span has of its record: times, ids, marks and the lengths of messages. */
const SPAN_ROOM = 256;
const SERVER = 2;
const ERROR = 2;
const ERROR_SEVERITY = 17;
/** Nanoseconds of one unit of a column that a span's duration fills. */
const NANOS: { readonly [P in SpanPart]?: number } = {
  duration_ms: 1e6,
  duration_whole_ms: 1e6,
  duration_s: 1e9,
  duration_ns: 1,
};
const ID_SEEDS = [0x811c9dc5, 0x9e3779b9, 0x85ebca6b, 0xc2b2ae35] as const;
const ID_PRIMES = [0x01000193, 0x5bd1e995, 0x1b873593, 0xcc9e2d51] as const;

/** A table whose lines become spans. */
interface SpanShape {
  /** The column with the duration, and nanoseconds of its unit. */
  readonly duration: { readonly key: KeyId; readonly nanos: number } | undefined;
  /** Name and key of the attribute that the record's body becomes. */
  readonly body: { readonly name: Constant; readonly key: KeyId } | undefined;
}

/** What is left of a batch, and its spans as the bytes of a traces request with SLACK behind `length`. */
export interface LineSplit {
  readonly rest: Batch<"logs"> | undefined;
  readonly bytes: Uint8Array;
  readonly length: number;
}

/**
 * Log records that the door made of lines → spans (mapping §6): of kind SERVER, named as their table, from the line's time to that and its
 * duration. The attributes stay, the body becomes the attribute of its column, and ids that the line lacks are made from its content,
 * which the attributes `weir.trace_id` and `weir.span_id` say, so that the span becomes the same row again. Not for the hot path.
 */
export class LineSpans {
  readonly #shapes: ReadonlyMap<string, SpanShape>;
  readonly #marks: readonly Constant[];
  readonly #out = new DoorOutput();
  readonly #json = new JsonWriter();
  readonly #id = constant(new Uint8Array(16));

  /** `tables`: those whose lines become spans. */
  constructor(tables: readonly Table[], keys: Keys) {
    this.#shapes = new Map(
      tables.map((table) => [table.measurement, shapeOf(table, keys)] as const),
    );
    this.#marks = [
      madeMark("weir.trace_id", Span.attributes),
      madeMark("weir.span_id", Span.attributes),
    ];
  }

  /** Takes the records of these tables out of a batch; undefined: there are none. */
  split(batch: Batch<"logs">): LineSplit | undefined {
    const { tape, items } = batch;
    const isSpan = new Uint8Array(items);
    let spans = 0;
    let group = -1;
    let scope = 0;
    let resource = 0;
    const out = this.#out;
    this.#json.reset(batch.bytes, batch.view);
    for (let at = 0, item = 0; at < tape.length; at += tape[at]! >>> 2) {
      if ((tape[at]! & 3) !== NodeType.item) continue;
      const shape = this.#shapeOf(batch, at);
      if (shape !== undefined) {
        if (tape[at + Item.group] !== group) {
          this.#close(resource, scope);
          group = tape[at + Item.group]!;
          resource = this.#open(batch, group);
          scope = out.length;
        }
        this.#span(batch, at, shape);
        isSpan[item] = 1;
        spans++;
      }
      item++;
    }
    if (spans === 0) return undefined;
    this.#close(resource, scope);
    const length = out.length;
    return {
      rest: spans === items ? undefined : without(batch, isSpan),
      bytes: out.take(),
      length,
    };
  }

  /** undefined: the record stays one. */
  #shapeOf({ bytes, tape }: Batch, at: number): SpanShape | undefined {
    const from = tape[at + Log.eventNameAt]!;
    const end = tape[at + Log.eventNameEnd]!;
    if (from < 0 || end <= from) return undefined;
    const shape = this.#shapes.get(Buffer.from(bytes.subarray(from, end)).toString());
    const bodyKind = tape[at + Item.flags]! & LogFlags.bodyKindMask;
    if (shape?.body === undefined || bodyKind === Kind.none) return shape;
    // A body that no attribute can hold: of a line it is text, and no tag of the line has the name.
    if (bodyKind !== Kind.text || hasKey(tape, at, shape.body.key)) return undefined;
    return shape;
  }

  /** Opens ResourceSpans with its resource, and ScopeSpans; returns where the content of the first begins. */
  #open({ view, tape }: Batch, group: number): number {
    const out = this.#out;
    const from = tape[group + Group.resourceAt]!;
    const size = from < 0 ? 0 : tape[group + Group.resourceEnd]! - from;
    out.ensure(size + 64);
    out.byte(0x0a); // ExportTraceServiceRequest.resource_spans
    const resource = out.open(GROUP_BOUND);
    if (size > 0) this.#bytes(ResourceSpans.resource, view, from, size);
    out.byte(ResourceSpans.scope_spans);
    out.open(GROUP_BOUND);
    return resource;
  }

  #close(resource: number, scope: number): void {
    if (resource === 0) return;
    this.#out.close(scope, GROUP_BOUND);
    this.#out.close(resource, GROUP_BOUND);
  }

  #span(batch: Batch, at: number, shape: SpanShape): void {
    const { view, tape } = batch;
    const out = this.#out;
    const from = tape[at + Item.at]!;
    const bound = 2 * (tape[at + Item.end]! - from) + SPAN_ROOM;
    out.ensure(2 * bound);
    out.byte(ScopeSpans.spans);
    const content = out.open(bound);
    const name = tape[at + Log.eventNameAt]!;
    this.#bytes(Span.name, view, name, tape[at + Log.eventNameEnd]! - name);
    out.byte(Span.kind);
    out.byte(SERVER);
    this.#times(batch, at, shape);
    this.#attributes(batch, at, shape);
    const severity = (tape[at + Item.flags]! >>> LogFlags.severityShift) & LogFlags.severityMask;
    if (severity >= ERROR_SEVERITY) {
      out.byte(Span.status);
      out.byte(2);
      out.byte(Status.code);
      out.byte(ERROR);
    }
    this.#ids(batch, at, content);
    out.close(content, bound);
  }

  /** The start is the line's time. */
  #times(batch: Batch, at: number, { duration }: SpanShape): void {
    const { view, tape } = batch;
    const time = tape[at + Item.time]!;
    if (time < 0) return;
    const out = this.#out;
    const low = view.getUint32(time, true);
    const high = view.getInt32(time + 4, true);
    out.byte(Span.start_time_unix_nano);
    out.fixed64(low, high);
    const nanos =
      duration === undefined ? 0 : this.#number(batch, at, duration.key) * duration.nanos;
    // What is no duration, or ends after 2262, ends when it starts.
    const span = nanos >= 0 && nanos < 2 ** 62 ? Math.round(nanos) : 0;
    const endLow = low + (span % TWO_32);
    const endHigh = high + Math.floor(span / TWO_32) + (endLow >= TWO_32 ? 1 : 0);
    const isIn = endHigh <= 0x7fffffff;
    out.byte(Span.end_time_unix_nano);
    out.fixed64(isIn ? endLow % TWO_32 : low, isIn ? endHigh : high);
  }

  /** The number in an attribute, the last of its name; NaN where there is none. */
  #number({ view, tape, bytes }: Batch, at: number, key: KeyId): number {
    const first = at + ITEM_HEADER;
    for (let e = first + ENTRY * (tape[at + Item.attributes]! - 1); e >= first; e -= ENTRY) {
      if (tape[e]! >>> 4 !== key) continue;
      const kind = tape[e]! & 15;
      const from = tape[e + 2]!;
      if (kind === Kind.double) return view.getFloat64(from, true);
      if (kind === Kind.text)
        return Number(Buffer.from(bytes.subarray(from, tape[e + 3]!)).toString() || Number.NaN);
      if (kind !== Kind.int) return Number.NaN;
      this.#json.varint(from);
      return this.#json.high * TWO_32 + (this.#json.low >>> 0);
    }
    return Number.NaN;
  }

  /** The body, the marks, then the record's own, of which `weir.tags` or `weir.uint` is the last. */
  #attributes(batch: Batch, at: number, { body }: SpanShape): void {
    const { bytes, view, tape } = batch;
    const out = this.#out;
    const bodyAt = tape[at + Log.bodyAt]!;
    const isText = (tape[at + Item.flags]! & LogFlags.bodyKindMask) === Kind.text;
    if (body !== undefined && isText)
      this.#body(body.name, view, bodyAt, tape[at + Log.bodyEnd]! - bodyAt);
    for (const [i, place] of [Item.trace, Item.span].entries())
      if (tape[at + place]! < 0) this.#constant(this.#marks[i]!);
    const end = tape[at + Item.end]!;
    for (let p = tape[at + Item.at]!; p < end; ) {
      const isAttribute = bytes[p] === LogRecord.attributes;
      p = this.#json.field(p, end);
      if (isAttribute) this.#bytes(Span.attributes, view, this.#json.at, p - this.#json.at);
    }
    out.ensure(SPAN_ROOM);
  }

  #body(name: Constant, view: DataView, from: number, size: number): void {
    const out = this.#out;
    const key = name.length;
    const text = 1 + varintSize(size) + size;
    out.byte(Span.attributes);
    out.varint(1 + varintSize(key) + key + 1 + varintSize(text) + text);
    out.byte(KeyValue.key);
    out.varint(key);
    out.copy(name.view, 0, name.length);
    out.byte(KeyValue.value);
    out.varint(text);
    this.#bytes(AnyValue.string_value, view, from, size);
  }

  /** The record's own, else made from what was written of the span so far: equal lines give equal ids. */
  #ids({ view, tape }: Batch, at: number, content: number): void {
    const out = this.#out;
    const trace = tape[at + Item.trace]!;
    const span = tape[at + Item.span]!;
    if (trace < 0 || span < 0) this.#make(content, out.length);
    if (trace >= 0) this.#bytes(Span.trace_id, view, trace, 16);
    else this.#bytes(Span.trace_id, this.#id.view, 0, 16);
    if (span >= 0) this.#bytes(Span.span_id, view, span, 8);
    else this.#bytes(Span.span_id, this.#id.view, 4, 8);
  }

  /** 128 bits of a hash of the output's bytes [from, end). */
  #make(from: number, end: number): void {
    const { bytes } = this.#out;
    const words = ID_SEEDS.map((seed, i) => {
      let hash: number = seed;
      for (let p = from; p < end; p++) hash = Math.imul(hash ^ bytes[p]!, ID_PRIMES[i]!);
      return mixed(hash);
    });
    // Never all zero, which would be no id.
    for (const [i, word] of words.entries())
      this.#id.view.setUint32(4 * i, word | (i === 1 ? 1 : 0));
  }

  #constant({ view, length }: Constant): void {
    this.#out.copy(view, 0, length);
  }

  #bytes(tag: number, view: DataView, from: number, size: number): void {
    const out = this.#out;
    out.byte(tag);
    out.varint(size);
    out.copy(view, from, size);
  }
}

function hasKey(tape: Int32Array, at: number, key: KeyId): boolean {
  const end = at + (tape[at]! >>> 2);
  for (let e = at + ITEM_HEADER; e < end; e += ENTRY) if (tape[e]! >>> 4 === key) return true;
  return false;
}

function shapeOf(table: Table, keys: Keys): SpanShape {
  const body =
    table.body === undefined
      ? undefined
      : { name: constant(Buffer.from(table.body)), key: keys.id(table.body) };
  for (const { name, sources } of table.columns)
    for (const source of sources) {
      const nanos = source.of === "span" ? NANOS[source.part] : undefined;
      if (nanos !== undefined) return { duration: { key: keys.id(name), nanos }, body };
    }
  return { duration: undefined, body };
}

/** The batch without the items that are marked. */
function without(batch: Batch<"logs">, isSpan: Uint8Array): Batch<"logs"> {
  const draft = batch.draft();
  const { items } = draft;
  let item = 0;
  for (let more = items.first(); more; more = items.next())
    if (isSpan[item++] === 1) items.drop("span");
  return draft.seal();
}

/** The last step of MurmurHash3: every bit of the input changes half of the output. */
function mixed(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
