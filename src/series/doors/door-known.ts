import { KNOWN_PAIRS as ImportedKnownPairs, KNOWN_SETS } from "../../line/known-keys.ts";
import { Literal as ImportedLiteral } from "../../line/literals.ts";
import {
  LITERAL_MASK as ImportedLiteralMask,
  Pair as ImportedPair,
  PAIR as ImportedPairSize,
  VALUE_ESCAPED as ImportedValueEscaped,
} from "../../line/pair.ts";
import type { LineReader } from "../../line/reader.ts";
import { AnyValue as ImportedAnyValue, KeyValue, LogRecord } from "../../otlp/tags.gen.ts";
import { SLACK } from "../../wire/slack.ts";
import type { DoorOutput } from "./door-output.ts";
import { Column as ImportedColumn, type Levels, type RecordFields } from "./door-record.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const KNOWN_PAIRS = ImportedKnownPairs;
const Literal = ImportedLiteral;
const LITERAL_MASK = ImportedLiteralMask;
const PAIR = ImportedPairSize;
const Pair = ImportedPair;
const VALUE_ESCAPED = ImportedValueEscaped;
const AnyValue = ImportedAnyValue;
const Column = ImportedColumn;

/** Bytes for the texts of one set of keys. */
const ROOM = 8_192;
/** Longest message whose length takes one byte. */
const SHORT = 127;
/** Longest key whose attributes with a number are such messages. */
const KEY_MAX = 100;
/** Integers below this are varints of at most four bytes, the others are left to `RecordFields`. */
const SMALL = 1 << 28;
/** What `Column` says, and: a tag has the same key, or the key is long. */
const ODD_KEY = 256;
const ID = Column.trace | Column.span;
const SEVERITY = Column.severity | Column.derived;
const MARKED = SEVERITY | Column.body | ID | ODD_KEY;

/**
 * What the door keeps for a set of keys that its reader knows: the beginning of each attribute as bytes that need only their lengths, and
 * what the table says about it. So the usual values of a usual line are copied word by word; the unusual go through `RecordFields`.
 */
export class KnownRecords {
  /** Index in the reader's pairs of the tag that names the service, or -1, by set. */
  readonly services: Int32Array = new Int32Array(KNOWN_SETS);
  /** Number of the table, or -1, by set. */
  readonly shapes: Int32Array = new Int32Array(KNOWN_SETS);
  readonly #reader: LineReader;
  readonly #out: DoorOutput;
  readonly #fields: RecordFields;
  readonly #bytes = new Uint8Array(KNOWN_SETS * ROOM + SLACK);
  readonly #view = new DataView(this.#bytes.buffer);
  /** Where the beginning of each attribute is. */
  readonly #starts = new Int32Array(KNOWN_SETS * KNOWN_PAIRS);
  readonly #codes = new Int32Array(KNOWN_SETS * KNOWN_PAIRS);
  /** Where `weir.tags` and the event name begin, and the end. */
  readonly #tags = new Int32Array(KNOWN_SETS);
  readonly #events = new Int32Array(KNOWN_SETS);
  readonly #ends = new Int32Array(KNOWN_SETS);
  /** Versions of the reader's sets that are kept here. */
  readonly #versions = new Int32Array(KNOWN_SETS);

  constructor(reader: LineReader, out: DoorOutput, fields: RecordFields) {
    this.#reader = reader;
    this.#out = out;
    this.#fields = fields;
  }

  /** Whether the reader's line can be written with `write`. */
  has(set: number): boolean {
    return set >= 0 && this.#versions[set] === this.#reader.known.versions[set];
  }

  /**
   * Keeps a set. The record just written through `RecordFields` ends in the output with `weir.tags` from `tagsAt` to `tagsEnd`, and the
   * event name from `eventAt` on.
   */
  keep(
    set: number,
    shape: number,
    service: number,
    tagsAt: number,
    tagsEnd: number,
    eventAt: number,
  ) {
    const { known, tagCount } = this.#reader;
    const { bytes, length } = this.#out;
    const limit = (set + 1) * ROOM;
    const count = tagCount + known.fieldCounts[set]!;
    let at = set * ROOM;
    for (let n = 0; n < count; n++) {
      const i = set * KNOWN_PAIRS + n;
      const size = known.lengths[i]! - 1;
      if (at + size + 8 > limit) return;
      this.#starts[i] = at;
      this.#codes[i] = this.#codeOf(n, size);
      at = this.#begin(at, known.bytes, known.starts[i]!, size);
    }
    if (at + tagsEnd - tagsAt + length - eventAt > limit) return;
    this.#tags[set] = at;
    this.#bytes.set(bytes.subarray(tagsAt, tagsEnd), at);
    at += tagsEnd - tagsAt;
    this.#events[set] = at;
    this.#bytes.set(bytes.subarray(eventAt, length), at);
    this.#ends[set] = at + length - eventAt;
    this.services[set] = service;
    this.shapes[set] = shape;
    this.#versions[set] = known.versions[set]!;
  }

  /** Body and ids come from fields only. */
  #codeOf(n: number, size: number): number {
    const isField = n >= this.#reader.tagCount;
    const code = this.#fields.code(n) & (isField ? ~0 : ~(Column.body | ID));
    const isOdd = size > KEY_MAX || (isField && this.#fields.isTagToo(n * PAIR));
    return isOdd ? code | ODD_KEY : code;
  }

  /** An attribute with a text, without its three lengths. */
  #begin(at: number, source: Uint8Array, from: number, size: number): number {
    const bytes = this.#bytes;
    bytes[at] = LogRecord.attributes;
    bytes[at + 2] = KeyValue.key;
    bytes[at + 3] = size;
    bytes.set(source.subarray(from, from + size), at + 4);
    bytes[at + 4 + size] = KeyValue.value;
    bytes[at + 6 + size] = AnyValue.string_value;
    return at + 8 + size;
  }

  /** Everything of the record but its times. `lines` is the memory of the reader's line. */
  write(set: number, lines: DataView, levels: Levels | undefined): void {
    const { pairs, numbers, tagCount, fieldCount, kinds } = this.#reader;
    const fieldsAt = tagCount * PAIR;
    const end = fieldsAt + fieldCount * PAIR;
    let index = set * KNOWN_PAIRS;
    for (let i = 0; i < end; i += PAIR, index++) {
      const code = this.#codes[index]!;
      const flags = pairs[i + Pair.flags]!;
      const kind = flags & LITERAL_MASK;
      let isDone = false;
      if (kind === Literal.text && (flags & VALUE_ESCAPED) === 0) {
        const from = pairs[i + Pair.valueAt]!;
        const size = pairs[i + Pair.valueEnd]! - from;
        const mark = code & MARKED;
        if (mark === 0 || mark === Column.severity || mark === Column.derived) {
          isDone = this.#text(this.#starts[index]!, lines, from, size);
          if (isDone && mark !== 0) this.#fields.severity(i, code, levels);
        }
        if (mark === Column.body) isDone = this.#body(lines, from, size);
      } else if (kind === Literal.integer && (code & ODD_KEY) === 0)
        isDone = this.#integer(this.#starts[index]!, pairs[i + Pair.low]!, pairs[i + Pair.high]!);
      else if (kind === Literal.float && (code & ODD_KEY) === 0)
        isDone = this.#double(this.#starts[index]!, numbers[i / PAIR]!);
      if (!isDone)
        this.#fields.pair(
          i,
          code,
          (code & ODD_KEY) !== 0 && i >= fieldsAt && this.#fields.isTagToo(i),
          levels,
        );
    }
    this.#copy(this.#tags[set]!, this.#events[set]!);
    if ((kinds & (1 << Literal.uinteger)) !== 0) this.#fields.writeUintNames();
    this.#copy(this.#events[set]!, this.#ends[set]!);
  }

  /** False when it is too long for lengths of one byte: then nothing is written. */
  #text(start: number, lines: DataView, from: number, size: number): boolean {
    const out = this.#out;
    const { view, length: at } = out;
    const key = this.#bytes[start + 3]!;
    const message = key + 6 + size;
    if (message > SHORT) return false;
    for (let k = 0; k < key + 8; k += 8)
      view.setBigUint64(at + k, this.#view.getBigUint64(start + k, true), true);
    view.setUint8(at + 1, message);
    const content = at + key + 8;
    view.setUint8(content - 3, size + 2);
    view.setUint8(content - 1, size);
    for (let k = 0; k < size; k += 8)
      view.setBigUint64(content + k, lines.getBigUint64(from + k, true), true);
    out.length = content + size;
    return true;
  }

  #body(lines: DataView, from: number, size: number): boolean {
    if (size + 2 > SHORT) return false;
    const out = this.#out;
    const { view, length: at } = out;
    view.setUint8(at, LogRecord.body);
    view.setUint8(at + 1, size + 2);
    view.setUint8(at + 2, AnyValue.string_value);
    view.setUint8(at + 3, size);
    for (let k = 0; k < size; k += 8)
      view.setBigUint64(at + 4 + k, lines.getBigUint64(from + k, true), true);
    out.length = at + 4 + size;
    return true;
  }

  /** False when it is negative or large: then nothing is written. */
  #integer(start: number, low: number, high: number): boolean {
    if (high !== 0 || low < 0 || low >= SMALL) return false;
    const out = this.#out;
    const { view, length: at } = out;
    const key = this.#bytes[start + 3]!;
    for (let k = 0; k < key + 5; k += 8)
      view.setBigUint64(at + k, this.#view.getBigUint64(start + k, true), true);
    const value = at + key + 6;
    view.setUint8(value, AnyValue.int_value);
    let o = value + 1;
    let rest = low;
    for (; rest > 127; rest >>>= 7) view.setUint8(o++, (rest & 127) | 128);
    view.setUint8(o++, rest);
    view.setUint8(at + 1, o - at - 2);
    view.setUint8(value - 1, o - value);
    out.length = o;
    return true;
  }

  #double(start: number, number: number): true {
    const out = this.#out;
    const { view, length: at } = out;
    const key = this.#bytes[start + 3]!;
    for (let k = 0; k < key + 5; k += 8)
      view.setBigUint64(at + k, this.#view.getBigUint64(start + k, true), true);
    const value = at + key + 7;
    view.setUint8(at + 1, value + 6 - at);
    view.setUint8(value - 2, 9);
    view.setUint8(value - 1, AnyValue.double_value);
    view.setFloat64(value, number, true);
    out.length = value + 8;
    return true;
  }

  #copy(from: number, end: number): void {
    this.#out.copy(this.#view, from, end - from);
  }
}
