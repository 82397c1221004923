import fc from "fast-check";
import { expect, test } from "vitest";
import {
  createBudget,
  defaultBudgetBytes,
  defaultMaxConnections,
  memoryLimitBytes,
  outOfMemory,
} from "../../src/kit/budget.ts";
import type { Lease } from "../../src/pipeline/contracts.ts";

const MIB = 1024 * 1024;

test("a lease takes its bytes and gives them back once", () => {
  const budget = createBudget(100);
  const lease = budget.take(60);
  expect(budget.used).toBe(60);
  expect(budget.take(41)).toBeUndefined();
  expect(lease?.grow(41)).toBe(false);
  expect(lease?.grow(40)).toBe(true);
  expect(lease?.bytes).toBe(100);
  lease?.[Symbol.dispose]();
  lease?.[Symbol.dispose]();
  expect(budget.used).toBe(0);
  expect(lease?.bytes).toBe(0);
});

test("a lease that was given back cannot grow", () => {
  const budget = createBudget(100);
  const lease = budget.take(10);
  lease?.[Symbol.dispose]();
  expect(lease?.grow(10)).toBe(false);
  expect(budget.used).toBe(0);
});

test.each([Number.NaN, -1, Number.POSITIVE_INFINITY])("%d bytes are not given", (bytes) => {
  const budget = createBudget(100);
  expect(budget.take(bytes)).toBeUndefined();
  expect(budget.take(1)?.grow(bytes)).toBe(false);
  expect(budget.used).toBe(1);
});

test("a budget of nothing is refused", () => {
  expect(() => createBudget(0)).toThrow("above 0");
  expect(() => createBudget(Number.NaN)).toThrow("above 0");
});

test("used is the sum of the open leases, whatever happens", () => {
  const step = fc.record({
    act: fc.constantFrom("take", "grow", "give"),
    bytes: fc.nat(300),
    which: fc.nat(20),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const budget = createBudget(1000);
      const leases: Lease[] = [];
      for (const { act, bytes, which } of steps) {
        if (act === "take") {
          const lease = budget.take(bytes);
          if (lease !== undefined) leases.push(lease);
        } else if (act === "grow") leases[which]?.grow(bytes);
        else leases[which]?.[Symbol.dispose]();
        const sum = leases.reduce((total, lease) => total + lease.bytes, 0);
        expect(budget.used).toBe(sum);
        expect(budget.used).toBeLessThanOrEqual(1000);
      }
      for (const lease of leases) lease[Symbol.dispose]();
      expect(budget.used).toBe(0);
    }),
  );
});

test("the memory limit is the cgroup's, else 512 MiB", () => {
  expect(memoryLimitBytes(0, 8192 * MIB)).toBe(512 * MIB);
  expect(memoryLimitBytes(2 ** 64, 8192 * MIB)).toBe(512 * MIB);
  expect(memoryLimitBytes(1024 * MIB, 8192 * MIB)).toBe(1024 * MIB);
  expect(memoryLimitBytes()).toBeGreaterThan(0);
});

test("the budget is a quarter of the limit, and connections follow from it", () => {
  expect(defaultBudgetBytes(512 * MIB)).toBe(128 * MIB);
  expect(defaultMaxConnections(128 * MIB)).toBe(2048);
  expect(defaultMaxConnections(1 * MIB)).toBe(64);
  expect(defaultMaxConnections(64 * 1024 * MIB)).toBe(10_000);
});

test("what would not fit the whole budget is too large for ever; what others take is there again later", () => {
  const budget = createBudget(100);
  const other = budget.take(50);
  const lease = budget.take(10);
  expect(lease?.grow(60)).toBe(false);
  expect(outOfMemory(lease)).toMatchObject({ kind: "refused", retryAfterMs: 1000 });
  expect(lease?.grow(91)).toBe(false);
  expect(outOfMemory(lease)).toMatchObject({ kind: "too_large", retryAfterMs: 0 });
  other?.[Symbol.dispose]();
  expect(lease?.grow(90)).toBe(true);
});
