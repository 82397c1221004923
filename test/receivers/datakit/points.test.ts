import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type PointFormat, readerOf } from "../../../src/receivers/datakit/point-sources.ts";
import { withSlack } from "../../../src/wire/slack.ts";
import { type Point, readPoints, type Value } from "../../line/points.ts";
import { fuzzInChild, fuzzRounds } from "../../support/child-fuzz.ts";
import { anyOf, encodePoints } from "../../support/datakit-proto.ts";

const SEEDS = new URL("../../fixtures/seeds/datakit/", import.meta.url);

function read(format: Exclude<PointFormat, "lines">, content: string | Uint8Array, step?: number) {
  const bytes = Buffer.from(content);
  const roomy = withSlack(Uint8Array.from(bytes));
  const reader = readerOf(format, { bytes: roomy, length: bytes.length });
  const points: ReturnType<typeof readPoints> = [];
  let bad = 0;
  let firstBad = "";
  for (let isMore = true; isMore; ) {
    isMore = reader.readSome(step ?? Number.POSITIVE_INFINITY);
    points.push(...readPoints(Buffer.from(reader.bytes.subarray(0, reader.length))));
    bad += reader.bad;
    firstBad ||= reader.firstBad;
  }
  return { points, bad, firstBad };
}
const int = (n: bigint): Value => ({ integer: n });
const text = (value: string): Value => ({ text: value });

test("the JSON of DataKit's documentation", () => {
  const { points, bad } = read("json", readFileSync(new URL("write.json", SEEDS)));
  expect(bad).toBe(0);
  const time = 1_624_550_216_000_000_000n;
  const tags: [string, string][] = [
    ["t1", "b"],
    ["t2", "d"],
  ];
  const fields: [string, Value][] = [
    ["f1", { float: 123 }],
    ["f2", { float: 3.4 }],
    ["f3", text("strval")],
  ];
  const more: [string, Value][] = [
    ["f4", { boolean: false }],
    ["f5", text("[1,2,3,4]")],
    ["f6", text('["str1","str2","str3"]')],
  ];
  expect(points).toEqual([
    { measurement: "abc", tags, fields, time },
    { measurement: "def", tags, fields: [...fields, ...more], time },
  ]);
});

/** The point of DataKit's PBJSON example. */
const DOCUMENTED: Point = {
  measurement: "abc",
  tags: [["some-tag", "v1"]],
  fields: [
    ["say", text("hello")],
    ["some-flag", { boolean: false }],
    ["binary-data", text("aGVsbG8gd29ybGQ=")],
    ["int-arr", text("[1,2,3]")],
    ["large-int", int(1_234_567_890n)],
    ["large-bytes", { uinteger: 1_234_567_890n }],
    ["pi", { float: 3.14 }],
  ],
  time: 1_709_523_668_830_398_000n,
};

test("the PBJSON of DataKit's documentation", () => {
  const { points, bad } = read("json", readFileSync(new URL("write.pbjson.json", SEEDS)));
  expect([points, bad]).toEqual([[DOCUMENTED], 0]);
});

test("the same as protobuf", () => {
  const bytes = encodePoints([
    {
      name: "abc",
      fields: [
        { key: "say", s: "hello" },
        { key: "some-flag", b: false },
        { key: "binary-data", d: "aGVsbG8gd29ybGQ=" },
        { key: "int-arr", a: anyOf("Array", { arr: [{ i: "1" }, { i: "2" }, { i: "3" }] }) },
        { key: "large-int", i: "1234567890" },
        { key: "large-bytes", u: "1234567890", type: 1, unit: "kb" },
        { key: "some-tag", s: "v1", isTag: true },
        { key: "pi", f: 3.14 },
      ],
      time: "1709523668830398000",
      warns: [{ type: "t", msg: "m" }],
    },
  ]);
  expect(read("protobuf", bytes)).toEqual({ points: [DOCUMENTED], bad: 0, firstBad: "" });
});

test("lists and maps of every kind are the same JSON text in both formats", () => {
  const kinds = {
    a: { i: "-5" },
    b: { u: "18446744073709551615" },
    c: { f: -0.5 },
    d: { b: true },
  };
  const map = { ...kinds, 'e"': { s: 'x"\n' }, f: { d: "aGk=" }, g: {} };
  const wanted =
    '{"a":-5,"b":18446744073709551615,"c":-0.5,"d":true,"e\\"":"x\\"\\n","f":"aGk=","g":null}';
  const arr = Object.values(map);
  const pairs = (maps: object, lists: object) => [
    {
      name: "m",
      fields: [
        { key: "map", a: maps },
        { key: "list", a: lists },
      ],
    },
  ];
  const json = JSON.stringify(pairs({ "@type": "point.Map", map }, { arr }));
  const bytes = encodePoints(pairs(anyOf("Map", { map }), anyOf("Array", { arr })));
  for (const { points, firstBad } of [read("json", json), read("protobuf", bytes)]) {
    expect(firstBad).toBe("");
    const [point] = points as [Point];
    expect(point.fields[0]).toEqual(["map", text(wanted)]);
    expect(point.fields[1]?.[1]).toEqual(
      text('[-5,18446744073709551615,-0.5,true,"x\\"\\n","aGk=",null]'),
    );
  }
});

test.each([
  ["no name", [{ fields: [{ key: "v", i: "1" }] }], "__default"],
  ["an empty name", [{ name: "", fields: [{ key: "v", i: "1" }] }], "__default"],
])("%s: the measurement that DataKit gives", (_what, points, name) => {
  for (const { points: found } of [
    read("json", JSON.stringify(points)),
    read("protobuf", encodePoints(points)),
  ])
    expect(found).toMatchObject([{ measurement: name, time: undefined }]);
  expect(read("json", '[{"fields":{"v":1}}]').points).toMatchObject([{ measurement: "__default" }]);
});

const GOOD = { name: "m", fields: [{ key: "v", i: "1" }] };
test.each<[unknown, string]>([
  [{ name: 5, fields: [] }, '"name" is no text'],
  [{ name: "m", fields: [] }, "it has no field"],
  [{ name: "m", fields: [{ key: "t", s: "x", is_tag: true }] }, "it has no field"],
  [{ name: "m", fields: [5] }, '"fields" has an element that is no object'],
  [{ name: "m", fields: [{ i: "1" }] }, 'a field has no "key", or it is no text'],
  [{ name: "m", fields: [{ key: 7, i: "1" }] }, 'a field has no "key", or it is no text'],
  [{ name: "m", fields: [{ key: "", i: "1" }] }, "a tag or field has an empty name"],
  [{ name: "m", fields: [{ key: "v" }] }, 'field "v" has no value: one of s, i, u, f, b, d, a'],
  [{ name: "m", fields: [{ key: "v", is_tag: true }] }, 'tag "v" has no value'],
  [{ name: "m", fields: [{ key: "v", i: "1.5" }] }, '"v" is no whole number'],
  [{ name: "m", fields: [{ key: "v", i: "9223372036854775808" }] }, '"v" does not fit in 64 bits'],
  [{ name: "m", fields: [{ key: "v", u: "-1" }] }, '"v" does not fit in 64 bits without a sign'],
  [{ name: "m", fields: [{ key: "v", f: "NaN" }] }, '"f" of "v" is no number that a row can hold'],
  [{ name: "m", fields: [{ key: "v", f: {} }] }, '"f" of "v" is no number that a row can hold'],
  [{ name: "m", fields: [{ key: "v", a: { arr: 5 } }] }, '"a" of "v" has no list'],
  [{ name: "m", fields: [{ key: "v", a: { arr: [5] } }] }, '"a" of "v" has no values'],
  [{ ...GOOD, time: "x" }, '"time" is no whole number'],
  [{ ...GOOD, time: "9223372036854775808" }, '"time" does not fit in 64 bits'],
])("PBJSON: %j costs itself", (point, why) => {
  const { points, bad, firstBad } = read("json", JSON.stringify([GOOD, point, GOOD]));
  expect([points.length, bad, firstBad]).toEqual([2, 1, `point 2: ${why}`]);
});

const hex = (digits: string) => Buffer.from(digits.replaceAll(" ", ""), "hex");
const goodBytes = encodePoints([GOOD]);
test.each<[string, Uint8Array, string]>([
  ["a name that is a number", hex("0a 02 08 05"), "field 1 is not a text"],
  ["a time that is a text", hex("0a 03 1a 01 61"), "field 3 is not a whole number"],
  ["a field that is a number", hex("0a 02 10 05"), "field 2 is not a message"],
  ["a point that is a number", hex("08 05"), "field 1 is not a message"],
  ["a key that is no UTF-8", hex("0a 05 12 03 0a 01 ff"), "field 1 is not valid UTF-8"],
  ["a text that is no UTF-8", hex("0a 08 12 06 0a 01 76 5a 01 ff"), "field 11 is not valid UTF-8"],
  ["a field without a value", encodePoints([{ fields: [{ key: "v" }] }]), 'field "v" has no value'],
  ["no fields", encodePoints([{ name: "m" }]), "it has no field"],
  [
    "NaN",
    encodePoints([{ fields: [{ key: "v", f: Number.NaN }] }]),
    '"v" is NaN: no row can hold that',
  ],
  [
    "a nested length beyond the point",
    hex("0a 04 12 05 0a 00"),
    "not valid protobuf: a value is longer than what it is in, at byte 3",
  ],
])("protobuf: %s costs itself", (_what, bytes, why) => {
  const all = Buffer.concat([goodBytes, bytes, goodBytes]);
  const { points, bad, firstBad } = read("protobuf", all);
  const at = goodBytes.length;
  const moved = why.replace("byte 3", `byte ${at + 3}`);
  expect([points.length, bad, firstBad]).toEqual([2, 1, `point 2: ${moved}`]);
});

test.each<[string, Uint8Array, string]>([
  ["a length beyond the end", hex("0a 7f 0a"), "a value is longer than what it is in"],
  ["a number without an end", hex("ff ff ff ff ff ff ff ff ff ff ff"), "a number has no end"],
  ["a huge length", hex("0a ff ff ff ff ff ff ff ff 7f"), "a value is longer than what it is in"],
  ["a group", hex("0b"), "no wire type 3 is used"],
])("protobuf: behind %s nothing is read", (_what, bytes, why) => {
  const { points, bad, firstBad } = read("protobuf", Buffer.concat([goodBytes, bytes]));
  expect([points.length, bad]).toEqual([1, 1]);
  expect(firstBad).toBe(`point 2: not valid protobuf: ${why}, at byte ${goodBytes.length + 1}`);
});

test("protobuf: ten times the fields of a line, and lists ten times as long, cost a point", () => {
  const many = { fields: Array.from({ length: 100_000 }, (_, i) => ({ key: `k${i}`, i: "1" })) };
  const long = {
    fields: [{ key: "v", a: anyOf("Array", { arr: [{ s: "x".repeat(10 << 20) }] }) }],
  };
  const { points, bad, firstBad } = read("protobuf", encodePoints([many, GOOD, long, GOOD]));
  expect([points.length, bad]).toEqual([2, 2]);
  expect(firstBad).toBe("point 1: it has more than 10000 tags and fields");
});

const key = fc.string({ minLength: 1, maxLength: 6, unit: fc.constantFrom(...'abc=, ü\\\n"') });
const legalKey = key.filter((k) => !/[\\\n]/.test(k));
const value = fc.oneof(
  fc.record({ s: fc.string({ unit: "grapheme" }) }),
  fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map((i) => ({ i: String(i) })),
  fc.bigInt(0n, 2n ** 64n - 1n).map((u) => ({ u: String(u) })),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((f) => ({ f })),
  fc.record({ b: fc.boolean() }),
  fc.uint8Array().map((d) => ({ d: Buffer.from(d).toString("base64") })),
);
const pbPoint = fc.record({
  name: legalKey.map((k) => `m${k}`),
  fields: fc
    .uniqueArray(fc.tuple(legalKey, value, fc.boolean()), {
      minLength: 1,
      maxLength: 8,
      selector: ([k]) => k,
    })
    .map((fields) => fields.map(([k, v, isTag]) => ({ key: k, ...v, isTag }))),
  time: fc.bigInt(1n, 2n ** 63n - 1n).map(String),
});

test("any points are the same as PBJSON and as protobuf, in one go and in steps", () => {
  fc.assert(
    fc.property(
      fc.array(pbPoint, { maxLength: 5 }),
      fc.integer({ min: 1, max: 60 }),
      (points, n) => {
        const asJson = points.map(({ fields, ...rest }) => ({
          ...rest,
          fields: fields.map(({ isTag, ...field }) => ({ ...field, is_tag: isTag })),
        }));
        const json = read("json", JSON.stringify(asJson));
        const bytes = read("protobuf", encodePoints(points));
        expect(bytes.points).toEqual(json.points);
        expect(bytes.bad).toBe(json.bad);
        expect(bytes.bad + bytes.points.length).toBe(points.length);
        expect(read("protobuf", encodePoints(points), n)).toEqual(bytes);
      },
    ),
    { numRuns: 300 },
  );
});

test.each(["json", "protobuf"] as const)("%s: cut anywhere, what is whole is read", (format) => {
  const points = [GOOD, GOOD, { ...GOOD, time: "5" }];
  const bytes = format === "json" ? Buffer.from(JSON.stringify(points)) : encodePoints(points);
  for (let end = 0; end <= bytes.length; end++) {
    const { points: found, bad } = read(format, bytes.subarray(0, end));
    expect(found.length).toBeLessThanOrEqual(points.length);
    const isWhole = end === 0 || end === bytes.length;
    if (isWhole) expect(bad).toBe(0);
    for (const point of found) expect(point).toMatchObject({ measurement: "m" });
  }
});

const fuzz = fuzzRounds(6_000);

test(
  "fuzz: damaged points of every format in a child with a kill timer",
  () => fuzzInChild("fuzz-datakit-points.ts", fuzz),
  fuzz.limitMs + 5_000,
);
