import { expect, test } from "vitest";
import {
  ALL,
  delivered,
  frameOf,
  imbalance,
  NO_LIMITS,
  never,
  testJournal,
  textOf,
} from "./fake.ts";

test("what was appended is read, settled and counted", async () => {
  const journal = testJournal();
  await journal.start();
  const reader = journal.route("a/logs", "logs", "end", NO_LIMITS);
  await Promise.all([
    journal.append([frameOf("one", [reader.route], 2)]),
    journal.append([frameOf("two", [reader.route], 3)]),
  ]);
  const range = await reader.read(ALL, never);
  expect(range.frames.map(({ batch }) => textOf(batch))).toEqual(["one", "two"]);
  expect(range.frames.map(({ seq }) => seq)).toEqual([1, 2]);
  expect(reader.counts()).toMatchObject({
    appended: 5,
    delivered: 0,
    queuedItems: 5,
    queuedBytes: 8,
    queuedFrames: 2,
  });
  reader.settle(range, delivered(range));
  expect(reader.counts()).toMatchObject({
    appended: 5,
    delivered: 5,
    queuedItems: 0,
    queuedBytes: 0,
    queuedFrames: 0,
  });
  expect(imbalance(reader.counts())).toBe(0);
  await journal.stop(never);
});
