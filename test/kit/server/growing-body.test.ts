import fc from "fast-check";
import { expect, test } from "vitest";
import { createBudget } from "../../../src/kit/budget.ts";
import {
  FIRST_LEASE_BYTES,
  firstLeaseBytes,
  GrowingBody,
} from "../../../src/kit/server/growing-body.ts";
import { SLACK } from "../../../src/wire/slack.ts";

const MIB = 1024 * 1024;

test("what is leased before the body: its declared length up to 1 MiB, 64 KiB when unknown, never above the limit", () => {
  const cases = [
    [0, 0],
    [1, 1],
    [FIRST_LEASE_BYTES, FIRST_LEASE_BYTES],
    [64 * MIB, FIRST_LEASE_BYTES],
    [-1, 64 * 1024],
  ] as const;
  for (const [declared, expected] of cases)
    expect(firstLeaseBytes(declared, 64 * MIB)).toBe(expected);
  expect(firstLeaseBytes(-1, 1_000)).toBe(1_000);
});

test("any chunks come out as they went in, with slack behind them; the lease covers what is held and at most twice that", () => {
  const chunks = fc.array(fc.integer({ min: 0, max: 900_000 }), { maxLength: 12 });
  fc.assert(
    fc.property(chunks, fc.boolean(), (sizes, isDeclared) => {
      const whole = Buffer.concat(sizes.map((size, i) => Buffer.alloc(size, i + 1)));
      const declared = isDeclared ? whole.length : -1;
      const limit = Math.max(whole.length, 1);
      const budget = createBudget(64 * MIB);
      using lease = budget.take(firstLeaseBytes(declared, limit));
      const growing = new GrowingBody(declared, limit, lease);
      for (let i = 0, at = 0; i < sizes.length; at += sizes[i++] as number) {
        expect(growing.add(whole.subarray(at, at + (sizes[i] as number)))).toBe(true);
        expect(budget.used).toBeGreaterThanOrEqual(growing.length);
        expect(budget.used).toBeLessThanOrEqual(
          Math.max(firstLeaseBytes(declared, limit), 2 * growing.length),
        );
      }
      const { bytes, length } = growing.body();
      expect(length).toBe(whole.length);
      expect(Buffer.compare(bytes.subarray(0, length), whole)).toBe(0);
      expect(bytes.length).toBeGreaterThanOrEqual(length + SLACK);
    }),
    { seed: 7, numRuns: 40 },
  );
});

test("a large declared body is copied at most once more, and has one piece of memory", () => {
  const growing = new GrowingBody(20 * MIB, 64 * MIB, undefined);
  const chunk = new Uint8Array(MIB).fill(3);
  for (let i = 0; i < 20; i++) expect(growing.add(chunk)).toBe(true);
  const { bytes, length } = growing.body();
  expect([length, bytes.buffer.byteLength]).toEqual([20 * MIB, 20 * MIB + SLACK]);
  expect(bytes.subarray(0, length).every((byte) => byte === 3)).toBe(true);
});

test("a declared body of up to 4 MiB stays in the memory that it began in, and its lease grows as it comes", () => {
  const budget = createBudget(8 * MIB);
  using lease = budget.take(MIB);
  const growing = new GrowingBody(4 * MIB, 64 * MIB, lease);
  const chunk = new Uint8Array(MIB).fill(5);
  expect(growing.add(chunk)).toBe(true);
  const { buffer } = growing.body().bytes;
  expect(budget.used).toBe(MIB);
  for (let i = 1; i < 4; i++) expect(growing.add(chunk)).toBe(true);
  expect(growing.body().bytes.buffer).toBe(buffer);
  expect([growing.length, budget.used]).toEqual([4 * MIB, 4 * MIB]);
});

test("when the budget has no more, the chunk is not taken; a discarded body holds nothing", () => {
  const budget = createBudget(2 * MIB);
  using lease = budget.take(MIB);
  const growing = new GrowingBody(10 * MIB, 64 * MIB, lease);
  expect(growing.add(new Uint8Array(2 * MIB))).toBe(true);
  expect(growing.add(new Uint8Array(1))).toBe(false);
  expect([growing.length, budget.used]).toEqual([2 * MIB, 2 * MIB]);
  const { bytes } = growing.body();
  growing.discard();
  expect([bytes.length, growing.body().bytes.length]).toEqual([0, SLACK]);
});
