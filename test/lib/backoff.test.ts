import { expect, test } from "vitest";
import { Backoff } from "../../src/lib/backoff.ts";
import { Seldom } from "../../src/lib/seldom.ts";
import { sleep } from "../../src/lib/sleep.ts";
import { ownMs } from "../support/core-waits.ts";

const options = { initialMs: 100, maxMs: 400, multiplier: 2, randomization: 0.5 };

test("pauses grow to the longest and start again after a reset", () => {
  const backoff = new Backoff(options, () => 0.5);
  expect([1, 2, 3, 4].map(() => backoff.next())).toEqual([100, 200, 400, 400]);
  backoff.reset();
  expect(backoff.next()).toBe(100);
});

test("jitter stays within its bounds", () => {
  expect(new Backoff(options, () => 0).next()).toBe(50);
  expect(new Backoff(options, () => 0.999_999).next()).toBeCloseTo(150, 2);
  const usual = new Backoff(options);
  for (let i = 0; i < 100; i++) expect(usual.next()).toBeLessThanOrEqual(600);
});

test("a line now and then, with the count of those held back", () => {
  let now = 1_000;
  const seldom = new Seldom(10_000, () => now);
  expect(seldom.count("a")).toBe(1);
  expect(seldom.count("a", 5)).toBeUndefined();
  expect(seldom.count("b", 2)).toBe(2);
  now += 10_000;
  expect(seldom.count("a")).toBe(6);
  now -= 60_000; // a clock that was set back must not silence the log for long
  expect(seldom.count("a")).toBe(1);
});

test("beyond 100 keys, the rest share one", () => {
  const seldom = new Seldom(10_000, () => 0);
  for (let i = 0; i < 100; i++) expect(seldom.count(`key ${i}`)).toBe(1);
  expect(seldom.count("key 100")).toBe(1);
  expect(seldom.count("key 101")).toBeUndefined();
});

test("sleep ends with its signal", async () => {
  const stop = new AbortController();
  const sleeps = async () => {
    setTimeout(() => stop.abort(), 10);
    await sleep(60_000, stop.signal);
    await sleep(60_000, stop.signal);
    await sleep(5, new AbortController().signal);
  };
  expect(await ownMs(sleeps)).toBeLessThan(1_000);
});
