import { SCHEMA } from "./schema.gen.ts";
import { type FieldSchema, fieldsOf, idSizeOf, wireTypeOf } from "./schema.ts";
import type { Signal } from "./tape.ts";

/** How the value of a field is read and written. */
export const FieldKind = {
  message: 0,
  text: 1,
  bytes: 2,
  id: 3,
  bool: 4,
  double: 5,
  fixed32: 6,
  fixed64: 7,
  sfixed64: 8,
  uint32: 9,
  uint64: 10,
  int64: 11,
  int32: 12,
  sint32: 13,
  enum: 14,
} as const;
export type FieldKind = (typeof FieldKind)[keyof typeof FieldKind];

const REQUEST: Readonly<Record<Signal, string>> = {
  logs: "ExportLogsServiceRequest",
  metrics: "ExportMetricsServiceRequest",
  traces: "ExportTraceServiceRequest",
};
const ITEM_LISTS: ReadonlySet<string> = new Set(["logRecords", "spans", "dataPoints"]);
/** Bytes of a row of names: the longest, "dropped_attributes_count", its quote, and zeros. */
const ROW_SHIFT = 5;
const BUCKETS = 1_024;
const MESSAGES: readonly string[] = Object.keys(SCHEMA);
/** Field numbers of OTLP messages are below this. */
export const NUMBERS = 32;

/**
 * The fields of all OTLP messages by their JSON names, in numbers. Messages and fields are numbered through; 0 is no field. A name is
 * looked for where it stood last time: behind the one before.
 */
export class FieldTable {
  readonly tags: Int32Array;
  readonly numbers: Uint8Array;
  readonly kinds: Uint8Array;
  /** The message that is a field's value. */
  readonly messages: Uint8Array;
  readonly isRepeated: Uint8Array;
  /** A bad element of these lists costs itself, and nothing else. */
  readonly isItems: Uint8Array;
  /** Zero and empty are the same as absent, and not written. The key of a KeyValue always is. */
  readonly isImplicit: Uint8Array;
  /** Bytes that an id has; 0: no id. */
  readonly idSizes: Uint8Array;
  readonly messageCount = MESSAGES.length;
  /** Per message and field number: bits of the numbers of other members of its oneof. */
  readonly siblings: Int32Array;
  readonly names: string[] = [""];

  /** Of rows: bytes of the name and the quote behind it; the field. */
  readonly #lengths: Uint8Array;
  readonly #fields: Uint16Array;
  readonly #owners: Uint8Array;
  readonly #rows: DataView;
  /** First row of a bucket, and the next one of the same bucket. */
  readonly #heads = new Uint16Array(BUCKETS);
  readonly #chain: Uint16Array;
  /** The row that followed a row last time; behind them, the first of each message. */
  readonly #next: Uint16Array;
  #rowCount = 1;

  constructor() {
    const count = 1 + MESSAGES.reduce((sum, message) => sum + fieldsOf(message).length, 0);
    const rows = 2 * count;
    this.tags = new Int32Array(count);
    this.numbers = new Uint8Array(count);
    this.kinds = new Uint8Array(count);
    this.messages = new Uint8Array(count);
    this.isRepeated = new Uint8Array(count);
    this.isItems = new Uint8Array(count);
    this.isImplicit = new Uint8Array(count);
    this.idSizes = new Uint8Array(count);
    this.siblings = new Int32Array(MESSAGES.length * NUMBERS);
    this.#lengths = new Uint8Array(rows);
    this.#fields = new Uint16Array(rows);
    this.#owners = new Uint8Array(rows);
    this.#rows = new DataView(new ArrayBuffer(rows << ROW_SHIFT));
    this.#chain = new Uint16Array(rows);
    this.#next = new Uint16Array(rows + MESSAGES.length);
    for (const [message, name] of MESSAGES.entries())
      for (const field of fieldsOf(name)) this.#add(message, field);
  }

  request(signal: Signal): number {
    return messageNumber(REQUEST[signal]);
  }

  #add(message: number, field: FieldSchema): void {
    if (field.name.endsWith("Strindex")) return; // indexes into nothing: as unknown
    const id = this.names.length;
    const isPacked = field.isRepeated && wireTypeOf(field.type) !== 2;
    this.names.push(field.name);
    this.tags[id] = (field.number << 3) | (isPacked ? 2 : wireTypeOf(field.type));
    this.numbers[id] = field.number;
    this.idSizes[id] = idSizeOf(field.name);
    this.kinds[id] = this.idSizes[id]
      ? FieldKind.id
      : FieldKind[field.type === "string" ? "text" : field.type];
    if (field.type === "message") this.messages[id] = messageNumber(field.message);
    this.isRepeated[id] = field.isRepeated ? 1 : 0;
    const isExplicit = field.isRepeated || field.isOptional || field.oneof !== "";
    this.isImplicit[id] = isExplicit || field.type === "message" || field.name === "key" ? 0 : 1;
    this.isItems[id] = ITEM_LISTS.has(field.name) ? 1 : 0;
    if (field.oneof !== "")
      for (const other of fieldsOf(MESSAGES[message] as string))
        if (other.oneof === field.oneof && other.number !== field.number)
          this.siblings[message * NUMBERS + field.number]! |= 1 << other.number;
    this.#addRow(message, id, field.name);
    const original = field.name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (original !== field.name) this.#addRow(message, id, original);
  }

  #addRow(message: number, id: number, name: string): void {
    const row = this.#rowCount++;
    const text = `${name}"`;
    if (text.length > 1 << ROW_SHIFT) throw new RangeError(`no room for the name ${name}`);
    for (let i = 0; i < text.length; i++)
      this.#rows.setUint8((row << ROW_SHIFT) + i, text.charCodeAt(i));
    this.#lengths[row] = text.length;
    this.#fields[row] = id;
    this.#owners[row] = message;
    const bucket = bucketOf(message, this.#rows.getInt32(row << ROW_SHIFT, true));
    this.#chain[row] = this.#heads[bucket]!;
    this.#heads[bucket] = row;
  }

  /** What to give as `before` for the first name of a message. */
  first(message: number): number {
    return this.#lengths.length + message;
  }

  /** The row of the name (and the quote behind it) at `p`, or 0. `before`: the row of the name before. */
  find(message: number, view: DataView, p: number, before: number): number {
    const guess = this.#next[before]!;
    if (this.#isRow(guess, view, p)) return guess;
    let row = this.#heads[bucketOf(message, view.getInt32(p, true))]!;
    while (row !== 0 && !(this.#owners[row] === message && this.#isRow(row, view, p)))
      row = this.#chain[row]!;
    if (row !== 0) this.#next[before] = row;
    return row;
  }

  /** Bytes of the name and the quote behind it. */
  lengthOf(row: number): number {
    return this.#lengths[row]!;
  }

  fieldOf(row: number): number {
    return this.#fields[row]!;
  }

  #isRow(row: number, view: DataView, p: number): boolean {
    const rows = this.#rows;
    const length = this.#lengths[row]!;
    if (length === 0) return false;
    let at = row << ROW_SHIFT;
    const end = at + (length & ~3);
    for (; at < end; at += 4, p += 4)
      if (rows.getInt32(at, true) !== view.getInt32(p, true)) return false;
    const rest = length & 3;
    return (
      rest === 0 || (rows.getInt32(at, true) ^ view.getInt32(p, true)) << (32 - 8 * rest) === 0
    );
  }
}

/** Number of a message by its name in the schema. */
export function messageNumber(name: string): number {
  const number = MESSAGES.indexOf(name);
  if (number < 0) throw new Error(`proto/ has no message ${name}`);
  return number;
}

function bucketOf(message: number, word: number): number {
  return (Math.imul(word ^ Math.imul(message + 1, 0x9e3779b1), 0x85ebca6b) >>> 22) & (BUCKETS - 1);
}
