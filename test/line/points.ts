import { Literal } from "../../src/line/literals.ts";
import { KEY_ESCAPED, LITERAL_MASK, PAIR, Pair, VALUE_ESCAPED } from "../../src/line/pair.ts";
import { describeProblem, Problem } from "../../src/line/problems.ts";
import { LineReader } from "../../src/line/reader.ts";
import { unescapeMeasurement, unescapeName, unescapeString } from "../../src/line/unescape.ts";

export type Value =
  | { readonly float: number }
  | { readonly integer: bigint }
  | { readonly uinteger: bigint }
  | { readonly boolean: boolean }
  | { readonly text: string }
  | { readonly list: string };

export interface Point {
  readonly measurement: string;
  readonly tags: readonly (readonly [string, string])[];
  readonly fields: readonly (readonly [string, Value])[];
  readonly time: bigint | undefined;
}

export interface BadLine {
  readonly problem: string;
  readonly line: number;
}

type Unescape = typeof unescapeName;

/** Every line of `bytes` as an object, through the fast reader. */
export function readPoints(
  bytes: Uint8Array,
  from = 0,
  to = bytes.length,
  reader = new LineReader(),
): (Point | BadLine)[] {
  const out: (Point | BadLine)[] = [];
  const span = (at: number, end: number, plain?: Unescape) => {
    if (at < from || end > to || end < at) throw new Error(`span ${at}…${end} is out of bounds`);
    if (plain === undefined) return Buffer.from(bytes.subarray(at, end)).toString();
    const copy = new Uint8Array(end - at);
    return Buffer.from(copy.subarray(0, plain(copy, 0, bytes, at, end))).toString();
  };
  reader.reset(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), from, to);
  while (reader.next()) {
    if (reader.problem !== Problem.none) {
      out.push({ problem: describeProblem(reader.problem), line: reader.lineNumber });
      continue;
    }
    const { pairs } = reader;
    const key = (i: number) =>
      span(
        pairs[i + Pair.keyAt]!,
        pairs[i + Pair.keyEnd]!,
        (pairs[i + Pair.flags]! & KEY_ESCAPED) !== 0 ? unescapeName : undefined,
      );
    const text = (i: number, plain: Unescape) =>
      span(
        pairs[i + Pair.valueAt]!,
        pairs[i + Pair.valueEnd]!,
        (pairs[i + Pair.flags]! & VALUE_ESCAPED) !== 0 ? plain : undefined,
      );
    const int64 = (low: number, high: number) =>
      BigInt.asIntN(64, (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));
    const value = (i: number): Value => {
      const kind = pairs[i + Pair.flags]! & LITERAL_MASK;
      const integer = int64(pairs[i + Pair.low]!, pairs[i + Pair.high]!);
      if (kind === Literal.float) return { float: reader.numbers[i / PAIR]! };
      if (kind === Literal.integer) return { integer };
      if (kind === Literal.uinteger) return { uinteger: BigInt.asUintN(64, integer) };
      if (kind === Literal.boolean) return { boolean: pairs[i + Pair.low] === 1 };
      if (kind === Literal.list) return { list: text(i, unescapeString) };
      return { text: text(i, unescapeString) };
    };
    const indexes = (start: number, count: number) =>
      Array.from({ length: count }, (_, n) => (start + n) * PAIR);
    out.push({
      measurement: span(
        reader.measurementAt,
        reader.measurementEnd,
        reader.measurementEscaped ? unescapeMeasurement : undefined,
      ),
      tags: indexes(0, reader.tagCount).map((i) => [key(i), text(i, unescapeName)] as const),
      fields: indexes(reader.tagCount, reader.fieldCount).map((i) => [key(i), value(i)] as const),
      time: reader.hasTime ? int64(reader.timeLow, reader.timeHigh) : undefined,
    });
  }
  return out;
}
