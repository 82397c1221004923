import fc from "fast-check";
import { expect, test } from "vitest";
import { durationOf, writeDuration } from "../../src/series/durations.ts";
import { SlotKind } from "../../src/series/slots.ts";
import { NUMBER_MAX } from "../../src/wire/numbers.ts";

const KINDS = [SlotKind.nanos, SlotKind.millis, SlotKind.seconds, SlotKind.wholeMillis];

/** The text, which must be that of the number. */
function written(kind: number, nanos: bigint): string {
  const out = new DataView(new ArrayBuffer(NUMBER_MAX + 16));
  const low = Number(BigInt.asIntN(32, nanos));
  const high = Number(BigInt.asIntN(32, nanos >> 32n));
  const end = writeDuration(out, 0, kind, low, high);
  const text = Buffer.from(out.buffer, 0, end).toString("latin1");
  expect(text).toBe(String(durationOf(kind, low, high)));
  return text;
}

test("durations are the shortest texts of their numbers, at every length", () => {
  for (const kind of KINDS)
    for (let power = 1n; power < 10n ** 15n; power *= 10n)
      for (const nanos of [power - 1n, power, power + 1n, 123n * power, 5n * power])
        written(kind, nanos);
  expect(written(SlotKind.seconds, 999n)).toBe("9.99e-7");
  expect(written(SlotKind.seconds, 1000n)).toBe("0.000001");
  expect(written(SlotKind.millis, 4_294_967_295n)).toBe("4294.967295");
  expect(written(SlotKind.seconds, 4_294_967_296n)).toBe("4.294967296");
});

test("any durations", () => {
  const nanos = fc.oneof(fc.bigInt(0n, 2n ** 33n), fc.bigInt(0n, 10n ** 15n));
  const count = Number(process.env["WEIR_FUZZ"] ?? 500);
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), nanos, (kind, value) => {
      written(kind, value);
    }),
    { numRuns: count },
  );
});
