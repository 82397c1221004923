import fc from "fast-check";
import { expect, test } from "vitest";
import { JsonPoints } from "../../../src/kit/doors/json-points.ts";
import { readJsonTime } from "../../../src/kit/doors/json-time.ts";
import { NameTexts } from "../../../src/kit/doors/name-texts.ts";
import { isSmallInteger, literalOf } from "../../../src/kit/doors/point-lines.ts";
import { withSlack } from "../../../src/wire/slack.ts";
import { type Point, readPoints } from "../../line/points.ts";

const json = new JsonPoints();

/** What becomes of a point with this time, as JSON: the time of its line, "none" for a line without, "replaced", "bad". */
function timeOf(time: string): bigint | string {
  const roomy = withSlack(Uint8Array.from(Buffer.from(`{"measurement":"m","v":1,"time":${time}}`)));
  json.read(roomy, new DataView(roomy.buffer), 0, roomy.length - 16);
  if (json.bad > 0) return "bad";
  const [point] = readPoints(Buffer.from(json.bytes.subarray(0, json.length)));
  const read = (point as Point).time;
  if (json.replacedTimes > 0) return read === undefined ? "replaced" : "both";
  return read ?? "none";
}

/** The same by way of strings and BigInt. */
function slowTimeOf(text: string): bigint | string {
  const nanos = text.length > 64 ? undefined : readJsonTime(text);
  if (nanos === undefined) return "bad";
  return nanos >= -(2n ** 63n) && nanos < 2n ** 63n ? nanos : "replaced";
}

const two = fc.integer({ min: 0, max: 70 }).map((n) => String(n).padStart(2, "0"));
const date = fc
  .tuple(
    fc.constantFrom("2024", "1969", "1677", "2262", "2300", "1600", "2000"),
    fc.constantFrom("01", "02", "12", "00", "13"),
    fc.constantFrom("01", "28", "29", "30", "31", "32", "00"),
    fc.constantFrom("T", "t", " ", "_"),
    fc.tuple(two, two, two),
    fc.constantFrom("", ".", ".1", ".123456789", ".1234567891"),
    fc.constantFrom("", "Z", "z", "+02:00", "-0530", "+24:00", "+1"),
  )
  .map(
    ([year, month, day, t, clock, fraction, zone]) =>
      `${year}-${month}-${day}${t}${clock.join(":")}${fraction}${zone}`,
  );
const number = fc
  .tuple(
    fc.constantFrom("", "-"),
    fc.bigInt({ min: 0n, max: 10n ** 21n }),
    fc.integer({ min: 0, max: 21 }),
    fc.constantFrom("", ".5", ".123456789", ".0000000001", "e3", "E-2", "e"),
  )
  .map(([sign, digits, length, tail]) => `${sign}${digits % 10n ** BigInt(length)}${tail}`);

test("times are those that strings and BigInt give", () => {
  fc.assert(
    fc.property(fc.oneof(date, number), (text) => {
      expect(timeOf(JSON.stringify(text)), text).toEqual(slowTimeOf(text));
    }),
    { numRuns: 2_000 },
  );
  fc.assert(
    fc.property(
      number.filter((text) => !text.endsWith("e")),
      (text) => {
        expect(timeOf(text), text).toEqual(slowTimeOf(text));
      },
    ),
    { numRuns: 1_000 },
  );
});

test("a time with an escape is read without it; no time is none", () => {
  expect(timeOf('"2024-01-15T10:30:00\\u005a"')).toBe(1_705_314_600_000_000_000n);
  expect(timeOf("null")).toBe("none");
  expect(timeOf('""')).toBe("bad");
  expect(timeOf(`"${"1".repeat(65)}"`)).toBe("bad");
});

test("names are the texts of their bytes, also where others have their place", () => {
  const names = new NameTexts();
  const text = (name: string) => {
    const bytes = Buffer.from(name);
    const around = Uint8Array.from([...bytes, 0x61, 0x62]);
    return names.get(around, bytes.length);
  };
  expect(text("")).toBe("");
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.string(), fc.string({ unit: "grapheme" }))), (all) => {
      for (const name of [...all, ...all]) expect(text(name)).toBe(name);
    }),
  );
  for (let i = 0; i < 2_000; i++) expect(text(`name-${i % 700}`)).toBe(`name-${i % 700}`);
  expect(text("x".repeat(1_000))).toBe("x".repeat(1_000));
});

test("small integers are those that the field's text says, too", () => {
  for (const source of ["0", "-0", "-1", "7", "-5", "123456789012345", "1234567890123456"]) {
    const bytes = Buffer.from(source);
    const isSmall = isSmallInteger(bytes, 0, bytes.length);
    expect(isSmall, source).toBe(source !== "-0" && source.length <= 15);
    if (isSmall) expect(literalOf(source)).toBe(`${source}i`);
  }
  for (const source of ["1.0", "1e3", "true", "null"])
    expect(isSmallInteger(Buffer.from(source), 0, source.length)).toBe(false);
});
