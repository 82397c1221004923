import { expect, test } from "vitest";
import { KNOWN_SETS } from "../../src/line/known-keys.ts";
import { LineReader } from "../../src/line/reader.ts";
import { readPoints } from "./points.ts";
import { readSlowly } from "./slow-reader.ts";

/** The set of each line; -1: its names were not known. */
function setsOf(reader: LineReader, lines: readonly string[]): number[] {
  const bytes = Buffer.from(lines.join("\n"));
  reader.reset(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
  const sets: number[] = [];
  while (reader.next()) sets.push(reader.set);
  return sets;
}

const A = 'm,host=a,zone=b value=1i,text="some text" 1705314600000000000';
const B = 'm,host=a,zone=b value=1i,error="some text" 1705314600000000000';
const C = "m,host=a value=2.5,ok=t";

test("lines of one measurement with different keys are known, whatever their order", () => {
  const reader = new LineReader();
  expect(setsOf(reader, [A, B, C])).toEqual([-1, -1, -1]);
  const [a, b, c] = setsOf(reader, [A, B, C]);
  expect(new Set([a, b, c]).size).toBe(3);
  expect(Math.min(a ?? -1, b ?? -1, c ?? -1)).toBeGreaterThanOrEqual(0);
  expect(setsOf(reader, [C, A, A, C, B, A, B])).toEqual([c, a, a, c, b, a, b]);
});

test("values of any kind, without a time or with a short one: still known", () => {
  const reader = new LineReader();
  const lines = [
    'm,host=a value=1i,text="x"',
    'm,host=ä\\ b value=-7i,text="a \\"b\\" é"',
    'm,host=b value=f,text="" 5',
    'm,host=b value=1e3,text="y" -1705314600000000000\r',
  ];
  setsOf(reader, lines.slice(0, 1));
  expect(setsOf(reader, lines)).toEqual([0, 0, 0, 0]);
});

test("a set that made room for another is in no ring any more", () => {
  const reader = new LineReader();
  const line = (measurement: string, i: number) => `${measurement},t${i}=a f${i}=1i ${i}`;
  const lines = Array.from({ length: 40 * KNOWN_SETS }, (_, i) =>
    line(i % 3 === 0 ? "cpu" : "memory", (i * 7) % (2 * KNOWN_SETS)),
  );
  for (let round = 0; round < 3; round++) setsOf(reader, lines);
  const text = Buffer.from(lines.join("\n"));
  expect(readPoints(text, 0, text.length, reader)).toEqual(readSlowly(text));
});
