import { BadPoint, type PointLines } from "../../kit/doors/point-lines.ts";

/** Name of points that have none, as in DataKit. */
export const DEFAULT_MEASUREMENT = "__default";

const INT64 = 2n ** 63n;
const WHOLE = /^-?\d{1,20}$/;
const NUMBER = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;

interface PbPoint {
  readonly name?: unknown;
  readonly fields?: unknown;
  readonly time?: unknown;
}
/** A value: one of the members of the oneof in point.proto. Enums and unknown members are passed over. */
interface PbValue {
  readonly s?: unknown;
  readonly i?: unknown;
  readonly u?: unknown;
  readonly f?: unknown;
  readonly b?: unknown;
  readonly d?: unknown;
}
interface PbField extends PbValue {
  readonly key?: unknown;
  readonly is_tag?: unknown;
  readonly a?: { readonly arr?: unknown; readonly map?: unknown };
}

/** A number of JSON by its digits, which a double may not hold. */
class Digits {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** For JSON.parse, which tells it the text of each number. */
function keepDigits(_name: string, value: unknown, context?: { readonly source?: string }) {
  return typeof value === "number" && context?.source !== undefined
    ? new Digits(context.source)
    : value;
}

function isObject(value: unknown): value is object {
  if (Array.isArray(value) || value instanceof Digits) return false;
  return typeof value === "object" && value !== null;
}

/**
 * A point of DataKit in the JSON form of its protobuf, `{"name","fields":[{"key","s|i|u|f|b|d|a","is_tag"}],"time"}`, as a line without
 * its end. Returns its time in nanoseconds.
 */
export function writePbJson(text: string, lines: PointLines): bigint | undefined {
  const { name, fields, time } = JSON.parse(text, keepDigits) as PbPoint;
  if (typeof (name ?? "") !== "string") throw new BadPoint('"name" is no text');
  lines.measurementText(typeof name === "string" && name !== "" ? name : DEFAULT_MEASUREMENT);
  const read = (fields as readonly unknown[]).map(readField);
  // Tags stand before fields in a line, whatever their order here.
  for (const { key, isTag, value } of read) if (isTag) writeTag(key, value, lines);
  for (const { key, isTag, value } of read) if (!isTag) writeField(key, value, lines);
  return time === undefined || time === null ? undefined : int64(time, "time");
}

function readField(field: unknown) {
  if (!isObject(field)) throw new BadPoint('"fields" has an element that is no object');
  const value: PbField = field;
  if (typeof value.key !== "string") throw new BadPoint('a field has no "key", or it is no text');
  return { key: value.key, isTag: value.is_tag === true, value };
}

function writeTag(key: string, value: PbField, lines: PointLines): void {
  const text = textOf(value) ?? withoutSuffix(literalOf(key, value));
  if (text === undefined) throw new BadPoint(`tag ${JSON.stringify(key)} has no value`);
  lines.tagText(key, text);
}

function writeField(key: string, value: PbField, lines: PointLines): void {
  const text = isObject(value.a) ? nestedText(key, value.a) : textOf(value);
  const literal = text === undefined ? literalOf(key, value) : undefined;
  if (text !== undefined) lines.fieldText(key, text);
  else if (literal !== undefined) lines.fieldLiteral(key, literal);
  else throw new BadPoint(`field ${JSON.stringify(key)} has no value: one of s, i, u, f, b, d, a`);
}

/** Bytes are base64 in JSON, and so they are in a row (mapping §9.3). */
function textOf({ s, d }: PbValue): string | undefined {
  if (typeof s === "string") return s;
  return typeof d === "string" ? d : undefined;
}

/** A number or boolean as lines write it; undefined when there is none. */
function literalOf(key: string, { i, u, f, b }: PbValue): string | undefined {
  if (typeof b === "boolean") return String(b);
  if (i !== undefined && i !== null) return `${int64(i, key)}i`;
  if (u !== undefined && u !== null) return `${uint64(u, key)}u`;
  if (f === undefined || f === null) return undefined;
  const digits = f instanceof Digits ? f.text : f;
  if (typeof digits !== "string" || !NUMBER.test(digits) || !Number.isFinite(Number(digits)))
    throw new BadPoint(`"f" of ${JSON.stringify(key)} is no number that a row can hold`);
  return String(Number(digits));
}

function withoutSuffix(literal: string | undefined): string | undefined {
  return literal?.replace(/[iu]$/, "");
}

/** A number, or the text as which protobuf's JSON writes it. */
function int64(value: unknown, name: string): bigint {
  const number = wholeOf(value, name);
  if (number >= -INT64 && number < INT64) return number;
  throw new BadPoint(`${JSON.stringify(name)} does not fit in 64 bits`);
}

function uint64(value: unknown, name: string): bigint {
  const number = wholeOf(value, name);
  if (number >= 0n && number < 2n * INT64) return number;
  throw new BadPoint(`${JSON.stringify(name)} does not fit in 64 bits without a sign`);
}

function wholeOf(value: unknown, name: string): bigint {
  const digits = value instanceof Digits ? value.text : value;
  if (typeof digits === "string" && WHOLE.test(digits)) return BigInt(digits);
  throw new BadPoint(`${JSON.stringify(name)} is no whole number`);
}

/** A list or map as JSON text, as lists of lines become. */
function nestedText(key: string, { arr = [], map }: NonNullable<PbField["a"]>): string {
  if (isObject(map)) {
    const entries = Object.entries(map);
    return `{${entries.map(([name, value]) => `${JSON.stringify(name)}:${elementText(key, value)}`).join()}}`;
  }
  if (!Array.isArray(arr)) throw new BadPoint(`"a" of ${JSON.stringify(key)} has no list`);
  return `[${arr.map((value) => elementText(key, value)).join()}]`;
}

function elementText(key: string, value: unknown): string {
  if (!isObject(value)) throw new BadPoint(`"a" of ${JSON.stringify(key)} has no values`);
  const text = textOf(value);
  if (text !== undefined) return JSON.stringify(text);
  return withoutSuffix(literalOf(key, value)) ?? "null";
}
