import { setTimeout as wait } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Verdict } from "../../../src/kit/delivery/backend.ts";
import { ownMs } from "../../support/core-waits.ts";
import { exportRig, quickRetry, sent } from "../../support/export-rig.ts";
import { until } from "../../support/until.ts";

test("one hanging destination does not slow another", async () => {
  const hanging = exportRig({
    frames: [1, 1, 1],
    timeoutMs: 0,
    graceMs: 1,
    post: () => new Promise(() => {}),
  });
  const healthy = exportRig({ frames: Array.from({ length: 200 }, () => 5), post: () => sent });
  const stuck = hanging.run();
  await until(() => hanging.posts.length === 3);
  await healthy.untilSettled();
  expect(healthy.reader.settled.size).toBe(200);
  expect(hanging.reader.settled.size).toBe(0);
  await stuck.stop();
});

test("a refusal of our credentials pauses the whole route: one probe at a time, one alarm, resumes by itself", async () => {
  let works = false;
  const times: number[] = [];
  const told: (string | undefined)[] = [];
  const rig = exportRig({
    frames: [1, 1, 1, 1, 1, 1],
    probeMs: 40,
    onPaused: (why) => told.push(why),
    post: () => {
      times.push(performance.now());
      return works ? sent : { is: "pause", why: "HTTP 401" };
    },
  });
  const running = rig.run();
  await until(() => times.length >= 8);
  const early = times.length;
  for (let i = 4; i < early; i++) expect((times[i] ?? 0) - (times[i - 1] ?? 0)).toBeGreaterThan(35);
  expect(rig.meter.value("weir_exporter_paused")).toBe(1);
  expect(rig.log.lines.filter((l) => l.level === "error")).toHaveLength(1);
  works = true;
  await until(() => rig.reader.settled.size === 6);
  expect(rig.meter.value("weir_exporter_paused")).toBe(0);
  expect(told).toEqual(["HTTP 401", undefined]);
  await running.stop();
  expect([...rig.reader.settled.values()].every((t) => t.delivered === 1)).toBe(true);
});

test("a range that keeps failing while others succeed is narrowed to its item", async () => {
  const rig = exportRig({
    frames: [8, ...Array.from({ length: 400 }, () => 1)],
    lanes: 2,
    poisonAfter: 4,
    retry: { ...quickRetry, max_interval: 1 },
    post: async (lines) => {
      await wait(1);
      return lines.includes("1.6") ? { is: "retry", why: "HTTP 500" } : sent;
    },
  });
  await rig.untilSettled();
  expect(rig.deadLetters.keys()).toEqual(["1.6"]);
  expect(rig.deadLetters.letters.get("1.6")).toMatchObject({
    reason: "poison",
    answer: "HTTP 500",
  });
  expect(rig.reader.settled.get(1)).toMatchObject({ delivered: 7, deadLettered: 1 });
});

test("a destination that asks for less says nothing of the items: none becomes a dead letter", async () => {
  let refusals = 0;
  const rig = exportRig({
    frames: [8, ...Array.from({ length: 400 }, () => 1)],
    lanes: 2,
    poisonAfter: 4,
    retry: { ...quickRetry, max_interval: 1 },
    post: async (lines) => {
      await wait(1);
      return lines.includes("1.6") && refusals++ < 60
        ? { is: "retry", why: "HTTP 429", throttled: true }
        : sent;
    },
  });
  await rig.untilSettled();
  expect(rig.deadLetters.keys()).toEqual([]);
  expect(rig.reader.settled.get(1)).toMatchObject({ delivered: 8 });
});

test("failures while the destination is down do not count, although others succeeded before and after", async () => {
  let posts = 0;
  const rig = exportRig({
    frames: Array.from({ length: 400 }, () => 1),
    lanes: 2,
    poisonAfter: 20,
    retry: { ...quickRetry, max_interval: 1 },
    post: async (lines) => {
      await wait(1);
      const isDown = posts++ > 12 && posts < 212;
      return isDown || (lines.includes("1.0") && posts < 14) ? { is: "retry", why: "down" } : sent;
    },
  });
  await rig.untilSettled();
  expect(rig.deadLetters.keys()).toEqual([]);
});

test("nothing is poison while nothing else succeeds", async () => {
  let down = true;
  const rig = exportRig({
    frames: [2, 2, 2, 2],
    poisonAfter: 2,
    post: () => (down ? { is: "retry", why: "down" } : sent),
  });
  const running = rig.run();
  await until(() => rig.posts.length > 60);
  down = false;
  await until(() => rig.reader.settled.size === 4);
  await running.stop();
  expect(rig.deadLetters.letters.size).toBe(0);
});

test("stop while a post hangs ends within the grace and leaves the range queued", async () => {
  const rig = exportRig({
    frames: [1, 1],
    timeoutMs: 0,
    graceMs: 60,
    post: (_l, _s, stop) =>
      new Promise<Verdict>((resolve) =>
        stop.addEventListener("abort", () => resolve({ is: "retry", why: "aborted" })),
      ),
  });
  const running = rig.run();
  await until(() => rig.posts.length === 2);
  const began = performance.now();
  expect(await ownMs(() => running.stop())).toBeLessThan(500);
  expect(performance.now() - began).toBeGreaterThan(50);
  expect(rig.reader.settled.size).toBe(0);
});

test("the caller's deadline ends the grace early, also for a post that ignores it", async () => {
  const deadline = new AbortController();
  const rig = exportRig({
    frames: [1],
    timeoutMs: 0,
    deadline: deadline.signal,
    post: () => new Promise<Verdict>(() => {}),
  });
  const running = rig.run();
  await until(() => rig.posts.length === 1);
  deadline.abort();
  expect(await ownMs(() => running.stop())).toBeLessThan(1_500);
});

test("an answer within the grace still counts, and the rest of a read range is still sent", async () => {
  const rig = exportRig({
    frames: [4, 9],
    lanes: 1,
    limits: { bytes: 1_000, items: 2, lanes: 1 },
    post: async () => {
      await wait(30);
      return sent;
    },
  });
  const running = rig.run();
  await until(() => rig.posts.length === 1);
  await running.stop();
  expect(rig.reader.order).toEqual([1]);
  expect(rig.posts).toHaveLength(2);
});

test("stop wakes lanes that back off or are paused", async () => {
  const retry = { ...quickRetry, initial_interval: 60_000, max_interval: 60_000 };
  for (const verdict of [
    { is: "retry", why: "x" },
    { is: "pause", why: "x" },
  ] as const) {
    const rig = exportRig({ frames: [1, 1, 1, 1], retry, post: () => verdict });
    const running = rig.run();
    // a refusal of the credentials holds back the lanes that have not sent yet
    await until(
      () => rig.reader.reads === 3 && rig.posts.length === (verdict.is === "pause" ? 1 : 3),
    );
    expect(await ownMs(() => running.stop())).toBeLessThan(200);
    expect(rig.reader.settled.size).toBe(0);
  }
});
