import { LineText, room, writeString } from "../../line/writer.ts";
import { NanosWriter, NUMBER_MAX } from "../../wire/numbers.ts";
import { SLACK } from "../../wire/slack.ts";

const FIRST = 1 << 12;
const NEWLINE = 10;
const SPACE = 32;
const COMMA = 44;
const MINUS = 45;
const DIGIT_0 = 48;
const DIGIT_9 = 57;
const EQUALS = 61;
const LETTER_I = 105;
/** A whole number that 64 bits may hold. */
const INTEGER = /^-?\d{1,20}$/;
const INT64 = 2n ** 63n;
/** Whole numbers of so many characters are in no danger of being too large. */
const SMALL_DIGITS = 15;

/** Why a point can be no line. */
export class BadPoint extends Error {
  /** What it is written in is damaged, so its end may be another. */
  readonly isDamaged: boolean;
  constructor(message: string, isDamaged = false) {
    super(message);
    this.isDamaged = isDamaged;
  }
}

/** A text in memory of its own, which grows. */
export class ScratchText {
  bytes: Uint8Array = new Uint8Array(FIRST);
  view: DataView = new DataView(this.bytes.buffer);

  /** Makes room for `length` bytes; what was in it is gone. */
  ensure(length: number): void {
    if (length + SLACK <= this.bytes.length) return;
    this.bytes = new Uint8Array(2 * (length + SLACK));
    this.view = new DataView(this.bytes.buffer);
  }

  /** Puts a text in; returns its length. */
  set(text: string): number {
    this.ensure(text.length * 3);
    const { bytes } = this;
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (c > 127) return Buffer.from(bytes.buffer).write(text);
      bytes[i] = c;
    }
    return text.length;
  }
}

/**
 * Points of other formats as lines of line protocol, so that all that follows is the same: begin, measurement, tags, fields, end. Texts
 * are spans of memory with SLACK behind their end; names are strings.
 */
export class PointLines {
  /** The lines, from 0 to `length`, with SLACK behind. Times are in nanoseconds. */
  bytes: Uint8Array = new Uint8Array(FIRST);
  view: DataView = new DataView(this.bytes.buffer);
  length = 0;
  readonly #line = new LineText("v2");
  readonly #nanos = new NanosWriter();
  readonly #name = new ScratchText();
  readonly #value = new ScratchText();
  #start = 0;
  #droppedBefore = 0;
  #hasField = false;

  /** Bytes that names and tags lost so far: control characters, and backslashes at their end. */
  get dropped(): number {
    return this.#line.dropped;
  }

  begin(): void {
    this.#start = this.length;
    this.#droppedBefore = this.#line.dropped;
    this.#hasField = false;
  }

  /** Takes back what was written since `begin`. */
  undo(): void {
    this.length = this.#start;
    this.#line.dropped = this.#droppedBefore;
  }

  measurement(source: DataView, from: number, end: number): void {
    this.#ensure(room(end - from));
    const start = this.length;
    this.length = this.#line.writeMeasurement(this.view, start, source, from, end);
    if (this.length === start) throw new BadPoint('"measurement" is empty');
  }

  measurementText(text: string): void {
    const length = this.#value.set(text);
    this.measurement(this.#value.view, 0, length);
  }

  /** Empty values are left out, as in lines. */
  tag(name: string, source: DataView, from: number, end: number): void {
    const start = this.length;
    this.#byte(COMMA);
    this.#key(name);
    this.#ensure(room(end - from));
    const at = this.length;
    this.length = this.#line.writeTagValue(this.view, at, source, from, end);
    if (this.length === at) this.length = start;
  }

  tagText(name: string, text: string): void {
    const length = this.#value.set(text);
    this.tag(name, this.#value.view, 0, length);
  }

  field(name: string, source: DataView, from: number, end: number): void {
    this.#beginField(name);
    this.#ensure(room(end - from) + 2);
    this.length = writeString(this.view, this.length, source, from, end);
  }

  fieldText(name: string, text: string): void {
    const length = this.#value.set(text);
    this.field(name, this.#value.view, 0, length);
  }

  /** A field that is no text: `1i`, `1u`, `1.5`, `true`, as a reader of lines takes it. */
  fieldLiteral(name: string, literal: string): void {
    this.#beginField(name);
    this.#ascii(literal);
  }

  /** The digits of `bytes[from, end)` as an integer field. */
  fieldInteger(name: string, bytes: Uint8Array, from: number, end: number): void {
    this.#beginField(name);
    this.#ensure(end - from + 1);
    for (let p = from; p < end; p++) this.bytes[this.length++] = bytes[p] ?? 0;
    this.bytes[this.length++] = LETTER_I;
  }

  /** `nanos`: the time in decimal digits, or "" for none. */
  end(nanos: string): void {
    if (!this.#hasField) throw new BadPoint("it has no field");
    if (nanos !== "") this.#byte(SPACE);
    this.#ascii(nanos);
    this.#byte(NEWLINE);
  }

  /** The same with the halves of an int64. */
  endAt(low: number, high: number): void {
    if (!this.#hasField) throw new BadPoint("it has no field");
    this.#byte(SPACE);
    this.#ensure(NUMBER_MAX + 1);
    this.length = this.#nanos.write(this.view, this.length, low, high);
    this.#byte(NEWLINE);
  }

  #beginField(name: string): void {
    this.#byte(this.#hasField ? COMMA : SPACE);
    this.#hasField = true;
    this.#key(name);
  }

  #key(name: string): void {
    const length = this.#name.set(name);
    this.#ensure(room(length) + 2);
    const start = this.length;
    this.length = this.#line.writeName(this.view, start, this.#name.view, 0, length);
    if (this.length === start) throw new BadPoint("a tag or field has an empty name");
    this.#byte(EQUALS);
  }

  #ascii(text: string): void {
    this.#ensure(text.length);
    for (let i = 0; i < text.length; i++) this.bytes[this.length++] = text.charCodeAt(i);
  }

  #byte(value: number): void {
    this.#ensure(1);
    this.bytes[this.length++] = value;
  }

  #ensure(more: number): void {
    const need = this.length + more + SLACK;
    if (need <= this.bytes.length) return;
    const bytes = new Uint8Array(2 * need);
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }
}

/** A number or boolean of JSON as the text of a tag: in shortest form (mapping rule 3). */
export function shortestText(source: string): string {
  if (source === "true" || source === "false") return source;
  return INTEGER.test(source) ? String(BigInt(source)) : String(Number(source));
}

/** Whether a number of JSON is a whole one that surely fits 64 bits, and not `-0`. */
export function isSmallInteger(bytes: Uint8Array, from: number, end: number): boolean {
  if (end - from > SMALL_DIGITS) return false;
  const isNegative = bytes[from] === MINUS;
  if (isNegative && bytes[from + 1] === DIGIT_0) return false;
  for (let p = isNegative ? from + 1 : from; p < end; p++) {
    const c = bytes[p] ?? 0;
    if (c < DIGIT_0 || c > DIGIT_9) return false;
  }
  return true;
}

/** A number or boolean of JSON as a field: a whole number without a point is an integer while 64 bits hold it, all others are floats. */
export function literalOf(source: string): string {
  if (!INTEGER.test(source)) return source;
  if (source.length <= SMALL_DIGITS && source !== "-0") return `${source}i`;
  const value = BigInt(source);
  if (value >= -INT64 && value < INT64) return `${value}i`;
  return value >= 0n && value < 2n * INT64 ? `${value}u` : source;
}
