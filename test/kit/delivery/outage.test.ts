import { setTimeout as wait } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { Outage } from "../../../src/kit/delivery/outage.ts";
import { Slabs } from "../../../src/kit/delivery/slabs.ts";
import { ownMs } from "../../support/core-waits.ts";
import { exportRig, quickRetry, sent } from "../../support/export-rig.ts";
import { until } from "../../support/until.ts";

const retry = { ...quickRetry, initial_interval: 40, multiplier: 1, max_interval: 40 };
const NEVER = new AbortController().signal;

test("a dead destination gets one request per pause, and holds what was in flight when it died", async () => {
  let isDead = true;
  const rig = exportRig({
    frames: Array.from({ length: 50 }, () => 2),
    lanes: 8,
    limits: { bytes: 8 << 20, items: 1 << 16, lanes: 8 },
    retry,
    post: () => (isDead ? { is: "retry", why: "connection refused" } : sent),
  });
  const running = rig.run();
  await until(() => rig.posts.length >= 4);
  await wait(30);
  const atFirst = rig.posts.length;
  const from = performance.now();
  await wait(600);
  await until(() => rig.posts.length >= atFirst + 3);
  const pauses = (performance.now() - from) / 40;
  expect(rig.posts.length - atFirst).toBeLessThanOrEqual(2 * pauses); // each of 8 lanes by itself: 8 * pauses
  expect(rig.reader.reads).toBeLessThanOrEqual(9); // as many as there are lanes
  expect(rig.reader.limits[0]?.bytes).toBe(2 << 20);
  expect(rig.reader.limits.at(-1)?.bytes).toBe(64 << 10);
  isDead = false;
  const settled = () => until(() => rig.reader.settled.size === 50);
  expect(await ownMs(settled)).toBeLessThan(8 * 40);
  await running.stop();
});

test("items that are never taken are no outage for the others, however seldom these come", async () => {
  const bad = ["1.0", "2.0", "3.0", "4.0"];
  const rig = exportRig({
    frames: [1, 1, 1],
    lanes: 8,
    poisonAfter: 6,
    retry: { ...retry, initial_interval: 5, max_interval: 5 },
    post: (lines) =>
      lines.some((line) => bad.includes(line)) ? { is: "retry", why: "HTTP 500" } : sent,
  });
  const running = rig.run();
  await until(() => rig.posts.length >= 9);
  rig.reader.push(1); // for the lane that waited for more when the outage began
  await until(() => rig.posts.some(({ lines }) => lines.includes("4.0")));
  const areAllDead = () => rig.deadLetters.keys().length === bad.length;
  for (let seq = 5; !areAllDead(); seq++) {
    const before = rig.posts.length;
    await until(() => rig.posts.length >= before + 3 * bad.length || areAllDead());
    rig.reader.push(1);
    await until(() => rig.reader.settled.has(seq));
  }
  await running.stop();
  expect(rig.deadLetters.keys()).toEqual(bad);
});

test("while credentials are refused, nothing more is read", async () => {
  let isRefused = true;
  const rig = exportRig({
    frames: Array.from({ length: 50 }, () => 2),
    lanes: 8,
    probeMs: 20,
    post: () => (isRefused ? { is: "pause", why: "HTTP 401" } : sent),
  });
  const running = rig.run();
  await wait(100);
  expect(rig.reader.reads).toBeLessThanOrEqual(9);
  expect(rig.reader.isResting).toBe(true);
  isRefused = false;
  await until(() => rig.reader.settled.size === 50);
  expect(rig.reader.isResting).toBe(false);
  await running.stop();
});

test("max_elapsed_time ends a part that waits for its turn in an outage", async () => {
  const rig = exportRig({
    frames: [1, 1, 1, 1, 1, 1],
    lanes: 6,
    retry: { ...retry, initial_interval: 150, max_interval: 150, max_elapsed_time: 400 },
    post: () => ({ is: "retry", why: "down" }),
  });
  const running = rig.run();
  await until(() => rig.reader.settled.size === 6);
  await running.stop();
  for (const tally of rig.reader.settled.values())
    expect(tally.dropped).toEqual(new Map([["max_elapsed_time", 1]]));
});

test("a pause that the destination asks for is one of the whole route, and nothing more is read", async () => {
  const rig = exportRig({
    frames: [1, 1],
    lanes: 8,
    retry,
    post: (lines) =>
      lines.includes("1.0") ? { is: "retry", why: "HTTP 503", afterMs: 1e9 } : sent,
  });
  const running = rig.run();
  await until(() => rig.log.lines.length > 0);
  for (let i = 0; i < 5; i++) rig.reader.push(1);
  await wait(100);
  expect(rig.reader.settled.size).toBeLessThanOrEqual(1); // what was on its way
  expect(rig.reader.reads).toBeLessThanOrEqual(3);
  await running.stop();
});

test("items for which a destination always asks for a pause hold up the others twice, then only themselves", async () => {
  let asked = 0;
  const rig = exportRig({
    frames: [1],
    lanes: 2,
    timeoutMs: 0,
    retry: { ...retry, initial_interval: 1, max_interval: 1 },
    post: async (lines) => {
      if (!lines.includes("1.0")) return sent;
      asked += 1;
      const settled = rig.reader.settled.size;
      if (asked > 1) await until(() => rig.reader.settled.size > settled);
      return { is: "retry", why: "HTTP 503", afterMs: asked < 3 ? 30 : 1e9 };
    },
  });
  const running = rig.run();
  for (let seq = 2; seq < 50 || asked < 3; seq++) {
    rig.reader.push(1);
    await until(() => rig.reader.settled.has(seq));
  }
  expect(asked).toBe(3);
  expect(rig.reader.settled.has(1)).toBe(false);
  await running.stop();
});

test("who waits because the destination asked for it stops at once", async () => {
  const outage = new Outage(20, 30_000, () => {});
  const stop = new AbortController();
  outage.hold(60_000);
  outage.hold(1); // a shorter one changes nothing
  const quiet = outage.quiet(stop.signal);
  stop.abort();
  await quiet;
  expect(outage.isHeld).toBe(true);
});

test("few failures are no outage: each part makes its own pause", async () => {
  const outage = new Outage(20, 30_000, () => {});
  for (let i = 0; i < 3; i++) outage.failed();
  expect(outage.isOn).toBe(false);
  const begun = performance.now();
  const pause = { ms: 30, leastMs: 0, mostMs: Number.POSITIVE_INFINITY };
  const all = () => Promise.all([1, 2, 3].map(() => outage.pause(pause, NEVER)));
  expect(await ownMs(all)).toBeLessThan(200);
  expect(performance.now() - begun).toBeGreaterThanOrEqual(29);
});

test("in an outage one tries after 10 s at the latest, or as late as the destination asks", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const outage = new Outage(5_000, 30_000, () => {});
  for (let i = 0; i < 4; i++) outage.failed();
  const mostMs = Number.POSITIVE_INFINITY;
  const ends: string[] = [];
  const pause = (name: string, ms: number, leastMs: number) =>
    outage.pause({ ms, leastMs, mostMs }, NEVER).then(() => ends.push(name));
  void pause("first", 30_000, 0);
  void pause("second", 30_000, 0);
  void pause("asked", 60_000, 60_000);
  await vi.advanceTimersByTimeAsync(9_900);
  expect(ends).toEqual([]);
  await vi.advanceTimersByTimeAsync(200);
  expect(ends).toEqual(["first"]);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(ends).toEqual(["first", "second"]);
  await vi.advanceTimersByTimeAsync(38_000);
  expect(ends).toHaveLength(2);
  outage.answered();
  await vi.advanceTimersByTimeAsync(0);
  expect(ends).toEqual(["first", "second", "asked"]);
  expect(outage.isOn).toBe(false);
  expect(vi.getTimerCount()).toBe(0);
});

test("the pauses between tries grow, no further than the operator's longest", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const outage = new Outage(100, 1_000, () => {});
  for (let i = 0; i < 4; i++) outage.failed();
  const times: number[] = [];
  const tries = async () => {
    for (;;) {
      await outage.pause({ ms: 100, leastMs: 0, mostMs: Number.POSITIVE_INFINITY }, NEVER);
      if (!outage.isOn) return;
      times.push(performance.now());
    }
  };
  const lanes = [tries(), tries(), tries()];
  await vi.advanceTimersByTimeAsync(20_000);
  const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0));
  expect(gaps[0]).toBeLessThan(200);
  expect(Math.max(...gaps)).toBeLessThan(1_010);
  expect(Math.min(...gaps.slice(10))).toBeGreaterThan(990);
  outage.answered();
  await Promise.all(lanes);
});

test("output memory that lay idle for five seconds is given back", () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const slabs = new Slabs(100, 8);
  const burst = Array.from({ length: 6 }, () => slabs.take());
  for (const slab of burst) slabs.give(slab);
  expect(slabs.kept).toBe(6);
  vi.advanceTimersByTime(5_000);
  expect(slabs.kept).toBe(6);
  const two = [slabs.take(), slabs.take()];
  for (const slab of two) slabs.give(slab);
  vi.advanceTimersByTime(5_000);
  expect(slabs.kept).toBe(2);
  vi.advanceTimersByTime(10_000);
  expect(slabs.kept).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});
