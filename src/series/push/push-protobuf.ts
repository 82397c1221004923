import { PipelineError } from "../../otlp/status.ts";
import type { RecordDoor } from "../records/record-door.ts";
import { LabelError, LabelText } from "./label-text.ts";
import type { PushEntries } from "./push-entries.ts";

const Wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;
/** Tags of LabelPairAdapter. */
const NAME = 0x0a;
const VALUE = 0x12;
const VARINT_MAX = 10;
const WORD = 4_294_967_296;
const NANOS = 1_000_000_000;

type Field = readonly [name: string, wire: number];

/** A message, for errors, and its fields by number. */
interface Shape {
  readonly name: string;
  readonly fields: readonly (Field | undefined)[];
  /** Bits of the fields that have a length. */
  readonly texts: number;
}

function shapeOf(name: string, ...fields: readonly Field[]): Shape {
  const bit = ([, wire]: Field, i: number) => (wire === Wire.bytes ? 2 << i : 0);
  const texts = fields.reduce((sum, field, i) => sum | bit(field, i), 0);
  return { name, fields: [undefined, ...fields], texts };
}

/** logproto of Loki: pkg/push/push.proto. */
const PUSH = shapeOf("PushRequest", ["Streams", Wire.bytes], ["Format", Wire.bytes]);
const STREAM = shapeOf(
  "StreamAdapter",
  ["Labels", Wire.bytes],
  ["Entries", Wire.bytes],
  ["Hash", Wire.varint],
);
const ENTRY = shapeOf(
  "EntryAdapter",
  ["Timestamp", Wire.bytes],
  ["Line", Wire.bytes],
  ["StructuredMetadata", Wire.bytes],
  ["Parsed", Wire.bytes],
);
const TIMESTAMP = shapeOf("Timestamp", ["Seconds", Wire.varint], ["Nanos", Wire.varint]);
const PAIR = shapeOf("LabelPairAdapter", ["Name", Wire.bytes], ["Value", Wire.bytes]);

/**
 * A PushRequest in protobuf, after snappy, given to a door entry by entry, without an object or string per entry. What is no protobuf, or has
 * labels that cannot be read, is refused as a whole, in Loki's words.
 */
export class PushProtobuf {
  readonly #entries: PushEntries;
  readonly #labels: LabelText;
  #memory: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(this.#memory.buffer);
  #end = 0;
  /** Where to read on: in the request, and in the stream that is open until `#streamEnd`. */
  #p = 0;
  #streamAt = 0;
  #streamEnd = 0;
  // The field that was read last.
  #field = 0;
  #at = 0;
  #to = 0;
  // The varint that was read last.
  #low = 0;
  #high = 0;

  constructor(entries: PushEntries) {
    this.#entries = entries;
    this.#labels = new LabelText(entries.labels);
  }

  /** The next request is `memory[0, length)`; SLACK bytes behind it are readable. */
  begin(memory: Uint8Array, length: number): void {
    this.#memory = memory;
    this.#view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
    this.#end = length;
    this.#p = this.#streamAt = this.#streamEnd = 0;
  }

  /** Gives the door about the next `size` bytes; false when there are no more. */
  fill(door: RecordDoor, size: number): boolean {
    const entries = this.#entries;
    entries.beginStep(door, size === Number.POSITIVE_INFINITY);
    const stop = (this.#streamAt < this.#streamEnd ? this.#streamAt : this.#p) + size;
    for (;;) {
      while (this.#streamAt < this.#streamEnd) {
        if (this.#streamAt >= stop || entries.isFull(door)) return true;
        this.#streamAt = this.#read(STREAM, this.#streamAt, this.#streamEnd);
        if (this.#field === 2) this.#entry(door, this.#at, this.#to);
      }
      if (this.#p >= this.#end) return false;
      if (this.#p >= stop) return true;
      this.#p = this.#read(PUSH, this.#p, this.#end);
      if (this.#field === 1) this.#open(this.#at, this.#to);
    }
  }

  /** The labels may stand behind the entries: they are looked for first. */
  #open(from: number, end: number): void {
    const { labels } = this.#entries;
    let at = from;
    let to = from;
    for (let p = from; p < end; ) {
      p = this.#read(STREAM, p, end);
      if (this.#field !== 1) continue;
      at = this.#at;
      to = this.#to;
    }
    labels.clear();
    try {
      this.#labels.read(this.#memory, at, to);
    } catch (reason) {
      if (!(reason instanceof LabelError)) throw reason;
      throw refused(`couldn't parse labels: ${reason.message}`);
    }
    this.#entries.openStream(false);
    this.#streamAt = from;
    this.#streamEnd = end;
  }

  #entry(door: RecordDoor, from: number, end: number): void {
    const entries = this.#entries;
    entries.begin(door);
    let line = from;
    let lineEnd = from;
    for (let p = from; p < end; ) {
      p = this.#read(ENTRY, p, end);
      if (this.#field === 2) {
        line = this.#at;
        lineEnd = this.#to;
      } else if (this.#field === 1) this.#time(this.#at, this.#to);
      else if (this.#field === 3) this.#pair(door, this.#at, this.#to);
    }
    entries.end(door, this.#view, line, lineEnd);
  }

  #time(from: number, end: number): void {
    let seconds = 0;
    let nanos = 0;
    for (let p = from; p < end; ) {
      p = this.#read(TIMESTAMP, p, end);
      if (this.#field === 1) seconds = (this.#high | 0) * WORD + (this.#low >>> 0);
      else if (this.#field === 2) nanos = this.#low | 0;
    }
    if (nanos < 0 || nanos >= NANOS) throw refused("timestamp: nanos not in range [0, 1e9)");
    this.#entries.time.set(seconds, nanos);
  }

  #pair(door: RecordDoor, from: number, end: number): void {
    const memory = this.#memory;
    const length = memory[from + 1]!;
    const behind = from + 2 + length;
    // Nearly all: a short name, then a short value, and nothing else.
    if (
      memory[from] === NAME &&
      length < 128 &&
      behind + 2 <= end &&
      memory[behind] === VALUE &&
      memory[behind + 1]! < 128 &&
      behind + 2 + memory[behind + 1]! === end
    ) {
      const valueLength = end - behind - 2;
      this.#entries.metadata(door, this.#view, from + 2, length, behind + 2, valueLength);
      return;
    }
    this.#anyPair(door, from, end);
  }

  #anyPair(door: RecordDoor, from: number, end: number): void {
    let name = from;
    let nameEnd = from;
    let value = from;
    let valueEnd = from;
    for (let p = from; p < end; ) {
      p = this.#read(PAIR, p, end);
      if (this.#field === 1) {
        name = this.#at;
        nameEnd = this.#to;
      } else if (this.#field === 2) {
        value = this.#at;
        valueEnd = this.#to;
      }
    }
    this.#entries.metadata(door, this.#view, name, nameEnd - name, value, valueEnd - value);
  }

  /** Reads the field at `p`, which ends at `end` at the latest; gives the place behind it. Of one that the shape has not, 0 is the number. */
  #read(shape: Shape, p: number, end: number): number {
    const memory = this.#memory;
    const tag = memory[p]!;
    const length = memory[p + 1]!;
    // Nearly all: a text or message of less than 128 bytes that the shape has. Behind the end there is slack to look at.
    if (
      (tag & 0x87) === Wire.bytes &&
      length < 128 &&
      (shape.texts & (1 << (tag >>> 3))) !== 0 &&
      p + 2 + length <= end
    ) {
      this.#field = tag >>> 3;
      this.#at = p + 2;
      this.#to = p + 2 + length;
      return this.#to;
    }
    return this.#readAny(shape, p, end);
  }

  #readAny(shape: Shape, p: number, end: number): number {
    p = this.#varint(p, end);
    const wire = this.#low & 7;
    const field = (this.#low >>> 3) | (this.#high << 29);
    if (field <= 0 || wire === 4) throw strange(shape, field, wire);
    const known = shape.fields[field];
    if (known !== undefined && known[1] !== wire)
      throw refused(`proto: wrong wireType = ${wire} for field ${known[0]}`);
    this.#field = known === undefined ? 0 : field;
    if (wire === Wire.bytes) {
      p = this.#varint(p, end);
      const length = this.#low;
      if (this.#high !== 0 || length < 0) throw refused(tooLong(this.#high));
      if (length > end - p) throw refused("unexpected EOF");
      this.#at = p;
      this.#to = p + length;
      return this.#to;
    }
    if (wire === Wire.varint) return this.#varint(p, end);
    const size = wire === Wire.fixed64 ? 8 : wire === Wire.fixed32 ? 4 : 0;
    if (size === 0) throw refused(`proto: illegal wireType ${wire}`);
    if (size > end - p) throw refused("unexpected EOF");
    return p + size;
  }

  /** Into `#low` and `#high`; gives the place behind it. */
  #varint(p: number, end: number): number {
    const memory = this.#memory;
    if (p >= end) throw refused("unexpected EOF");
    let byte = memory[p++]!;
    this.#low = byte;
    this.#high = 0;
    if (byte < 128) return p;
    this.#low = byte & 127;
    for (let n = 1; n < VARINT_MAX; n++) {
      if (p >= end) throw refused("unexpected EOF");
      byte = memory[p++]!;
      const bits = byte & 127;
      if (n < 5) this.#low |= bits << (7 * n);
      if (n === 4) this.#high = bits >>> 4;
      else if (n > 4) this.#high |= bits << (7 * n - 32);
      if (byte < 128) return p;
    }
    throw refused("proto: integer overflow");
  }
}

function tooLong(high: number): string {
  return (high | 0) < 0 ? "proto: negative length found during unmarshaling" : "unexpected EOF";
}

function strange({ name }: Shape, field: number, wire: number): PipelineError {
  return refused(
    wire === 4
      ? `proto: ${name}: wiretype end group for non-group`
      : `proto: ${name}: illegal tag ${field} (wire type ${wire})`,
  );
}

/** Nothing of the request is taken. */
export function refused(why: string): PipelineError {
  return new PipelineError({ kind: "invalid", retryAfterMs: 0, why });
}
