import { expect, test } from "vitest";
import { ArrivalTime } from "../../../src/series/records/arrival-time.ts";
import { resolutionOf } from "../../../src/series/spread.ts";

const NOW = 1_705_314_600_000;
const nanosOf = ({ low, high }: ArrivalTime) => (BigInt(high) << 32n) | BigInt(low >>> 0);
const next = (time: ArrivalTime) => {
  time.advance();
  return nanosOf(time);
};

test("times rise by nanoseconds, across milliseconds, and are never moved for being coarse", () => {
  const time = new ArrivalTime(true, () => 0.999_999);
  let last = 0n;
  for (let ms = NOW; ms < NOW + 50; ms++) {
    time.setMillis(ms);
    for (let i = 0; i < 3_000; i++) {
      const nanos = next(time);
      expect(nanos > last).toBe(true);
      expect(resolutionOf(time.low, time.high)).toBe(1);
      last = nanos;
    }
    // The same millisecond once more.
    time.setMillis(ms);
  }
  expect(last - BigInt(NOW + 49) * 1_000_000n).toBeLessThan(1_010_000n);
});

test("a process begins anywhere in its millisecond, and never before it", () => {
  for (const part of [0, 0.5, 0.99999]) {
    const time = new ArrivalTime(true, () => part);
    time.setMillis(NOW);
    expect(next(time) - BigInt(NOW) * 1_000_000n).toBe(BigInt(Math.floor(part * 1e6) + 1));
  }
});

test("halves carry", () => {
  const time = new ArrivalTime(true, () => 0);
  for (const nanos of [0x17aa_0000_0000_0000n, 0x17aa_ffff_ff00_0000n]) {
    const ms = Number(nanos / 1_000_000n);
    time.setMillis(ms);
    time.low = 0xffff_ffff;
    const before = nanosOf(time);
    // The next is a multiple of 8.
    expect(next(time)).toBe(before + 2n);
  }
});

test("a clock that steps back a little is waited for, one that was set back is followed", () => {
  const time = new ArrivalTime(true, () => 0.5);
  time.setMillis(NOW);
  const first = next(time);
  time.setMillis(NOW - 500);
  expect(next(time)).toBe(first + 1n);
  time.setMillis(NOW - 60_000);
  expect(next(time) - BigInt(NOW - 60_000) * 1_000_000n).toBe(500_001n);
});

test("times that do not rise are those that were set", () => {
  const time = new ArrivalTime(false);
  for (const ms of [NOW, NOW + 1, NOW - 1, 0, -1_000]) {
    time.setMillis(ms);
    expect(BigInt.asIntN(64, next(time))).toBe(BigInt(ms) * 1_000_000n);
  }
});
