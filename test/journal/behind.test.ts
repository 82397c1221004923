import { expect, test } from "vitest";
import { delivered, frameOf, NO_LIMITS, never, testJournal } from "./fake.ts";

const MIB = "x".repeat(1 << 20);
const ONE = { bytes: 1 << 30, items: 1 };

async function withTwo() {
  const journal = testJournal();
  await journal.start();
  const logs = journal.route("a/logs", "logs", "end", NO_LIMITS);
  const others = journal.route("b/logs", "logs", "end", NO_LIMITS);
  const isBehind = (of = logs) => journal.isBehind(Uint32Array.of(1 << of.route));
  const append = async (frames: number) => {
    for (let i = 0; i < frames; i++) await journal.append([frameOf(MIB, [logs.route])]);
  };
  return { logs, others, isBehind, append };
}

test("a route is behind while its reader is at work and more than eight MiB wait for it", async () => {
  const { logs, others, isBehind, append } = await withTwo();
  await append(9);
  expect(isBehind()).toBe(false); // nobody reads
  const first = await logs.read(ONE, never);
  expect(isBehind()).toBe(true);
  expect(isBehind(others)).toBe(false);
  const second = await logs.read(ONE, never);
  expect(isBehind()).toBe(false);
  await append(2);
  expect(isBehind()).toBe(true);
  logs.settle(first, delivered(first));
  logs.settle(second, delivered(second));
  expect(isBehind()).toBe(false);
});

test("a route that rests is not waited for", async () => {
  const { logs, isBehind, append } = await withTwo();
  await append(10);
  await logs.read(ONE, never);
  expect(isBehind()).toBe(true);
  logs.rest?.(true);
  expect(isBehind()).toBe(false);
});
