import fc from "fast-check";
import { expect, test } from "vitest";
import { type Precision, TimeScale } from "../../src/line/time.ts";

const NANOS: Readonly<Record<Exclude<Precision, "auto">, bigint>> = {
  ns: 1n,
  us: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

function scaled(precision: Precision, value: bigint): bigint | undefined {
  const scale = new TimeScale(precision);
  if (!scale.set(Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn))) return;
  return BigInt.asIntN(64, (BigInt(scale.high) << 32n) | BigInt(scale.low));
}

const units = Object.entries(NANOS) as [Exclude<Precision, "auto">, bigint][];

test.each(units)("times in %s are exact up to 64 bits, and refused beyond", (precision, nanos) => {
  const most = 2n ** 63n / nanos;
  const values = fc.oneof(
    fc.bigInt(-(2n ** 63n) + 1n, 2n ** 63n - 1n),
    fc.bigInt(-most - 2n, most + 2n).filter((n) => n > -(2n ** 63n) && n < 2n ** 63n),
    fc.bigInt(0n, 10n ** 10n),
  );
  fc.assert(
    fc.property(values, (value) => {
      const exact = value * nanos;
      const fits = exact > -(2n ** 63n) && exact < 2n ** 63n;
      if (fits) expect(scaled(precision, value)).toBe(exact);
      else if (exact !== -(2n ** 63n)) expect(scaled(precision, value)).toBeUndefined();
    }),
    { numRuns: 500 },
  );
});
