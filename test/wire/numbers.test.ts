import fc from "fast-check";
import { expect, test } from "vitest";
import { readHex, writeHex } from "../../src/wire/hex.ts";
import {
  NanosWriter,
  NUMBER_MAX,
  writeDouble,
  writeInt,
  writeUint,
  writeUint64,
  writeUnder20000,
} from "../../src/wire/numbers.ts";

const out = Buffer.alloc(NUMBER_MAX + 8, "#");
const view = new DataView(out.buffer, out.byteOffset, out.length);
/** What a function wrote at position 3; nothing in front of it may change. */
function text(write: (at: number) => number): string {
  out.fill("#");
  const end = write(3);
  expect(end - 3).toBeLessThanOrEqual(NUMBER_MAX);
  expect(out.toString("latin1", 0, 3)).toBe("###");
  return out.toString("latin1", 3, end);
}
const halves = (n: bigint) => [Number(n & 0xffffffffn), Number((n >> 32n) & 0xffffffffn)] as const;
const runs = { numRuns: 20_000 };

test("unsigned integers", () => {
  const near = Array.from({ length: 16 }, (_, i) => [10 ** i - 1, 10 ** i, 10 ** i + 1]).flat();
  for (const n of [...near, Number.MAX_SAFE_INTEGER])
    expect(text((at) => writeUint(view, at, n))).toBe(String(n));
  fc.assert(
    fc.property(fc.maxSafeNat(), (n) => {
      expect(text((at) => writeUint(view, at, n))).toBe(String(n));
    }),
    runs,
  );
});

test("64-bit integers, signed and unsigned", () => {
  const check = (n: bigint) => {
    const [low, high] = halves(n);
    const signed = BigInt.asIntN(64, n);
    expect(text((at) => writeUint64(view, at, low, high))).toBe(String(n));
    expect(text((at) => writeInt(view, at, low, high))).toBe(String(signed));
    expect(text((at) => writeInt(view, at, low | 0, high | 0))).toBe(String(signed));
  };
  for (let i = 0n; i < 64n; i++)
    for (const n of [1n << i, (1n << i) - 1n, (1n << 64n) - (1n << i)])
      check(BigInt.asUintN(64, n));
  for (let i = 0n; i < 20n; i++) for (const d of [-1n, 0n, 1n]) check(10n ** i + d);
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), check), runs);
});

test("every integer below 20,000", () => {
  for (let n = 0; n < 20_000; n++)
    if (text((at) => writeUnder20000(view, at, n)) !== String(n)) throw new Error(`${n} is wrong`);
});

test("times keep their second between calls, and any int64 may follow any other", () => {
  const nanos = new NanosWriter();
  const check = (n: bigint) => {
    const [low, high] = halves(BigInt.asUintN(64, n));
    expect(text((at) => nanos.write(view, at, low | 0, high | 0))).toBe(String(n));
  };
  const near = (n: bigint) => [n - 1n, n, n + 1n].forEach(check);
  for (const s of [1n, 5n, 999_999_999n, 1_000_000_000n, 1_732_167_300n, 9_223_372_035n])
    for (const n of [0n, 1n, 500_000_000n, 999_999_999n]) near(s * 1_000_000_000n + n - 2n);
  for (const n of [0n, -1n, -(2n ** 62n), 2n ** 32n, 2n ** 63n - 2n]) near(n);
  const now = { min: 1_732_167_300_000_000_000n, max: 1_732_167_302_000_000_000n };
  const anyTime = fc.oneof(fc.bigInt(now), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));
  fc.assert(fc.property(anyTime, check), runs);
});

test("doubles in shortest form", () => {
  const check = (n: number) => {
    expect(text((at) => writeDouble(view, at, n))).toBe(Object.is(n, -0) ? "-0" : String(n));
  };
  for (const n of [0, -0, 0.1, 0.5, 0.25, 0.125, 1.005, 77.829, 99.999, 1e15, 1e21, 5e-324, 1e-7])
    for (const m of [n, -n, n * 1e6, n / 3]) check(m);
  check(Number.MAX_VALUE);
  fc.assert(fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), check), runs);
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 0, max: 6 }), (n, places) =>
      check(n / 10 ** places),
    ),
    runs,
  );
});

test("hexadecimal, there and back", () => {
  const back = new DataView(new ArrayBuffer(32));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 16 }), (bytes) => {
      const source = new DataView(Uint8Array.from(bytes).buffer);
      const hex = Buffer.from(bytes).toString("hex");
      expect(text((at) => writeHex(view, at, source, 0, bytes.length))).toBe(hex);
      for (const form of [hex, hex.toUpperCase()]) {
        const from = new DataView(Uint8Array.from(Buffer.from(`..${form}`)).buffer);
        expect(readHex(back, 4, from, 2, bytes.length)).toBe(true);
        expect(Buffer.from(back.buffer, 4, bytes.length).toString("hex")).toBe(hex);
      }
    }),
  );
  for (const odd of ["0g", "g0", " 0", "0x", "é"]) {
    const from = new DataView(Uint8Array.from(Buffer.from(odd)).buffer);
    expect(readHex(back, 0, from, 0, 1)).toBe(false);
  }
});
