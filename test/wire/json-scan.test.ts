import fc from "fast-check";
import { expect, test } from "vitest";
import { JsonNumbers, NO_NUMBER } from "../../src/wire/json-numbers.ts";
import { JsonScan } from "../../src/wire/json-scan.ts";
import { SLACK } from "../../src/wire/slack.ts";

/** A scan over `text` with what looks like more JSON behind it. */
function scanOf(text: string | Uint8Array): JsonScan {
  const content = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const bytes = new Uint8Array(content.length + SLACK).fill(0x31);
  bytes.set(content);
  const scan = new JsonScan();
  scan.begin(bytes, new DataView(bytes.buffer), content.length);
  return scan;
}

/** Whether the whole of `text` is one value. */
function isValue(text: string): boolean {
  const scan = scanOf(text);
  const end = scan.skip(0);
  return end >= 0 && scan.space(end) === scan.end;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** JSON text, with a piece of it replaced or left out. */
const damaged = fc
  .tuple(
    fc.json(),
    fc.nat(),
    fc.nat(8),
    fc.constantFrom(
      "",
      '"',
      "\\",
      "{",
      "]",
      ",",
      ":",
      "0",
      "e",
      "-",
      ".",
      "\u0001",
      "\\u12",
      "tru",
      " ",
    ),
  )
  .map(([text, at, length, piece]) => {
    const from = at % (text.length + 1);
    return text.slice(0, from) + piece + text.slice(from + length);
  })
  .filter((text) => text.isWellFormed());

test("the skipper takes what JSON.parse takes, and nothing else", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(isValue(text)).toBe(true);
    }),
  );
  fc.assert(
    fc.property(damaged, (text) => {
      expect(isValue(text)).toBe(isJson(text));
    }),
    { numRuns: 3_000 },
  );
});

test("texts are unescaped as JSON.parse does it; halves of surrogate pairs become U+FFFD", () => {
  const content = fc.oneof(
    fc.string({ unit: "binary", maxLength: 30 }).map((text) => JSON.stringify(text)),
    fc
      .array(fc.constantFrom("\\ud83d", "\\ude00", "\\u00e9", "\\n", "\\/", "x", "😀", "\\u0000"))
      .map((parts) => `"${parts.join("")}"`),
  );
  fc.assert(
    fc.property(content, (json) => {
      const scan = scanOf(json);
      const target = new Uint8Array(200);
      const end = scan.text(1, new DataView(target.buffer), 0);
      expect(end).toBe(scan.end);
      expect(scan.textEnd(1)).toBe(end);
      const expected = (JSON.parse(json) as string).toWellFormed();
      expect(
        new TextDecoder("utf-8", { ignoreBOM: true }).decode(target.subarray(0, scan.written)),
      ).toBe(expected);
    }),
    { numRuns: 300 },
  );
});

test("a value that is skipped in pauses ends where it does without them", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), fc.integer({ min: 1, max: 20 }), (text, step) => {
      const scan = scanOf(text);
      const end = scan.skip(0);
      let p = scan.skipSome(0, step);
      while (scan.openBrackets > 0) p = scan.skipSome(p, p + step);
      expect(p).toBe(end);
    }),
  );
});

test("nesting is limited, and what is wrong has a place", () => {
  const nested = (depth: number) => `${"[".repeat(depth)}1${"]".repeat(depth)}`;
  expect(isValue(nested(8_192))).toBe(true);
  const scan = scanOf(nested(8_193));
  expect([scan.skip(0), scan.failedAt, scan.expected]).toEqual([
    -1,
    8_193,
    "at most 8192 open brackets",
  ]);
  const open = scanOf('{"a":[1,"x');
  expect([open.skip(0), open.failedAt, open.expected]).toEqual([-1, 10, "the end of a text"]);
});

test("the memory behind the text is as it was after a release", () => {
  const scan = scanOf("1");
  const { bytes } = scan;
  expect(scan.skip(0)).toBe(1);
  scan.release();
  expect([...bytes]).toEqual(Array.from({ length: 1 + SLACK }, () => 0x31));
  expect(() => new JsonScan().begin(bytes, new DataView(bytes.buffer), 10)).toThrow(
    "no room for a sentinel",
  );
});

function integer(text: string): bigint | "none" | "over" | "no JSON" {
  const scan = scanOf(text);
  const numbers = new JsonNumbers(scan);
  const end = numbers.integer(0);
  if (end === -1) return "no JSON";
  if (end === NO_NUMBER) return "none";
  if (numbers.isOver) return "over";
  expect(end).toBe(scan.end);
  const size = (BigInt(numbers.high >>> 0) << 32n) | BigInt(numbers.low >>> 0);
  return numbers.isNegative ? -size : size;
}

test("integers of 64 bits are exact, bare and in quotes, with exponents and empty fractions", () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(2n ** 64n) + 1n, max: 2n ** 64n - 1n }),
      fc.nat(22),
      fc.boolean(),
      (value, zeros, isQuoted) => {
        const quote = isQuoted ? '"' : "";
        expect(integer(quote + value + quote)).toBe(value);
        expect(integer(`${quote}${value}.${"0".repeat(zeros + 1)}${quote}`)).toBe(value);
        const digits = value === 0n ? "0" : `${value}${"0".repeat(zeros)}`;
        expect(integer(`${quote}${digits}E-${zeros}${quote}`)).toBe(value);
      },
    ),
  );
  expect(["1e3", '"1E+3"', "1.5e1", "0.0e99", "-0", '"007"', '"\\u0031"'].map(integer)).toEqual([
    1000n,
    1000n,
    15n,
    0n,
    0n,
    7n,
    1n,
  ]);
  expect(
    ["1.5", '"1.5"', '""', '"x"', '"1 "', "true", "{", '"0x10"', "5e-1", '"+1"'].map(integer),
  ).toEqual(Array.from({ length: 10 }, () => "none"));
  expect(
    ["18446744073709551616", "1e20", "1e999999999", `"${"9".repeat(400)}"`].map(integer),
  ).toEqual(Array.from({ length: 4 }, () => "over"));
  expect(["01", "-", "1.", '"1', "1e", "-01"].map(integer)).toEqual(
    Array.from({ length: 6 }, () => "no JSON"),
  );
});

function float(text: string): number | "none" | "no JSON" {
  const scan = scanOf(text);
  const numbers = new JsonNumbers(scan);
  const end = numbers.float(0);
  if (end < 0) return end === NO_NUMBER ? "none" : "no JSON";
  expect(end).toBe(scan.end);
  return numbers.double[0] as number;
}

test("doubles are those that JavaScript reads", () => {
  const decimal = fc.oneof(
    fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .map((value) => (Object.is(value, -0) ? "-0" : String(value))),
    fc
      .tuple(fc.nat(), fc.nat(), fc.integer({ min: -340, max: 310 }))
      .map(([a, b, e]) => `${a}.${b}e${e}`),
    fc
      .tuple(fc.bigInt({ min: 0n, max: 10n ** 20n }), fc.bigInt({ min: 0n, max: 10n ** 25n }))
      .map(([a, b]) => `${a}.${b}`),
  );
  fc.assert(
    fc.property(decimal, (text) => {
      expect(float(text)).toBe(Number(text));
      expect(float(`"${text}"`)).toBe(Number(text));
    }),
    { numRuns: 2_000 },
  );
  expect(['"NaN"', '"Infinity"', '"-Infinity"', '"+Inf"', '"-inf"'].map(float)).toEqual([
    Number.NaN,
    Infinity,
    -Infinity,
    Infinity,
    -Infinity,
  ]);
  expect(["1e400", "-1e400"].map(float)).toEqual([Infinity, -Infinity]);
  expect(['""', '" 1"', '"0x1"', "null", "[1]", '"1e"', '"."'].map(float)).toEqual(
    Array.from({ length: 7 }, () => "none"),
  );
  expect(["NaN", "Infinity", ".5", "1.", "00.5"].map((text) => float(text))).toEqual([
    "none",
    "none",
    "none",
    "no JSON",
    "no JSON",
  ]);
});
