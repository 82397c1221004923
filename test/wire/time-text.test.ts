import fc from "fast-check";
import { expect, test } from "vitest";
import { readJsonTime } from "../../src/kit/doors/json-time.ts";
import { TimeKind, TimeText } from "../../src/wire/time-text.ts";

const reader = new TimeText();
const INT64 = 2n ** 63n;

function read(text: string): bigint | "none" | "outOfRange" {
  const bytes = Buffer.from(`x${text}0000000000000000`);
  const kind = reader.read(bytes, 1, 1 + Buffer.byteLength(text));
  if (kind === TimeKind.none) return "none";
  if (kind === TimeKind.outOfRange) return "outOfRange";
  return (BigInt(reader.high) << 32n) | BigInt(reader.low >>> 0);
}

/** What the slow reader of JSON points says. */
function slowly(text: string): ReturnType<typeof read> {
  const nanos = text.length > 64 || /[eE]/.test(text) ? undefined : readJsonTime(text);
  if (nanos === undefined) return "none";
  return nanos >= -INT64 && nanos < INT64 ? nanos : "outOfRange";
}

test.each([
  ["2024-01-15T10:30:00.123456Z", 1_705_314_600_123_456_000n],
  ["2024-01-15 10:30:00.123456", 1_705_314_600_123_456_000n],
  ["2024-01-15t10:30:00z", 1_705_314_600_000_000_000n],
  ["2024-10-12T18:06:13.123000+08:00", 1_728_727_573_123_000_000n],
  ["2024-10-12T18:06:13-0130", 1_728_761_773_000_000_000n],
  ["2016-12-31T23:59:60Z", 1_483_228_800_000_000_000n],
  ["1969-12-31T23:59:59.999999999Z", -1n],
  ["2262-04-11T23:47:16.854775807Z", INT64 - 1n],
  ["1705314600", 1_705_314_600_000_000_000n],
  ["1705314600.5", 1_705_314_600_500_000_000n],
  ["1795241804.568441", 1_795_241_804_568_441_000n],
  ["1705314600123", 1_705_314_600_123_000_000n],
  ["1705314600123.25", 1_705_314_600_123_250_000n],
  ["1705314600123456", 1_705_314_600_123_456_000n],
  ["1705314600123456789", 1_705_314_600_123_456_789n],
  ["-1.5", -1_500_000_000n],
  ["0", 0n],
])("%s", (text, nanos) => {
  expect(read(text)).toBe(nanos);
  expect(slowly(text)).toBe(nanos);
});

test.each([
  ["2262-04-11T23:47:16.854775808Z", "outOfRange"],
  ["1500-01-01T00:00:00Z", "outOfRange"],
  ["9300000000000000000", "outOfRange"],
  ["9".repeat(40), "outOfRange"],
  ["2023-02-29T00:00:00Z", "none"],
  ["2024-13-01T00:00:00Z", "none"],
  ["2024-01-15T24:00:00Z", "none"],
  ["2024-01-15T10:30:00.Z", "none"],
  ["2024-01-15T10:30:00+24:00", "none"],
  ["2024-01-15T10:30:00 UTC", "none"],
  ["2024-01-15", "none"],
  ["", "none"],
  ["1.", "none"],
  [".5", "none"],
  ["-", "none"],
  ["yesterday", "none"],
  ["1".repeat(65), "none"],
])("%s is %s", (text, kind) => {
  expect(read(text)).toBe(kind);
});

test("dates and numbers are what the slow reader makes of them", () => {
  const two = (most: number) =>
    fc.integer({ min: 0, max: most }).map((n) => `${n}`.padStart(2, "0"));
  const date = fc
    .tuple(
      fc.integer({ min: 100, max: 9999 }),
      ...([13, 32, 25, 61, 61].map(two) as [fc.Arbitrary<string>]),
      fc.constantFrom("", ".1", ".123456789", ".9999999999", "."),
      fc.constantFrom("Z", "", "z", "+01:30", "-2359", "+1", "x"),
    )
    .map(([year, month, ...rest]) => {
      const [day, hour, minute, second, fraction, zone] = rest as unknown[] as string[];
      return `${`${year}`.padStart(4, "0")}-${month}-${day}T${hour}:${minute}:${second}${fraction}${zone}`;
    });
  const number = fc
    .tuple(fc.constantFrom("", "-"), fc.bigInt({ min: 0n, max: 10n ** 22n }), fc.nat())
    .map(
      ([sign, whole, rest]) =>
        `${sign}${whole >> BigInt(rest % 70)}${rest % 3 === 0 ? "" : `.${rest}`}`,
    );
  fc.assert(
    fc.property(fc.oneof(date, number), (text) => {
      expect(read(text)).toBe(slowly(text));
    }),
    { numRuns: 5_000 },
  );
});
