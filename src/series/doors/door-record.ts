import { listRoom, writeListJson } from "../../line/list-json.ts";
import { Literal } from "../../line/literals.ts";
import type { NameMap } from "../../line/name-map.ts";
import { KEY_ESCAPED, LITERAL_MASK, PAIR, Pair, VALUE_ESCAPED } from "../../line/pair.ts";
import type { LineReader } from "../../line/reader.ts";
import { sameKey } from "../../line/same-key.ts";
import { unescapeName, unescapeString } from "../../line/unescape.ts";
import { AnyValue, ArrayValue, KeyValue, LogRecord } from "../../otlp/tags.gen.ts";
import { readHex } from "../../wire/hex.ts";
import { SLACK } from "../../wire/slack.ts";
import { DoorIds, Id } from "./door-ids.ts";
import type { DoorOutput } from "./door-output.ts";

/** What a table says about a name: bits. */
export const Column = {
  tag: 1,
  body: 2,
  severity: 4,
  service: 8,
  site: 16,
  trace: 32,
  span: 64,
  /** Gives the severity where the column of `severity` is not there. */
  derived: 128,
  /** 256 is taken in `door-known.ts`. May hold an id in another form. */
  otherId: 512,
} as const;

/** Severity numbers by text: of the table's column for it, and of the one that this is derived from. */
export interface Levels {
  readonly own: NameMap;
  /** Texts of the first are looked up in lower case too. */
  readonly anyCase: boolean;
  readonly derived: NameMap | undefined;
  /** For other texts of the second; 0 is none. */
  readonly rest: number;
}

const IDS = Column.trace | Column.span;
const BOTH = Column.severity | Column.derived;
/** Up to here a field's key is compared with every tag's. */
const FEW = 24;
const UNDERSCORE = 95;
const constant = (text: string) => {
  const bytes = new Uint8Array(text.length + SLACK);
  new TextEncoder().encodeInto(text, bytes);
  return { view: new DataView(bytes.buffer), length: text.length };
};
const WEIR_TAGS = constant("weir.tags");
const WEIR_UINT = constant("weir.uint");

/** Writes the tags and fields of the reader's line as the fields of a LogRecord. */
export class RecordFields {
  readonly #reader: LineReader;
  readonly #out: DoorOutput;
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #codes: Int32Array = new Int32Array(64);
  readonly #ids: DoorIds;
  /** Pairs of the line may hold ids, beside the fields `trace_id` and `span_id`. */
  hasOtherIds = false;
  /** Bits of `Id`: those that the record has so far. */
  #found = 0;
  /** A text that gives the severity is not longer. */
  readonly #word = new Uint8Array(64);
  /** Keys of the tags of a line with many, as raw text. */
  #manyTags: Set<string> | undefined;
  // The span that `#keySpan` or `#valueSpan` found, and memory for those that have escapes.
  #source: DataView = this.#view;
  #from = 0;
  #length = 0;
  #keyBytes = new Uint8Array((1 << 16) + SLACK);
  #keyView = new DataView(this.#keyBytes.buffer);
  #valueBytes = new Uint8Array((1 << 16) + SLACK);
  #valueView = new DataView(this.#valueBytes.buffer);

  constructor(reader: LineReader, out: DoorOutput) {
    this.#reader = reader;
    this.#out = out;
    this.#ids = new DoorIds(reader, out);
  }

  source(bytes: Uint8Array, view: DataView): void {
    this.#bytes = bytes;
    this.#view = view;
  }

  /** Looks the line's names up; returns the index in `pairs` of the tag that names the service, or -1. */
  look(columns: NameMap): number {
    const { pairs, tagCount, fieldCount } = this.#reader;
    const count = tagCount + fieldCount;
    if (count > this.#codes.length) this.#codes = new Int32Array(2 * count);
    let service = -1;
    let rank = 0;
    let all = 0;
    this.hasOtherIds = false;
    this.#found = 0;
    this.#manyTags = tagCount > FEW ? new Set() : undefined;
    for (let n = 0; n < count; n++) {
      const i = n * PAIR;
      const flags = pairs[i + Pair.flags]!;
      const at = pairs[i + Pair.keyAt]!;
      const end = pairs[i + Pair.keyEnd]!;
      const code = (flags & KEY_ESCAPED) !== 0 ? 0 : Math.max(0, columns.get(this.#bytes, at, end));
      this.#codes[n] = code;
      all |= code;
      if (n >= tagCount) continue;
      if ((code & IDS) !== 0) this.hasOtherIds = true;
      this.#manyTags?.add(this.#rawKey(i));
      const found = code & (Column.service | Column.site);
      if (found === 0 || rank === Column.service) continue;
      rank = (found & Column.service) !== 0 ? Column.service : Column.site;
      service = i;
    }
    if ((all & Column.otherId) !== 0) this.hasOtherIds = true;
    if ((all & BOTH) === BOTH) for (let n = 0; n < count; n++) this.#codes[n]! &= ~Column.derived;
    return service;
  }

  /** What the table says about the name of pair `n`, after `look`. */
  code(n: number): number {
    return this.#codes[n]!;
  }

  /** The tags and fields, after `look`. */
  writePairs(levels: Levels | undefined): void {
    const { tagCount, fieldCount } = this.#reader;
    for (let n = 0; n < tagCount + fieldCount; n++) {
      const i = n * PAIR;
      this.pair(i, this.#codes[n]!, n >= tagCount && this.isTagToo(i), levels);
    }
  }

  /** The pair at `i` as an attribute, or as what the table makes of it. */
  pair(i: number, code: number, isClash: boolean, levels: Levels | undefined): void {
    const { pairs, tagCount } = this.#reader;
    if (code !== 0 && (pairs[i + Pair.flags]! & LITERAL_MASK) === Literal.text) {
      if ((code & BOTH) !== 0) this.severity(i, code, levels);
      const isField = i >= tagCount * PAIR;
      if (isField && (code & Column.body) !== 0 && this.#body(i)) return;
      if ((code & IDS) !== 0 && (isField || (code & Column.tag) !== 0) && this.#id(i, code)) return;
    }
    this.#attribute(i, isClash);
  }

  /** Ids in other pairs and forms, after `writePairs`. `hasColumns`: of the table, for ids. */
  writeOtherIds(hasColumns: boolean): void {
    if (this.hasOtherIds) this.#ids.write(this.#bytes, this.#found, !hasColumns);
  }

  /** The attribute with the names of the undeclared tags, after `look`. */
  writeTagNames(): void {
    this.#names(WEIR_TAGS, 0, this.#reader.tagCount);
  }

  /** The attribute with the names of the unsigned fields. */
  writeUintNames(): void {
    const { tagCount, fieldCount } = this.#reader;
    this.#names(WEIR_UINT, tagCount, tagCount + fieldCount);
  }

  /** The severity that the table gives to the text at `i`, if any. */
  severity(i: number, code: number, levels: Levels | undefined): void {
    if (levels === undefined) return;
    const { pairs } = this.#reader;
    const isDerived = (code & Column.derived) !== 0;
    const words = isDerived ? levels.derived : levels.own;
    if (words === undefined) return;
    const from = pairs[i + Pair.valueAt]!;
    const end = pairs[i + Pair.valueEnd]!;
    let level = words.get(this.#bytes, from, end);
    if (level < 0 && levels.anyCase && !isDerived) level = this.#inLowerCase(words, from, end);
    if (level < 0 && isDerived) level = levels.rest;
    if (level <= 0) return;
    this.#out.byte(LogRecord.severity_number);
    this.#out.varint(level);
  }

  #inLowerCase(words: NameMap, from: number, end: number): number {
    const length = end - from;
    const word = this.#word;
    if (length > word.length) return -1;
    for (let p = 0; p < length; p++) {
      const c = this.#bytes[from + p]!;
      word[p] = c >= 65 && c <= 90 ? c | 0x20 : c;
    }
    return words.get(word, 0, length);
  }

  #body(i: number): boolean {
    this.#valueSpan(i, unescapeString);
    this.#out.byte(LogRecord.body);
    this.#out.varint(1 + sizeOfLength(this.#length) + this.#length);
    this.#textValue();
    return true;
  }

  /** A text field with 32 or 16 hex digits, not all zero, becomes the record's id. */
  #id(i: number, code: number): boolean {
    const { pairs } = this.#reader;
    const out = this.#out;
    const from = pairs[i + Pair.valueAt]!;
    const size = (code & Column.trace) !== 0 ? 16 : 8;
    if (pairs[i + Pair.valueEnd]! - from !== 2 * size) return false;
    const at = out.length;
    out.byte(size === 16 ? LogRecord.trace_id : LogRecord.span_id);
    out.varint(size);
    let isGood = readHex(out.view, out.length, this.#view, from, size);
    let any = 0;
    for (let k = 0; k < size; k++) any |= out.bytes[out.length + k]!;
    isGood &&= any !== 0;
    out.length = isGood ? out.length + size : at;
    if (isGood) this.#found |= size === 16 ? Id.trace : Id.span;
    return isGood;
  }

  #attribute(i: number, isClash: boolean): void {
    const { pairs, numbers } = this.#reader;
    const out = this.#out;
    const kind = pairs[i + Pair.flags]! & LITERAL_MASK;
    const low = pairs[i + Pair.low]!;
    const high = pairs[i + Pair.high]!;
    this.#keySpan(i);
    const keySource = this.#source;
    const keyFrom = this.#from;
    const keyLength = this.#length;
    const key = isClash ? keyLength + 1 : keyLength;
    let value = 9;
    if (kind === Literal.text) {
      this.#valueSpan(i, i < this.#reader.tagCount * PAIR ? unescapeName : unescapeString);
      value = 1 + sizeOfLength(this.#length) + this.#length;
    } else if (kind === Literal.list) {
      this.#listSpan(i);
      value = 1 + sizeOfLength(this.#length) + this.#length;
      out.ensure(value + key + 64);
    } else if (kind === Literal.boolean) value = 2;
    else if (kind !== Literal.float) value = 1 + sizeOfInt64(low, high);
    out.byte(LogRecord.attributes);
    out.varint(1 + sizeOfLength(key) + key + 1 + sizeOfLength(value) + value);
    out.byte(KeyValue.key);
    out.varint(key);
    out.copy(keySource, keyFrom, keyLength);
    if (isClash) out.byte(UNDERSCORE);
    out.byte(KeyValue.value);
    out.varint(value);
    if (kind === Literal.float) {
      out.byte(AnyValue.double_value);
      out.double(numbers[i / PAIR]!);
    } else if (kind === Literal.boolean) {
      out.byte(AnyValue.bool_value);
      out.byte(low);
    } else if (kind === Literal.text || kind === Literal.list) this.#textValue();
    else {
      out.byte(AnyValue.int_value);
      out.varint64(low, high);
    }
  }

  /** `weir.tags` of the undeclared tags, or `weir.uint` of the unsigned fields: an array of their names. */
  #names(key: typeof WEIR_TAGS, from: number, to: number): void {
    const { pairs } = this.#reader;
    const out = this.#out;
    const isTags = key === WEIR_TAGS;
    let room = 0;
    for (let n = from; n < to; n++)
      if (this.#isNamed(n, isTags))
        room += pairs[n * PAIR + Pair.keyEnd]! - pairs[n * PAIR + Pair.keyAt]! + 12;
    out.byte(LogRecord.attributes);
    const entry = out.open(room + 32);
    out.byte(KeyValue.key);
    out.varint(key.length);
    out.copy(key.view, 0, key.length);
    out.byte(KeyValue.value);
    const value = out.open(room + 16);
    out.byte(AnyValue.array_value);
    const array = out.open(room);
    for (let n = from; n < to; n++) {
      if (!this.#isNamed(n, isTags)) continue;
      const isClash = !isTags && this.isTagToo(n * PAIR);
      this.#keySpan(n * PAIR);
      const length = isClash ? this.#length + 1 : this.#length;
      out.byte(ArrayValue.values);
      out.varint(1 + sizeOfLength(length) + length);
      out.byte(AnyValue.string_value);
      out.varint(length);
      out.copy(this.#source, this.#from, this.#length);
      if (isClash) out.byte(UNDERSCORE);
    }
    out.close(array, room);
    out.close(value, room + 16);
    out.close(entry, room + 32);
  }

  #isNamed(n: number, isTags: boolean): boolean {
    if (isTags) return (this.#codes[n]! & Column.tag) === 0;
    return (this.#reader.pairs[n * PAIR + Pair.flags]! & LITERAL_MASK) === Literal.uinteger;
  }

  /** Whether a tag of the line has the key of the field at `i`: the field's attribute then ends with `_` (mapping §9.9). */
  isTagToo(i: number): boolean {
    const { pairs, tagCount } = this.#reader;
    if (this.#manyTags !== undefined) return this.#manyTags.has(this.#rawKey(i));
    for (let j = 0; j < tagCount * PAIR; j += PAIR)
      if (sameKey(this.#bytes, pairs, i, j)) return true;
    return false;
  }

  #rawKey(i: number): string {
    const { pairs } = this.#reader;
    const at = pairs[i + Pair.keyAt]!;
    return Buffer.from(this.#bytes.subarray(at, pairs[i + Pair.keyEnd]!)).toString("latin1");
  }

  #textValue(): void {
    this.#out.byte(AnyValue.string_value);
    this.#out.varint(this.#length);
    this.#out.copy(this.#source, this.#from, this.#length);
  }

  #keySpan(i: number): void {
    const { pairs } = this.#reader;
    this.#source = this.#view;
    this.#from = pairs[i + Pair.keyAt]!;
    this.#length = pairs[i + Pair.keyEnd]! - this.#from;
    if ((pairs[i + Pair.flags]! & KEY_ESCAPED) === 0) return;
    const end = this.#from + this.#length;
    this.#length = unescapeName(this.#keyBytes, 0, this.#bytes, this.#from, end);
    this.#source = this.#keyView;
    this.#from = 0;
  }

  #valueSpan(i: number, plain: typeof unescapeName): void {
    const { pairs } = this.#reader;
    this.#source = this.#view;
    this.#from = pairs[i + Pair.valueAt]!;
    this.#length = pairs[i + Pair.valueEnd]! - this.#from;
    if ((pairs[i + Pair.flags]! & VALUE_ESCAPED) === 0) return;
    this.#valueRoom(this.#length);
    const end = this.#from + this.#length;
    this.#length = plain(this.#valueBytes, 0, this.#bytes, this.#from, end);
    this.#source = this.#valueView;
    this.#from = 0;
  }

  #listSpan(i: number): void {
    const { pairs } = this.#reader;
    const at = pairs[i + Pair.valueAt]!;
    this.#valueRoom(listRoom(pairs[i + Pair.valueEnd]! - at));
    this.#length = writeListJson(this.#valueView, 0, this.#bytes, at);
    this.#source = this.#valueView;
    this.#from = 0;
  }

  #valueRoom(length: number): void {
    if (length + SLACK <= this.#valueBytes.length) return;
    this.#valueBytes = new Uint8Array(length + SLACK);
    this.#valueView = new DataView(this.#valueBytes.buffer);
  }
}

function sizeOfLength(value: number): number {
  if (value < 128) return 1;
  if (value < 16_384) return 2;
  return value < 2_097_152 ? 3 : value < 268_435_456 ? 4 : 5;
}

export function sizeOfInt64(low: number, high: number): number {
  if ((high | 0) !== 0) {
    const bits = 64 - Math.clz32(high);
    return Math.ceil(bits / 7);
  }
  const bits = 32 - Math.clz32(low);
  return bits === 0 ? 1 : Math.ceil(bits / 7);
}
