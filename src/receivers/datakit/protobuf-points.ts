import { BadPoint, PointLines } from "../../kit/doors/point-lines.ts";
import { PAIRS_MAX, STRING_MAX } from "../../line/problems.ts";
import { DEFAULT_MEASUREMENT } from "./pbjson-points.ts";
import type { PointReader } from "./point-sources.ts";
import { Message } from "./protobuf-message.ts";

/** Numbers of the fields in DataKit's point.proto. */
const POINTS = { arr: 1 } as const;
const POINT = { name: 1, fields: 2, time: 3 } as const;
const FIELD = { key: 1, i: 2, u: 3, f: 4, b: 5, d: 6, a: 7, isTag: 8, s: 11 } as const;
/** Of a list or map: in `google.protobuf.Any`, of its elements, and of the values in them. */
const ANY = { typeUrl: 1, value: 2 } as const;
const ELEMENT = 1;
const ENTRY = { key: 1, value: 2 } as const;
const VALUE = { i: 1, u: 2, f: 3, b: 4, d: 5, s: 6 } as const;

/** Where a text is; a value that is none is as lines write it. */
interface Span {
  readonly from: number;
  readonly to: number;
}
type Value = Span | { readonly literal: string } | { readonly text: string };
interface Field {
  readonly key: string;
  readonly isTag: boolean;
  readonly value: Value;
}

/** `PBPoints` of DataKit as lines of line protocol. A bad point costs itself; bytes that are no protobuf cost what is behind them. */
export class ProtobufPoints implements PointReader {
  bad = 0;
  firstBad = "";
  readonly replacedTimes = 0;
  lostCharacters = 0;
  readonly #source: DataView;
  readonly #message: Message;
  readonly #lines = new PointLines();
  #points = 0;

  /** The memory needs SLACK bytes behind `length`. */
  constructor(bytes: Uint8Array, view: DataView, length: number) {
    this.#source = view;
    this.#message = new Message(bytes, view, 0, length);
  }

  get bytes(): Uint8Array {
    return this.#lines.bytes;
  }
  get view(): DataView {
    return this.#lines.view;
  }
  get length(): number {
    return this.#lines.length;
  }

  readSome(size: number): boolean {
    const message = this.#message;
    const stop = message.at + size;
    this.#lines.length = 0;
    this.bad = 0;
    this.firstBad = "";
    const { dropped } = this.#lines;
    let isMore = false;
    while (!isMore && this.#isNext()) {
      if (message.field === POINTS.arr) this.#costsItself(() => this.#point());
      isMore = message.at >= stop;
    }
    this.lostCharacters = this.#lines.dropped - dropped;
    return isMore;
  }

  /** False at the end, and where what follows is no protobuf. */
  #isNext(): boolean {
    let isNext = false;
    this.#lines.begin();
    this.#costsItself(() => {
      isNext = this.#message.next();
    });
    return isNext;
  }

  #costsItself(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!(error instanceof BadPoint)) throw error;
      this.#lines.undo();
      if (this.bad++ === 0) this.firstBad = `point ${this.#points + 1}: ${error.message}`;
    }
  }

  #point(): void {
    const lines = this.#lines;
    lines.begin();
    const point = this.#message.nested();
    const fields: Field[] = [];
    let name: Span = { from: 0, to: 0 };
    let time = 0n;
    while (point.next())
      if (point.field === POINT.name) {
        point.expectText();
        name = { from: point.from, to: point.to };
      } else if (point.field === POINT.time) time = point.int64();
      else if (point.field === POINT.fields) {
        if (fields.length === PAIRS_MAX)
          throw new BadPoint(`it has more than ${PAIRS_MAX} tags and fields`);
        fields.push(fieldOf(point.nested()));
      }
    if (name.to > name.from) lines.measurement(this.#source, name.from, name.to);
    else lines.measurementText(DEFAULT_MEASUREMENT);
    for (const field of fields) if (field.isTag) this.#tag(field);
    for (const field of fields) if (!field.isTag) this.#field(field);
    // As in every message of version 3, 0 is what is not there.
    lines.end(time === 0n ? "" : String(time));
    this.#points++;
  }

  #tag({ key, value }: Field): void {
    if ("from" in value) this.#lines.tag(key, this.#source, value.from, value.to);
    else if ("text" in value) this.#lines.tagText(key, value.text);
    else this.#lines.tagText(key, value.literal.replace(/[iu]$/, ""));
  }

  #field({ key, value }: Field): void {
    if ("from" in value) this.#lines.field(key, this.#source, value.from, value.to);
    else if ("text" in value) this.#lines.fieldText(key, value.text);
    else this.#lines.fieldLiteral(key, value.literal);
  }
}

function fieldOf(field: Message): Field {
  let key = "";
  let isTag = false;
  let value: Value | undefined;
  // Of the members of a oneof, the last one counts.
  while (field.next())
    if (field.field === FIELD.key) key = field.text();
    else if (field.field === FIELD.isTag) isTag = field.uint64() !== 0n;
    else value = readValue(field, key) ?? value;
  // An empty text or a zero is there on the wire, because it is in a oneof.
  if (value === undefined) throw new BadPoint(`field ${JSON.stringify(key)} has no value`);
  return { key, isTag, value };
}

function readValue(field: Message, key: string): Value | undefined {
  switch (field.field) {
    case FIELD.s:
      field.expectText();
      return { from: field.from, to: field.to };
    case FIELD.i:
      return { literal: `${field.int64()}i` };
    case FIELD.u:
      return { literal: `${field.uint64()}u` };
    case FIELD.f:
      return { literal: finite(field.double(), key) };
    case FIELD.b:
      return { literal: String(field.uint64() !== 0n) };
    case FIELD.d:
      return { text: field.base64() };
    case FIELD.a:
      return { text: nestedText(field.nested(), key) };
    default:
      return undefined;
  }
}

function finite(value: number, key: string): string {
  if (Number.isFinite(value)) return String(value);
  throw new BadPoint(`${JSON.stringify(key)} is ${value}: no row can hold that`);
}

/** An `Array` or `Map` as JSON text, as lists of lines become. */
function nestedText(any: Message, key: string): string {
  let isMap = false;
  let value: Message | undefined;
  while (any.next())
    if (any.field === ANY.typeUrl) isMap = any.text().endsWith(".Map");
    else if (any.field === ANY.value) {
      if (any.to - any.from > STRING_MAX)
        throw new BadPoint(`${JSON.stringify(key)} is longer than ${STRING_MAX} bytes`);
      value = any.nested();
    }
  const parts: string[] = [];
  while (value?.next())
    if (value.field === ELEMENT) {
      const element = value.nested();
      parts.push(isMap ? entryText(element, key) : elementText(element, key));
    }
  return isMap ? `{${parts.join()}}` : `[${parts.join()}]`;
}

function entryText(entry: Message, key: string): string {
  let name = "";
  let text = "null";
  while (entry.next())
    if (entry.field === ENTRY.key) name = entry.text();
    else if (entry.field === ENTRY.value) text = elementText(entry.nested(), key);
  return `${JSON.stringify(name)}:${text}`;
}

function elementText(element: Message, key: string): string {
  let text = "null";
  while (element.next())
    if (element.field === VALUE.s) text = JSON.stringify(element.text());
    else if (element.field === VALUE.d) text = JSON.stringify(element.base64());
    else if (element.field === VALUE.i) text = String(element.int64());
    else if (element.field === VALUE.u) text = String(element.uint64());
    else if (element.field === VALUE.f) text = finite(element.double(), key);
    else if (element.field === VALUE.b) text = String(element.uint64() !== 0n);
  return text;
}
