import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JsonPoints } from "../../../src/kit/doors/json-points.ts";
import { readJsonTime } from "../../../src/kit/doors/json-time.ts";
import { withSlack } from "../../../src/wire/slack.ts";
import { type Point, readPoints, type Value } from "../../line/points.ts";
import { fuzzInChild, fuzzRounds } from "../../support/child-fuzz.ts";
import { cpuMs } from "../../support/cpu.ts";

const json = new JsonPoints();
function read(text: string | Uint8Array) {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  const roomy = withSlack(Uint8Array.from(bytes)).fill(0xaa, bytes.length);
  json.read(roomy, new DataView(roomy.buffer), 0, bytes.length);
  expect(roomy.subarray(bytes.length).every((b) => b === 0xaa)).toBe(true);
  const { points, bad, firstBad, replacedTimes } = json;
  const lines = Buffer.from(json.bytes.subarray(0, json.length));
  return { points, bad, firstBad, replacedTimes, lines, read: readPoints(lines) };
}
const one = (text: string) => read(text).read[0] as Point;
const v = (n: bigint): Value => ({ integer: n });

describe("JSON points", () => {
  test("the point of the Dart Cloud document", () => {
    const { read: all, bad } = read(
      '{"measurement":"function_logs","tags":{"function_id":"550e8400","status":"success","version":1},"fields":{"duration_ms":1234,"cpu":0.50,"ok":true,"message":"a \\"b\\"\\n\\\\"},"timestamp":"2024-01-15T10:30:00.000Z"}',
    );
    expect(bad).toBe(0);
    expect(all).toEqual([
      {
        measurement: "function_logs",
        tags: [
          ["function_id", "550e8400"],
          ["status", "success"],
          ["version", "1"],
        ],
        fields: [
          ["duration_ms", v(1234n)],
          ["cpu", { float: 0.5 }],
          ["ok", { boolean: true }],
          ["message", { text: 'a "b"\n\\' }],
        ],
        time: 1_705_314_600_000_000_000n,
      },
    ]);
  });

  test("one object, an array, NDJSON, objects without anything between them, blanks and a comma at the end", () => {
    const p = (n: number) => `{"measurement":"m","fields":{"v":${n}}}`;
    for (const text of [
      `${p(1)}${p(2)}`,
      `[${p(1)},${p(2)}]`,
      `[\n ${p(1)} ,\r\n\t${p(2)},\n]\n`,
      `${p(1)}\n${p(2)}\n`,
      ` ${p(1)}\r\n\r\n${p(2)}`,
      `[${p(1)}]\n[${p(2)}]`,
    ]) {
      const { points, bad, read: all } = read(text);
      expect([points, bad]).toEqual([2, 0]);
      expect(all.map((point) => (point as Point).fields[0]?.[1])).toEqual([v(1n), v(2n)]);
    }
    expect(read("").points).toBe(0);
    expect(read("[]").points).toBe(0);
  });

  test("numbers keep 64 bits and their kind", () => {
    const numbers =
      "9223372036854775807,-9223372036854775808,18446744073709551615,18446744073709551616,1.0,1e3,-0,5";
    const { fields } = one(
      `{"measurement":"m","fields":{${numbers
        .split(",")
        .map((n, i) => `"f${i}":${n}`)
        .join()}}}`,
    );
    expect(fields.map(([, value]) => value)).toEqual([
      v(2n ** 63n - 1n),
      v(-(2n ** 63n)),
      { uinteger: 2n ** 64n - 1n },
      { float: 2 ** 64 },
      { float: 1 },
      { float: 1000 },
      v(0n),
      v(5n),
    ]);
    const { tags } = one(
      '{"measurement":"m","tags":{"a":9007199254740993,"b":1.50,"c":true,"d":null,"e":""},"fields":{"v":1}}',
    );
    expect(tags).toEqual([
      ["a", "9007199254740993"],
      ["b", "1.5"],
      ["c", "true"],
    ]);
  });

  test("of equal keys the last wins; objects and lists become JSON text; null is absent", () => {
    const { tags, fields } = one(
      '{"measurement":"x","measurement":"m","tags":{"a":"1","a":"2"},"fields":{"v":1,"v":"z","n":null,"l":[1.0,"a",{"b":9007199254740993}],"o":{"k":[]}}}',
    );
    expect(tags).toEqual([["a", "2"]]);
    expect(fields).toEqual([
      ["v", { text: "z" }],
      ["l", { text: '[1.0,"a",{"b":9007199254740993}]' }],
      ["o", { text: '{"k":[]}' }],
    ]);
  });

  test("other members are fields, behind which the point's own come first", () => {
    const { fields, time } = one(
      '{"measurement":"m","level":"info","v":1,"metadata":{"statusCode":200},"fields":{"v":2},"time":1705314600}',
    );
    expect(fields).toEqual([
      ["level", { text: "info" }],
      ["v", v(2n)],
      ["metadata", { text: '{"statusCode":200}' }],
    ]);
    expect(time).toBe(1_705_314_600_000_000_000n);
  });

  test("text stays text", () => {
    const nasty = ['a b,c="d" 1', "x\ny=1", "tag\\", "\\,", "ü😀", "#h", "\u0000"];
    for (const text of nasty) {
      const quoted = JSON.stringify(text);
      const { read: all, bad } = read(
        `{"measurement":${JSON.stringify(`m${text}`)},"tags":{${JSON.stringify(`t${text}`)}:${quoted}},"fields":{${JSON.stringify(`f${text}`)}:${quoted}}}`,
      );
      expect([all.length, bad]).toEqual([1, 0]);
      expect((all[0] as Point).fields[0]?.[1]).toEqual({ text });
    }
  });

  test.each([
    ['{"fields":{"v":1}}', /"measurement" is missing/],
    ['{"measurement":1,"fields":{"v":1}}', /"measurement" is missing or no text/],
    ['{"measurement":"","fields":{"v":1}}', /"measurement" is empty/],
    ['{"measurement":"m"}', /it has no field/],
    ['{"measurement":"m","fields":{"v":null}}', /it has no field/],
    ['{"measurement":"m","fields":[1]}', /"fields" is no object/],
    ['{"measurement":"m","tags":"t","fields":{"v":1}}', /"tags" is no object/],
    ['{"measurement":"m","fields":{"":1}}', /empty name/],
    ['{"measurement":"m","fields":{"v":1},"timestamp":"yesterday"}', /"timestamp" is no time/],
    ['{"measurement":"m","fields":{"v":1},"timestamp":true}', /"timestamp" is no time/],
    ['{"measurement":"m","fields":{"v":01}}', /not valid JSON/],
    ['{"measurement":"m"', /is not closed/],
    ["[1]", /a point is an object/],
    ["[[]]", /a point is an object/],
    ['["a,b]"]', /a point is an object/],
    [`${'{"a":'.repeat(65)}1${"}".repeat(65)}`, /nested deeper than 64/],
    [`{"measurement":"m","fields":{"v":"${"x".repeat(262_144)}"}}`, /longer than 262144 bytes/],
  ])("%.60s costs itself with a reason", (text, reason) => {
    const good = '{"measurement":"good","fields":{"v":1}}';
    for (const all of [text, `${text}\n${good}`, `${good}\n${text}`, `${good}\n${text}\n${good}`]) {
      const { points, bad, firstBad, read: kept } = read(all);
      expect([bad, points]).toEqual([1, kept.length + 1]);
      expect(kept.length).toBe(all.split('"good"').length - 1);
      expect(firstBad).toMatch(reason);
      expect(firstBad).toMatch(all.startsWith(good) ? /^point 2: / : /^point 1: /);
    }
  });

  test("nesting of 64 is taken", () => {
    const deep = `${"[".repeat(62)}1${"]".repeat(62)}`;
    expect(read(`{"measurement":"m","fields":{"v":${deep}}}`).bad).toBe(0);
  });

  test("invalid UTF-8, an array without end, a brace too few", () => {
    const good = '{"measurement":"m","fields":{"v":1}}';
    const broken = Buffer.concat([
      Buffer.from('{"measurement":"'),
      Buffer.from([0xff]),
      Buffer.from(`"}\n${good}`),
    ]);
    expect(read(broken)).toMatchObject({ points: 2, bad: 1, firstBad: "point 1: not valid UTF-8" });
    expect(read(`[${good},${good}`)).toMatchObject({ points: 3, bad: 1 });
    expect(read(`{"a":{\n${good}}\n${good}`)).toMatchObject({ bad: 2 });
    expect(read(`{"a":"x\n${good}\n${good}`)).toMatchObject({ points: 3, bad: 1 });
  });

  test("damage costs time in proportion to its length", async () => {
    const readAll = () => {
      for (const text of ["{\n", "{x\n", '{"a":[\n', "[\n{", "{}\n{"]) {
        const all = text.repeat(300_000 / text.length);
        expect(read(all).bad).toBeGreaterThan(0);
        expect(read(`${all}${"}".repeat(300_000)}`).bad).toBeGreaterThan(0);
      }
    };
    expect(await cpuMs(readAll)).toBeLessThan(4_000);
  });

  test("read in steps, the points and counts of all steps are those of one go", () => {
    const p = (n: number) =>
      n % 7 === 0 ? `{"n":${n}}` : `{"measurement":"m","fields":{"v":${n}}}`;
    const text = `[${Array.from({ length: 500 }, (_, i) => p(i)).join()}]`;
    const whole = read(text);
    const roomy = withSlack(Buffer.from(text));
    for (const size of [1, 100, 5_000, 1_000_000]) {
      json.begin(roomy, new DataView(roomy.buffer, roomy.byteOffset), 0, text.length);
      let lines = "";
      let bad = 0;
      let steps = 1;
      for (let isMore = true; isMore; steps++) {
        isMore = json.readSome(size);
        lines += Buffer.from(json.bytes.subarray(0, json.length));
        bad += json.bad;
      }
      expect([lines, bad, json.points]).toEqual([whole.lines.toString(), whole.bad, 500]);
      expect(steps).toBeGreaterThan(text.length / (size + 100));
    }
  });

  test("a time that int64 nanoseconds cannot hold is left out and counted", () => {
    const { read: all, replacedTimes } = read(
      '{"measurement":"m","fields":{"v":1},"timestamp":"2500-01-01T00:00:00Z"}',
    );
    expect([(all[0] as Point).time, replacedTimes]).toEqual([undefined, 1]);
  });
});

test.each<[string, bigint | undefined]>([
  ["2024-01-15T10:30:00Z", 1_705_314_600_000_000_000n],
  ["2024-01-15T10:30:00.123456789Z", 1_705_314_600_123_456_789n],
  ["2024-01-15t10:30:00.1+02:00", 1_705_307_400_100_000_000n],
  ["2024-01-15 10:30:00.123456", 1_705_314_600_123_456_000n],
  ["2024-01-15T10:30:00-0130", 1_705_320_000_000_000_000n],
  ["1969-12-31T23:59:59.5Z", -500_000_000n],
  ["2024-02-30T00:00:00Z", undefined],
  ["2024-13-01T00:00:00Z", undefined],
  ["2024-01-15T25:00:00Z", undefined],
  ["2024-01-15", undefined],
  ["1705314600", 1_705_314_600_000_000_000n],
  ["1705314600.25", 1_705_314_600_250_000_000n],
  ["1705314600123", 1_705_314_600_123_000_000n],
  ["1705314600123.5", 1_705_314_600_123_500_000n],
  ["1705314600123456", 1_705_314_600_123_456_000n],
  ["1705314600123456789", 1_705_314_600_123_456_789n],
  ["-1.5", -1_500_000_000n],
  ["1.7053146e9", 1_705_314_600_000_000_000n],
  ["0", 0n],
  ["", undefined],
  ["1e400", undefined],
  ["soon", undefined],
])("the time %s", (text, nanos) => {
  expect(readJsonTime(text)).toBe(nanos);
});

test("any points as JSON are the points that are read", () => {
  const name = fc.stringMatching(/^[a-z ,=.é"]{1,8}$/);
  const value = fc.oneof(
    fc
      .string({ unit: "binary", maxLength: 12 })
      .filter((s) => s.isWellFormed())
      .map((text): [unknown, Value] => [text, { text }]),
    fc.integer().map((n): [unknown, Value] => [n, v(BigInt(n))]),
    fc
      .double({ noNaN: true, noDefaultInfinity: true, noInteger: true })
      .map((float): [unknown, Value] => [float, { float }]),
    fc.boolean().map((boolean): [unknown, Value] => [boolean, { boolean }]),
  );
  const point = fc.record({
    measurement: name.map((m) => `m${m}`),
    tags: fc.dictionary(name, name, { maxKeys: 3 }),
    fields: fc.dictionary(name, value, { minKeys: 1, maxKeys: 4 }),
    time: fc.bigInt({ min: 10n ** 16n, max: 2n ** 63n - 1n }),
  });
  fc.assert(
    fc.property(
      fc.array(point, { maxLength: 4 }),
      fc.constantFrom("\n", ",", " "),
      (points, between) => {
        const texts = points.map(({ measurement, tags, fields, time }) => {
          const plain = Object.fromEntries(
            Object.entries(fields).map(([key, [raw]]) => [key, raw]),
          );
          return `{"timestamp":${time},"measurement":${JSON.stringify(measurement)},"tags":${JSON.stringify(tags)},"fields":${JSON.stringify(plain)}}`;
        });
        const { read: all, bad } = read(
          between === "," ? `[${texts.join(between)}]` : texts.join(between),
        );
        expect(bad).toBe(0);
        expect(all).toEqual(
          points.map(({ measurement, tags, fields, time }) => ({
            measurement,
            tags: Object.entries(tags),
            fields: Object.entries(fields).map(([key, [, literal]]) => [key, literal]),
            time,
          })),
        );
      },
    ),
    { numRuns: 300 },
  );
});

const fuzz = fuzzRounds(4_000);

test(
  "fuzz: damaged JSON in a child with a kill timer",
  () => fuzzInChild("fuzz-json-points.ts", fuzz),
  fuzz.limitMs + 5_000,
);
