import fc from "fast-check";
import { expect, test } from "vitest";
import { JsonPoints } from "../../../src/kit/doors/json-points.ts";
import { LineReader } from "../../../src/line/reader.ts";
import { Framing } from "../../../src/receivers/line_protocol/framing.ts";
import { readPoints } from "../../line/points.ts";
import { cpuMs } from "../../support/cpu.ts";

const json = new JsonPoints();
const reader = new LineReader();

/** What the runs of the first `length` bytes are to the receiver: points, and how many are bad. */
function read(framing: Framing, length: number): unknown[] {
  const seen: unknown[] = [];
  for (const { from, to, isJson } of framing.runs(length)) {
    if (isJson) {
      json.read(framing.bytes, framing.view, from, to);
      seen.push(...readPoints(json.bytes, 0, json.length));
      for (let i = 0; i < json.bad; i++) seen.push("bad JSON");
    } else
      for (const point of readPoints(framing.bytes, from, to))
        seen.push("problem" in point ? "bad line" : point);
  }
  framing.take(length);
  return seen;
}

function through(text: string, cuts: readonly number[]): unknown[] {
  const bytes = Buffer.from(text);
  const framing = new Framing(1 << 20, reader);
  const seen: unknown[] = [];
  let from = 0;
  for (const cut of [
    ...cuts.map((c) => c % (bytes.length + 1)).sort((a, b) => a - b),
    bytes.length,
  ]) {
    framing.push(bytes.subarray(from, cut));
    from = cut;
    seen.push(...read(framing, framing.whole()));
    framing.release();
  }
  seen.push(...read(framing, framing.length));
  expect([framing.length, framing.tooLong]).toEqual([0, 0]);
  return seen;
}

test("however a connection's bytes are cut, the same lines and points come out", () => {
  const line = fc.constantFrom(
    "a v=1",
    'b,t=x s="one\ntwo\n{three",v=2i 5',
    'c s="{\n[",v=1',
    "d,k={x} v=1",
    '{"measurement":"j","fields":{"v":1,"s":"a=\\"b\\n"}}',
    '[{"measurement":"k","fields":{"v":1}},{"measurement":"l"}]',
    '  {"measurement":"m","fields":{"é":"ü"}}\r',
    "# comment {",
    "",
    "no line",
    '{"x="y',
    "{",
  );
  const text = fc
    .tuple(fc.array(line, { maxLength: 8 }), fc.boolean())
    .map(([lines, ends]) => lines.join("\n") + (ends ? "\n" : ""));
  fc.assert(
    fc.property(text, fc.array(fc.nat({ max: 400 }), { maxLength: 6 }), (all, cuts) => {
      expect(through(all, cuts)).toEqual(through(all, []));
    }),
    { numRuns: 1_500 },
  );
});

test("many bytes one by one cost no more than their number", async () => {
  const framing = new Framing(1 << 20, reader);
  framing.push(Buffer.from(`m s="${"x".repeat(900_000)}`));
  expect(framing.whole()).toBe(0);
  const push = () => {
    for (let i = 0; i < 100_000; i++) {
      framing.push(Buffer.from("y"));
      expect(framing.whole()).toBe(0);
    }
  };
  expect(await cpuMs(push)).toBeLessThan(5_000);
});

test("a connection that is silent holds no memory, however long its lines were", () => {
  const framing = new Framing(1 << 20, reader);
  expect(framing.bytes.length).toBe(0);
  framing.push(Buffer.from(`a s="${"x".repeat(500_000)}`));
  expect(framing.whole()).toBe(0);
  framing.release();
  expect(framing.length).toBeGreaterThan(500_000);
  framing.push(Buffer.from('" 1\n'));
  framing.take(framing.whole());
  framing.release();
  expect([framing.length, framing.bytes.length]).toEqual([0, 0]);
});

test("two connections whose reads alternate do not meet in the reader that they share", () => {
  const one = new Framing(1 << 20, reader);
  const other = new Framing(1 << 20, reader);
  const [seenOfOne, seenOfOther]: [unknown[], unknown[]] = [[], []];
  for (const [a, b] of [
    ['m,t=a s="x\nm', "n,u=c "],
    ['"\nm,t=b s="y"', "v=1\nn,u=d"],
    [" 5\n", " v=2\n"],
  ] as const) {
    one.push(Buffer.from(a));
    other.push(Buffer.from(b));
    const length = one.whole();
    seenOfOther.push(...read(other, other.whole()));
    seenOfOne.push(...read(one, length));
  }
  expect(seenOfOne).toEqual(through('m,t=a s="x\nm"\nm,t=b s="y" 5\n', []));
  expect(seenOfOther).toEqual(through("n,u=c v=1\nn,u=d v=2\n", []));
});

test("2,000 connections that were silent so far take next to no memory outside of the heap", () => {
  const before = process.memoryUsage().arrayBuffers;
  const idle = Array.from({ length: 2_000 }, () => new Framing(1 << 20, reader));
  const each = (process.memoryUsage().arrayBuffers - before) / idle.length;
  expect(each).toBeLessThan(1_024);
  expect(idle.every(({ bytes }) => bytes.length === 0)).toBe(true);
});
