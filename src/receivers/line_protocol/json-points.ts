import { LineText, room, writeString } from "../../line/writer.ts";
import { SLACK } from "../../wire/slack.ts";
import { readJsonTime } from "./json-time.ts";
import { JsonValues } from "./json-values.ts";

const FIRST = 1 << 12;
const NEWLINE = 10;
const SPACE = 32;
const COMMA = 44;
const EQUALS = 61;
/** A whole number that 64 bits may hold. */
const INTEGER = /^-?\d{1,20}$/;
const INT64 = 2n ** 63n;
const NO_OBJECT: Readonly<Record<string, unknown>> = {};

/** A number as it was written: a double does not hold all of them. */
class Digits {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** What is wrong with a point. */
class BadPoint extends Error {}

/**
 * JSON points, `{"measurement","tags","fields","timestamp"}`, as lines of line protocol, so that all that follows is the same. Other
 * members of a point count as fields. One bad point costs itself.
 */
export class JsonPoints {
  /** The lines, from 0 to `length`, with SLACK behind. Times are in nanoseconds. */
  bytes: Uint8Array = new Uint8Array(FIRST);
  view: DataView = new DataView(this.bytes.buffer);
  length = 0;
  points = 0;
  bad = 0;
  /** Sentence about the first bad point, with its number; "" when there is none. */
  firstBad = "";
  /** Points whose time does not fit 1677–2262: they have none. */
  replacedTimes = 0;
  readonly #values = new JsonValues();
  readonly #text = new LineText("v2");
  readonly #utf8 = new TextDecoder("utf-8", { fatal: true });
  readonly #encoder = new TextEncoder();
  #source: Uint8Array = new Uint8Array(FIRST);
  #sourceView: DataView = new DataView(this.#source.buffer);

  /** Reads the points of `bytes[from, to)`; earlier ones are gone. */
  read(bytes: Uint8Array, from: number, to: number): void {
    this.length = 0;
    this.points = 0;
    this.bad = 0;
    this.firstBad = "";
    this.replacedTimes = 0;
    const values = this.#values;
    values.reset(bytes, from, to);
    while (values.next()) {
      this.points++;
      const start = this.length;
      if (values.problem === "") {
        try {
          this.#point(parse(this.#decode(bytes.subarray(values.at, values.end))));
          continue;
        } catch (error) {
          this.length = start;
          if (error instanceof SyntaxError) values.fail(`not valid JSON: ${error.message}`);
          else if (error instanceof BadPoint) values.problem = error.message;
          else throw error;
        }
      }
      if (this.bad++ === 0) this.firstBad = `point ${this.points}: ${values.problem}`;
    }
  }

  #decode(bytes: Uint8Array): string {
    try {
      return this.#utf8.decode(bytes);
    } catch {
      throw new BadPoint("not valid UTF-8");
    }
  }

  #point(point: Readonly<Record<string, unknown>>): void {
    const { measurement, tags, fields, ...others } = point;
    if (typeof measurement !== "string") throw new BadPoint('"measurement" is missing or no text');
    const timeKey = ["timestamp", "time"].find((key) => others[key] != null);
    const time = timeKey === undefined ? "" : this.#time(timeKey, others[timeKey]);
    if (!this.#put(measurement, "measurement")) throw new BadPoint('"measurement" is empty');
    for (const [name, value] of Object.entries(objectOf("tags", tags))) this.#tag(name, value);
    const own = objectOf("fields", fields);
    let isFirst = true;
    for (const [name, value] of Object.entries({ ...others, ...own }))
      if (value != null && (name !== timeKey || Object.hasOwn(own, name))) {
        this.#field(name, value, isFirst ? SPACE : COMMA);
        isFirst = false;
      }
    if (isFirst) throw new BadPoint("it has no field");
    this.#plain(time);
    this.#byte(NEWLINE);
  }

  /** Empty values are left out, as in lines. */
  #tag(name: string, value: unknown): void {
    if (value == null) return;
    const start = this.length;
    this.#byte(COMMA);
    this.#name(name);
    if (!this.#put(tagText(value), "tag")) this.length = start;
  }

  #field(name: string, value: unknown, separator: number): void {
    this.#byte(separator);
    this.#name(name);
    if (typeof value === "string") this.#put(value, "string");
    else if (typeof value === "boolean") this.#plain(String(value));
    else if (value instanceof Digits) this.#plain(literalOf(value.text));
    else this.#put(jsonOf(value), "string");
  }

  #name(name: string): void {
    if (!this.#put(name, "name")) throw new BadPoint("a tag or field has an empty name");
    this.#byte(EQUALS);
  }

  /** ` nanoseconds`, or nothing where they do not fit. */
  #time(key: string, value: unknown): string {
    const text = value instanceof Digits ? value.text : value;
    const nanos = typeof text === "string" ? readJsonTime(text) : undefined;
    if (nanos === undefined)
      throw new BadPoint(`"${key}" is no time: write 2024-01-15T10:30:00Z or a number`);
    if (nanos >= -INT64 && nanos < INT64) return ` ${nanos}`;
    this.replacedTimes++;
    return "";
  }

  /** Escaped for its place; false when nothing is left of it. */
  #put(text: string, place: "measurement" | "name" | "tag" | "string"): boolean {
    const length = this.#encode(text);
    this.#ensure(room(length) + 2);
    const start = this.length;
    const { view } = this;
    const source = this.#sourceView;
    if (place === "measurement")
      this.length = this.#text.writeMeasurement(view, start, source, 0, length);
    else if (place === "name") this.length = this.#text.writeName(view, start, source, 0, length);
    else if (place === "tag")
      this.length = this.#text.writeTagValue(view, start, source, 0, length);
    else this.length = writeString(view, start, source, 0, length);
    return this.length > start;
  }

  /** Into the memory that the writers read from. */
  #encode(text: string): number {
    const most = text.length * 3 + SLACK;
    if (most > this.#source.length) {
      this.#source = new Uint8Array(2 * most);
      this.#sourceView = new DataView(this.#source.buffer);
    }
    return this.#encoder.encodeInto(text, this.#source).written;
  }

  #plain(ascii: string): void {
    this.#ensure(ascii.length);
    this.length += this.#encoder.encodeInto(ascii, this.bytes.subarray(this.length)).written;
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

/** Of equal keys, the last wins. */
function parse(text: string): Readonly<Record<string, unknown>> {
  return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) =>
    typeof value === "number" ? new Digits(context?.source ?? String(value)) : value,
  ) as Readonly<Record<string, unknown>>;
}

function objectOf(name: string, value: unknown): Readonly<Record<string, unknown>> {
  if (value == null) return NO_OBJECT;
  if (typeof value !== "object" || Array.isArray(value) || value instanceof Digits)
    throw new BadPoint(`"${name}" is no object`);
  return value as Readonly<Record<string, unknown>>;
}

/** Numbers in shortest form (mapping rule 3). */
function tagText(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return String(value);
  if (value instanceof Digits)
    return INTEGER.test(value.text) ? String(BigInt(value.text)) : String(Number(value.text));
  return jsonOf(value);
}

/** A whole number without a point is an integer while 64 bits hold it; all others are floats. */
function literalOf(digits: string): string {
  if (!INTEGER.test(digits)) return digits;
  const value = BigInt(digits);
  if (value >= -INT64 && value < INT64) return `${value}i`;
  return value >= 0n && value < 2n * INT64 ? `${value}u` : digits;
}

/** JSON text of a value, its numbers as they were written. */
function jsonOf(value: unknown): string {
  if (value instanceof Digits) return value.text;
  if (Array.isArray(value)) return `[${value.map(jsonOf).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([key, of]) => `${JSON.stringify(key)}:${jsonOf(of)}`);
  return `{${members.join()}}`;
}
