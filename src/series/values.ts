import { type LineText, writeBoolean, writeString } from "../line/writer.ts";
import { Kind } from "../otlp/tape.ts";
import { type JsonWriter, jsonRoom, writeBase64 } from "../otlp/value-json.ts";
import { writeHex } from "../wire/hex.ts";
import { writeDouble, writeInt, writeUint, writeUint64 } from "../wire/numbers.ts";
import { SLACK } from "../wire/slack.ts";
import { durationOf, isWholeDuration, writeDuration } from "./durations.ts";
import { SlotKind } from "./slots.ts";
import { SpanJson } from "./span-json.ts";

const TWO_32 = 4_294_967_296;
const TWO_53 = 2 ** 53;
const TWO_63 = 2 ** 63;
const LETTER_I = 105;
const LETTER_U = 117;
const QUOTE = 34;
/** Longer text is no number that a column holds. */
export const NUMBER_TEXT_MAX = 400;
const NO_CONSTANTS = new DataView(new ArrayBuffer(0));
/** A text that counts as a number. */
export const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** Why a value is left out. `characters`: not a value, but so many bytes of names and tags, which no server takes there. */
export const REASONS = [
  "type",
  "not_finite",
  "inexact",
  "range",
  "empty",
  "repeated",
  "malformed",
  "over_limit",
  "characters",
] as const;
export const Reason = {
  type: 0,
  not_finite: 1,
  inexact: 2,
  range: 3,
  empty: 4,
  repeated: 5,
  malformed: 6,
  over_limit: 7,
  characters: 8,
} as const;

/** Memory that grows, for text that has to be built before it is escaped. */
export class Scratch {
  bytes = new Uint8Array(1 << 12);
  view = new DataView(this.bytes.buffer);
  /** Makes room for `length` bytes and slack; earlier content is gone. */
  need(length: number): void {
    if (length + SLACK <= this.bytes.length) return;
    this.bytes = new Uint8Array(Math.max(length + SLACK, this.bytes.length * 2));
    this.view = new DataView(this.bytes.buffer);
  }
  set(text: string): number {
    this.need(text.length * 3);
    return new TextEncoder().encodeInto(text, this.bytes).written;
  }
}

/**
 * Writes one value as a tag or a field of a kind. Every method returns the end, or -1 when the value does not fit; `reason` says why.
 * Conversions are lossless or not made (mapping §1.3, §9.3).
 */
export class Values {
  reason = 0;
  readonly scratch = new Scratch();
  readonly text: LineText;
  readonly json: JsonWriter;
  readonly #constants: DataView;
  readonly #spanJson: SpanJson;
  readonly #isV1: boolean;
  constructor(text: LineText, json: JsonWriter, constants: DataView = NO_CONSTANTS) {
    this.text = text;
    this.json = json;
    this.#constants = constants;
    this.#spanJson = new SpanJson(json);
    this.#isV1 = text.dialect === "v1";
  }

  tag(out: DataView, at: number, kind: number, from: number, end: number): number {
    const view = this.json.view;
    if (kind === Kind.text) return this.tagText(out, at, view, from, end);
    if (kind === SlotKind.constant) return this.tagText(out, at, this.#constants, from, end);
    if (this.isPlain(kind)) return this.plain(out, at, kind, from, end);
    const length = this.built(kind, from, end);
    return this.tagText(out, at, this.scratch.view, 0, length);
  }

  tagText(out: DataView, at: number, source: DataView, from: number, end: number): number {
    const stop = this.text.writeTagValue(out, at, source, from, end);
    return stop === at ? this.#no(Reason.empty) : stop;
  }

  textField(out: DataView, at: number, kind: number, from: number, end: number): number {
    if (kind === Kind.text) return writeString(out, at, this.json.view, from, end);
    if (kind === SlotKind.constant) return writeString(out, at, this.#constants, from, end);
    if (this.isPlain(kind)) {
      out.setUint8(at, QUOTE);
      const stop = this.plain(out, at + 1, kind, from, end);
      if (stop < 0) return -1;
      out.setUint8(stop, QUOTE);
      return stop + 1;
    }
    const length = this.built(kind, from, end);
    return writeString(out, at, this.scratch.view, 0, length);
  }

  /** Bytes as base64, arrays, maps, events and links as JSON, at the start of the scratch; returns the length. */
  built(kind: number, from: number, end: number): number {
    if (kind >= SlotKind.events) {
      const json = this.#spanJson;
      this.scratch.need(json.room(from, end));
      return json.write(this.scratch.view, 0, kind === SlotKind.events, from, end);
    }
    this.scratch.need(jsonRoom(end - from));
    const view = this.scratch.view;
    if (kind === Kind.bytes) return writeBase64(view, 0, this.json.bytes, from, end);
    return this.json.value(view, 0, kind as Kind, from, end);
  }

  /** Whether `plain` can write it. */
  isPlain(kind: number): boolean {
    return kind < Kind.bytes || (kind >= SlotKind.hex && kind < SlotKind.constant);
  }

  /** A value that needs no escaping: number, boolean, hex. */
  plain(out: DataView, at: number, kind: number, from: number, end: number): number {
    const json = this.json;
    switch (kind) {
      case Kind.int:
        json.varint(from);
        return writeInt(out, at, json.low, json.high);
      case SlotKind.hex:
        return writeHex(out, at, json.view, from, end - from);
      case Kind.double: {
        const value = json.view.getFloat64(from, true);
        return Number.isFinite(value) ? writeDouble(out, at, value) : this.#no(Reason.not_finite);
      }
      case Kind.bool:
        json.varint(from);
        return writeBoolean(out, at, (json.low | json.high) !== 0);
      case SlotKind.small:
        return writeUint(out, at, from);
      case SlotKind.uint:
        json.varint(from);
        return writeUint64(out, at, json.low, json.high);
      case SlotKind.nanos:
        return writeUint64(out, at, from, end);
      case SlotKind.millis:
      case SlotKind.seconds:
      case SlotKind.wholeMillis:
        return writeDuration(out, at, kind, from, end);
      default:
        return this.#no(Reason.type);
    }
  }

  /** A float, after division. */
  float(
    out: DataView,
    at: number,
    kind: number,
    from: number,
    end: number,
    divideBy: number,
  ): number {
    if (kind === Kind.int && divideBy === 1) {
      this.json.varint(from);
      if (this.json.high === 0 && this.json.low >= 0) return writeUint(out, at, this.json.low);
    }
    if (isDuration(kind) && divideBy === 1) return writeDuration(out, at, kind, from, end);
    const value =
      kind === Kind.double ? this.json.view.getFloat64(from, true) : this.#number(kind, from, end);
    if (Number.isFinite(value))
      return writeDouble(out, at, divideBy === 1 ? value : value / divideBy);
    return kind === Kind.double ? this.#no(Reason.not_finite) : -1;
  }

  /** The value as a double, NaN (with the reason set) where that is not exact. */
  #number(kind: number, from: number, end: number): number {
    const json = this.json;
    this.reason = Reason.type;
    if (kind === SlotKind.small) return from;
    if (isDuration(kind)) return durationOf(kind, from, end);
    if (kind === Kind.int || kind === SlotKind.uint) {
      json.varint(from);
      const high = kind === Kind.int ? json.high : json.high >>> 0;
      const value = high * TWO_32 + (json.low >>> 0);
      // Exact where no bit was rounded away: the low half of the double is the low half of the integer.
      if (value < TWO_53 && value > -TWO_53) return value;
      if (isExact(value, json.low, high)) return value;
      this.reason = Reason.inexact;
      return Number.NaN;
    }
    if (kind !== Kind.text) return Number.NaN;
    const text = this.#numberText(from, end);
    if (text === undefined) return Number.NaN;
    const value = Number(text);
    if (!Number.isFinite(value)) this.reason = Reason.range;
    else if (/^-?\d+$/.test(text) && BigInt(text) !== BigInt(value)) {
      this.reason = Reason.inexact;
      return Number.NaN;
    }
    return value;
  }

  /** The text, when it is wholly a JSON number. */
  #numberText(from: number, end: number): string | undefined {
    if (end - from > NUMBER_TEXT_MAX || end === from) return undefined;
    const text = asciiOf(this.json.bytes, from, end);
    return JSON_NUMBER.test(text) ? text : undefined;
  }

  /** An integer of 64 bits with its `i`. */
  integer(out: DataView, at: number, kind: number, from: number, end: number): number {
    if (kind === SlotKind.small) {
      const stop = writeUint(out, at, from);
      out.setUint8(stop, LETTER_I);
      return stop + 1;
    }
    if (!this.int64(kind, from, end)) return -1;
    const stop = writeInt(out, at, this.json.low, this.json.high);
    out.setUint8(stop, LETTER_I);
    return stop + 1;
  }

  /** Leaves the value in `json.low` and `json.high`; false when it is no int64. */
  int64(kind: number, from: number, end: number): boolean {
    const json = this.json;
    this.reason = Reason.type;
    if (kind === Kind.int || kind === SlotKind.uint) {
      json.varint(from);
      if (kind === Kind.int || json.high >= 0) return true;
      this.reason = Reason.range;
      return false;
    }
    if (kind === SlotKind.small) {
      json.low = from;
      json.high = 0;
      return true;
    }
    if (kind === SlotKind.nanos) {
      json.low = from;
      json.high = end;
      if (end >= 0) return true;
      this.reason = Reason.range;
      return false;
    }
    if (isDuration(kind)) {
      if (isWholeDuration(kind, from, end)) return this.#whole(durationOf(kind, from, end));
      this.reason = Reason.inexact;
      return false;
    }
    if (kind === Kind.double) return this.#whole(json.view.getFloat64(from, true));
    if (kind !== Kind.text) return false;
    const text = this.#numberText(from, end);
    if (text === undefined) return false;
    if (!/^-?\d+$/.test(text)) return this.#whole(Number(text));
    const value = BigInt(text);
    if (BigInt.asIntN(64, value) !== value) {
      this.reason = Reason.range;
      return false;
    }
    json.low = Number(BigInt.asIntN(32, value));
    json.high = Number(BigInt.asIntN(32, value >> 32n));
    return true;
  }

  #whole(value: number): boolean {
    if (!Number.isFinite(value)) {
      this.reason = Reason.not_finite;
      return false;
    }
    if (Math.floor(value) !== value) {
      this.reason = Reason.inexact;
      return false;
    }
    if (value >= TWO_63 || value < -TWO_63) {
      this.reason = Reason.range;
      return false;
    }
    const high = Math.floor(value / TWO_32);
    this.json.high = high | 0;
    this.json.low = (value - high * TWO_32) | 0;
    return true;
  }

  boolean(out: DataView, at: number, kind: number, from: number, end: number): number {
    if (kind === Kind.bool) return this.plain(out, at, kind, from, end);
    if (kind !== Kind.text || end - from > 5) return this.#no(Reason.type);
    const text = asciiOf(this.json.bytes, from, end);
    if (text !== "true" && text !== "false") return this.#no(Reason.type);
    return writeBoolean(out, at, text === "true");
  }

  /** A field of the value's own type. InfluxDB 1 has no unsigned integers, unless it is built so: they are integers as far as they go. */
  any(out: DataView, at: number, kind: number, from: number, end: number): number {
    if (kind === SlotKind.uint && this.#isV1) return this.integer(out, at, kind, from, end);
    if (kind === Kind.int || kind === SlotKind.uint) {
      const stop = this.plain(out, at, kind, from, end);
      out.setUint8(stop, kind === Kind.int ? LETTER_I : LETTER_U);
      return stop + 1;
    }
    if (kind === Kind.double || kind === Kind.bool) return this.plain(out, at, kind, from, end);
    return this.textField(out, at, kind, from, end);
  }

  #no(reason: number): number {
    this.reason = reason;
    return -1;
  }
}

function isDuration(kind: number): boolean {
  return kind >= SlotKind.nanos && kind <= SlotKind.wholeMillis;
}

/** Whether the double is the integer of these halves (`high` signed or unsigned, as it was used). */
function isExact(value: number, low: number, high: number): boolean {
  const top = Math.floor(value / TWO_32);
  return top === high && value - top * TWO_32 === low >>> 0;
}

function asciiOf(bytes: Uint8Array, from: number, end: number): string {
  let text = "";
  for (let p = from; p < end; p++) text += String.fromCharCode(bytes[p]!);
  return text;
}
