import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fuzzRounds } from "../support/child-fuzz.ts";
import { cpuMs } from "../support/cpu.ts";
import { type Point, readPoints, type Value } from "./points.ts";
import { readSlowly } from "./slow-reader.ts";

const CORPUS = join(import.meta.dirname, "../fixtures/line-protocol/corpus.jsonl");
const read = (text: string) => readPoints(Buffer.from(text));
const good = (text: string) => read(text).filter((line): line is Point => !("problem" in line));
const bad = (text: string) =>
  read(text).flatMap((line) => ("problem" in line ? [[line.line, line.problem] as const] : []));
const literalOf = (literal: string): Value | undefined => good(`m v=${literal}`)[0]?.fields[0]?.[1];

interface CorpusCase {
  readonly kind: string;
  readonly input: { readonly text: Text; readonly precision: string; readonly defaultTime: Digits };
  readonly output: { readonly error?: string; readonly result?: readonly CorpusPoint[] };
}
type Text = string | { readonly binary: string };
type Digits = number | { readonly digits: string };
interface CorpusPoint {
  readonly time: Digits;
  readonly name: Text;
  readonly tags: readonly { readonly key: Text; readonly value: Text }[];
  readonly fields: readonly { readonly key: Text; readonly value: CorpusValue }[];
}
type CorpusValue =
  | { readonly float: number }
  | { readonly int: Digits }
  | { readonly uint: Digits }
  | { readonly bool: boolean }
  | { readonly string: Text };

const bytesOf = (text: Text) =>
  typeof text === "string" ? Buffer.from(text) : Buffer.from(text.binary, "base64");
const textOf = (text: Text) => bytesOf(text).toString();
const integerOf = (n: Digits) => BigInt(typeof n === "number" ? n : n.digits);
function corpusValue(value: CorpusValue): Value {
  if ("float" in value) return { float: value.float };
  if ("int" in value) return { integer: integerOf(value.int) };
  if ("uint" in value) return { uinteger: integerOf(value.uint) };
  if ("bool" in value) return { boolean: value.bool };
  return { text: textOf(value.string) };
}
const byKey = <T>(pairs: readonly (readonly [string, T])[]) =>
  pairs.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));

/** Where we differ from the corpus on purpose, by the input's text (mapping §9.10). */
const DEVIATIONS: Readonly<Record<string, string>> = {
  'm v="\\n"': "\\n in a string is no escape: two characters",
  'm v="\\r"': "\\r in a string is no escape: two characters",
};
const SCALES: Readonly<Record<string, bigint>> = { "1ns": 1n, "1µs": 1_000n, "1ms": 1_000_000n };

test("the Go corpus: every decode case agrees, or is in the table of deviations", () => {
  const cases: CorpusCase[] = readFileSync(CORPUS, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line))
    .filter(({ kind }) => kind === "decode");
  expect(cases.length).toBe(3_312);
  const seen: string[] = [];
  for (const { input, output } of cases) {
    const lines = readPoints(bytesOf(input.text));
    const firstBad = lines.findIndex((line) => "problem" in line);
    if (output.error !== undefined) {
      const metric = /metric (\d+)/.exec(output.error)?.[1] ?? firstBad;
      expect(firstBad, textOf(input.text)).toBe(Number(metric));
      expect(firstBad).toBeGreaterThanOrEqual(0);
      continue;
    }
    const points = lines.map((line) => {
      if ("problem" in line) throw new Error(`${textOf(input.text)}: ${line.problem}`);
      const scale = SCALES[input.precision] ?? 1n;
      const time = line.time === undefined ? integerOf(input.defaultTime) : line.time * scale;
      return { ...line, tags: byKey(line.tags), fields: byKey(line.fields), time };
    });
    const expected = (output.result ?? []).map((point) => ({
      measurement: textOf(point.name),
      tags: byKey(point.tags.map(({ key, value }) => [textOf(key), textOf(value)] as const)),
      fields: byKey(
        point.fields.map(({ key, value }) => [textOf(key), corpusValue(value)] as const),
      ),
      time: integerOf(point.time),
    }));
    if (textOf(input.text) in DEVIATIONS) {
      seen.push(textOf(input.text));
      expect(points).not.toEqual(expected);
    } else expect(points, textOf(input.text)).toEqual(expected);
  }
  expect(seen.toSorted()).toEqual(Object.keys(DEVIATIONS).toSorted());
});

test("all literal forms", () => {
  for (const text of ["t", "T", "true", "True", "TRUE"])
    expect(literalOf(text)).toEqual({ boolean: true });
  for (const text of ["f", "F", "false", "False", "FALSE"])
    expect(literalOf(text)).toEqual({ boolean: false });
  for (const text of [
    "1",
    "1.",
    ".5",
    "-1.5e3",
    "1e-7",
    "1E+5",
    "-0",
    "0.1",
    "123456789.123456789",
  ])
    expect(literalOf(text)).toEqual({ float: Number(text) });
  expect(literalOf("1.7976931348623157e308")).toEqual({ float: Number.MAX_VALUE });
  expect(literalOf("5e-324")).toEqual({ float: 5e-324 });
  expect(literalOf("9223372036854775807i")).toEqual({ integer: 2n ** 63n - 1n });
  expect(literalOf("-9223372036854775808i")).toEqual({ integer: -(2n ** 63n) });
  expect(literalOf("18446744073709551615u")).toEqual({ uinteger: 2n ** 64n - 1n });
  expect(literalOf('"a\\"b\\\\c\\nd\n e"')).toEqual({ text: 'a"b\\c\\nd\n e' });
  expect(literalOf('"aGVsbG8="b')).toEqual({ text: "aGVsbG8=" });
  expect(literalOf('[1i, 2.5,"x,]\\"",t]')).toEqual({ list: '[1i, 2.5,"x,]\\"",t]' });
  expect(literalOf("[]")).toEqual({ list: "[]" });
});

test.each([
  ..."NaN nan Inf +Inf -inf +5 1e400 -1e400 1.1.1 0x1 1_0 i u - . e5 1e tRUE truE tr yes".split(
    " ",
  ),
  ...["9223372036854775808i", "-9223372036854775809i", "18446744073709551616u", "-1u", "1.0i"],
  ...["[1", "[1,]", "[,]", "[[1]]", '["a]', "[x]", "", '"a"x'],
])("%s is no value", (literal) => {
  expect(read(`m v=${literal}`)).toHaveLength(1);
  expect(bad(`m v=${literal}`)).toHaveLength(1);
});

test("comments, blank lines, carriage returns, spaces", () => {
  const text = "# c\n\n \r\n  a v=1\r\n#\r\nb   v=2   7  \r\nc v=3\r";
  expect(good(text).map(({ measurement, time }) => [measurement, time])).toEqual([
    ["a", undefined],
    ["b", 7n],
    ["c", undefined],
  ]);
  expect(bad(text)).toEqual([]);
});

test("one bad line costs one line, and is named", () => {
  expect(good("a v=1\nbad\nb v=\nc v=1").map(({ measurement }) => measurement)).toEqual(["a", "c"]);
  expect(bad('a s="1\n2\n3"\nbad\nb v=').map(([line]) => line)).toEqual([4, 5]);
  expect(bad("a v=1 99999999999999999999")[0]?.[1]).toContain("64 bits");
});

test("text of a bad line is never read as a line", () => {
  const inner = "x\nforged v=1\n";
  for (const line of [
    `a v=,s="${inner}",w=1`,
    `a v=1,s="${inner}" notatime`,
    `a v=nope,l=["${inner}"],w=1`,
    `a,t= v=1,s="${inner}"`,
    `a v=1,s="${inner}",,`,
  ])
    expect(read(`${line}\nnext v=1`).map((l) => ("problem" in l ? "bad" : l.measurement))).toEqual([
      "bad",
      "next",
    ]);
});

test("a forgotten quote swallows nothing", () => {
  for (const text of [
    'a s="oops\nb v=1\nc v=2',
    'a s="oops\nb v=1\nc s="x",v=2',
    'a s="oops,v=1\nb v=1\nc s="",v=2',
    'a v=,s="oops\nb v=1\nc v=2',
    'a s=["oops\nb v=1\nc v=2',
  ]) {
    expect(good(text).map(({ measurement }) => measurement)).toEqual(["b", "c"]);
    expect(bad(text).map(([line]) => line)).toEqual([1]);
  }
});

test("not UTF-8, or the same tag twice: a bad line", () => {
  for (const bytes of [
    Buffer.from("m\xff v=1", "latin1"),
    Buffer.from('m s="\xc3"', "latin1"),
    Buffer.from('m s="\xed\xa0\x80"', "latin1"),
    Buffer.from('m s="\xc0\x80"', "latin1"),
    Buffer.from('m s="\xf4\x90\x80\x80"', "latin1"),
  ])
    expect("problem" in (readPoints(bytes)[0] ?? {})).toBe(true);
  expect(good('m,ä=ö s="😀\u07ff\uffff"')).toHaveLength(1);
  expect(bad("m,a=1,b=2,a=3 v=1")).toHaveLength(1);
  const many = Array.from({ length: 100 }, (_, i) => `t${i}=1`).join();
  expect(good(`m,${many} v=1`)).toHaveLength(1);
  expect(bad(`m,${many},t42=1 v=1`)).toHaveLength(1);
});

test("limits", () => {
  const x = (n: number) => "x".repeat(n);
  expect(good(`${x(65_536)} v=1`)).toHaveLength(1);
  expect(bad(`${x(65_537)} v=1\nm v=1`)).toHaveLength(1);
  expect(good(`m,t=${x(65_535)} v=1`)).toHaveLength(1);
  expect(bad(`m,t=${x(65_536)} v=1`)).toHaveLength(1);
  expect(bad(`m ${x(65_537)}=1`)).toHaveLength(1);
  expect(good(`m s="${x(1 << 20)}"`)).toHaveLength(1);
  expect(bad(`m s="${x((1 << 20) + 1)}",t=1`)).toHaveLength(1);
  const fields = (n: number) => Array.from({ length: n }, (_, i) => `f${i}=1`).join();
  expect(good(`m,a=b ${fields(9_999)}`)[0]?.fields).toHaveLength(9_999);
  expect(bad(`m,a=b ${fields(10_000)}\nm v=1`)).toHaveLength(1);
});

test("input made to be slow is read in linear time", async () => {
  const n = 200_000;
  for (const piece of ['a s="\n', "a v=[", '=["\\"', 'a ="\\"', "a v=,=[1,", '\\"=[', ",x=="]) {
    const bytes = Buffer.from(`m v=,${piece.repeat(n)}`);
    expect(await cpuMs(() => readPoints(bytes)), piece).toBeLessThan(3_000);
  }
});

test("the slow twin knows the same rules", () => {
  expect(readSlowly(Buffer.from('a,t=1 s="x\ny",v=2i 5\nbad'))).toEqual([
    ...good('a,t=1 s="x\ny",v=2i 5'),
    { bad: true, line: 3 },
  ]);
});

const { rounds, seed, limitMs } = fuzzRounds(25_000);

test(
  "fuzz: the fast reader equals the slow one, in a child with a kill timer",
  () => {
    const child = join(import.meta.dirname, "fuzz-child.ts");
    const run = spawnSync(process.execPath, [child, seed, rounds, CORPUS], { timeout: limitMs });
    expect(`${run.stdout}${run.stderr}`).toBe("");
    expect(run.status).toBe(0);
  },
  limitMs + 5_000,
);
