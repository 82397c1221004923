import { PointLines } from "../../kit/doors/point-lines.ts";
import type { Body } from "../../kit/server/compression.ts";
import type { HttpAnswer } from "../../kit/server/http-server.ts";
import { listRoom, writeListJson } from "../../line/list-json.ts";
import { Literal } from "../../line/literals.ts";
import { LITERAL_MASK, PAIR, Pair } from "../../line/pair.ts";
import { Problem } from "../../line/problems.ts";
import { LineReader } from "../../line/reader.ts";
import { type Precision, TimeScale } from "../../line/time.ts";
import { unescapeMeasurement, unescapeName, unescapeString } from "../../line/unescape.ts";
import { SLACK } from "../../wire/slack.ts";
import { text } from "./answers.ts";
import type { Echo } from "./parameters.ts";
import { type PointFormat, readerOf } from "./point-sources.ts";

/** Largest body whose points are repeated: it is for people who look at what became of them. */
export const ECHO_BYTES_MAX = 1 << 20;

type Value = string | number | bigint | boolean | { readonly unsigned: bigint };
interface Point {
  readonly measurement: string;
  readonly tags: readonly (readonly [string, string])[];
  readonly fields: readonly (readonly [string, Value])[];
  /** Nanoseconds; undefined: it had none. */
  readonly time: bigint | undefined;
}

/** The good points of a body of at most ECHO_BYTES_MAX as DataKit repeats them. */
export function echo(
  kind: Echo,
  format: PointFormat,
  body: Body,
  precision: Precision,
): HttpAnswer {
  const points = pointsIn(format, body, precision);
  if (kind === "lp") return text(points.map(lineOf).join("\n"), "text/plain; charset=utf-8");
  const objects = points.map(kind === "json" ? simpleOf : pbOf);
  return text(`[${objects.join()}]`, "application/json");
}

function pointsIn(format: PointFormat, body: Body, precision: Precision): Point[] {
  if (format === "lines") return [...readPoints(body.bytes, 0, body.length, precision)];
  const reader = readerOf(format, body);
  reader.readSome(Number.POSITIVE_INFINITY);
  return [...readPoints(reader.bytes, 0, reader.length, "ns")];
}

function* readPoints(
  bytes: Uint8Array,
  from: number,
  to: number,
  precision: Precision,
): Generator<Point> {
  const reader = new LineReader();
  const scale = new TimeScale(precision);
  reader.reset(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), from, to);
  while (reader.next()) {
    if (reader.problem !== Problem.none) continue;
    const { pairs, tagCount, fieldCount, measurementAt, measurementEnd } = reader;
    const span = (i: number, at: number, end: number, plain: typeof unescapeName) =>
      plainText(bytes, pairs[i * PAIR + at] as number, pairs[i * PAIR + end] as number, plain);
    const key = (i: number) => span(i, Pair.keyAt, Pair.keyEnd, unescapeName);
    const tags = Array.from({ length: tagCount }, (_, i): [string, string] => [
      key(i),
      span(i, Pair.valueAt, Pair.valueEnd, unescapeName),
    ]);
    const fields = Array.from({ length: fieldCount }, (_, n): [string, Value] => [
      key(tagCount + n),
      valueOfPair(reader, bytes, tagCount + n),
    ]);
    const hasTime = reader.hasTime && scale.set(reader.timeLow, reader.timeHigh);
    const measurement = plainText(bytes, measurementAt, measurementEnd, unescapeMeasurement);
    const time = hasTime ? BigInt.asIntN(64, join(scale.low, scale.high)) : undefined;
    yield { measurement, tags, fields, time };
  }
}

function plainText(
  bytes: Uint8Array,
  from: number,
  end: number,
  plain: typeof unescapeName,
): string {
  const out = Buffer.alloc(end - from + SLACK);
  return out.toString("utf8", 0, plain(out, 0, bytes, from, end));
}

function valueOfPair(reader: LineReader, bytes: Uint8Array, n: number): Value {
  const { pairs, numbers } = reader;
  const at = (part: number) => pairs[n * PAIR + part] as number;
  const [from, end] = [at(Pair.valueAt), at(Pair.valueEnd)];
  const whole = join(at(Pair.low), at(Pair.high));
  switch (at(Pair.flags) & LITERAL_MASK) {
    case Literal.float:
      return numbers[n] as number;
    case Literal.boolean:
      return at(Pair.low) === 1;
    case Literal.integer:
      return BigInt.asIntN(64, whole);
    case Literal.uinteger:
      return { unsigned: whole };
    case Literal.list: {
      const out = Buffer.alloc(listRoom(end - from) + SLACK);
      const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
      return out.toString("utf8", 0, writeListJson(view, 0, bytes, from));
    }
    default:
      return plainText(bytes, from, end, unescapeString);
  }
}

function join(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

function lineOf({ measurement, tags, fields, time }: Point): string {
  const lines = new PointLines();
  lines.begin();
  lines.measurementText(measurement);
  for (const [name, value] of tags) lines.tagText(name, value);
  for (const [name, value] of fields)
    if (typeof value === "string") lines.fieldText(name, value);
    else lines.fieldLiteral(name, `${digitsOf(value)}${suffixOf(value)}`);
  lines.end(time === undefined ? "" : String(time));
  return Buffer.from(lines.bytes.buffer, 0, lines.length - 1).toString();
}

function digitsOf(value: Exclude<Value, string>): string {
  return String(typeof value === "object" ? value.unsigned : value);
}

function suffixOf(value: Value): string {
  return typeof value === "bigint" ? "i" : typeof value === "object" ? "u" : "";
}

function jsonOf(value: Value): string {
  return typeof value === "string" ? JSON.stringify(value) : digitsOf(value);
}

/** Written by hand because JSON.stringify knows no integers of 64 bits. */
function simpleOf({ measurement, tags, fields, time }: Point): string {
  const object = (pairs: readonly (readonly [string, Value])[]) =>
    `{${pairs.map(([name, value]) => `${JSON.stringify(name)}:${jsonOf(value)}`).join()}}`;
  const end = time === undefined ? "" : `,"time":${time}`;
  return `{"measurement":${JSON.stringify(measurement)},"tags":${object(tags)},"fields":${object(fields)}${end}}`;
}

function pbOf({ measurement, tags, fields, time }: Point): string {
  const parts = [
    ...fields.map(([name, value]) => `{"key":${JSON.stringify(name)},${pbValueOf(value)}}`),
    ...tags.map(
      ([name, value]) =>
        `{"key":${JSON.stringify(name)},"s":${JSON.stringify(value)},"is_tag":true}`,
    ),
  ];
  const end = time === undefined ? "" : `,"time":"${time}"`;
  return `{"name":${JSON.stringify(measurement)},"fields":[${parts.join()}]${end}}`;
}

function pbValueOf(value: Value): string {
  if (typeof value === "string") return `"s":${JSON.stringify(value)}`;
  if (typeof value === "number") return `"f":${value}`;
  if (typeof value === "boolean") return `"b":${value}`;
  return typeof value === "bigint" ? `"i":"${value}"` : `"u":"${value.unsigned}"`;
}
