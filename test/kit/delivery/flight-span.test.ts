import { setTimeout as wait } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { FlightSpan } from "../../../src/kit/delivery/flight-span.ts";
import type { Range } from "../../../src/otlp/range.ts";
import { exportRig, fakeBatch, quickRetry, sent } from "../../support/export-rig.ts";
import { until } from "../../support/until.ts";

const MINUTE = 60_000;
const SPAN_MS = 30 * MINUTE;
const NEVER = new AbortController().signal;

/** A range of frames that arrived at these minutes. */
function rangeOf(...minutes: readonly number[]): Range {
  const frames = minutes.map((minute, i) => ({
    seq: i + 1,
    batch: fakeBatch(1, "logs"),
    arrivalMs: minute * MINUTE,
    note: new Uint8Array(0),
  }));
  return { first: 1, last: frames.length, frames, items: frames.length };
}

test("while one range is tried again and again, none that is too far ahead is taken before it", async () => {
  const stepMs = 7 * MINUTE;
  let random = 1;
  let newest = 0;
  const behind: number[] = [];
  const rig = exportRig({
    frames: Array.from({ length: 300 }, () => 1),
    arrivalOf: (seq) => seq * stepMs,
    lanes: 8,
    limits: { bytes: 1 << 16, items: 1 << 16, lanes: 8, spanMs: SPAN_MS },
    retry: { ...quickRetry, max_interval: 50 },
    post: async ([line = ""], { attempt }) => {
      random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
      await wait(random % 3);
      // Every tenth is refused nine times, longer than it takes the others to send everything.
      if (Number.parseInt(line, 10) % 10 === 1 && attempt < 10) return { is: "retry", why: "500" };
      behind.push(newest - Number.parseInt(line, 10));
      newest = Math.max(newest, Number.parseInt(line, 10));
      return sent;
    },
    poisonAfter: 100,
  });
  await rig.untilSettled();
  expect(behind.length).toBe(300);
  expect(Math.max(...behind) * stepMs).toBeLessThanOrEqual(SPAN_MS);
  expect(Math.max(...behind)).toBeGreaterThan(0); // several lanes are used all the same
});

test("parts of a range that spans too much time go out one after the other", async () => {
  let open = 0;
  let most = 0;
  const rig = exportRig({
    frames: [5, 5, 5, 5],
    framesPerRange: 4,
    arrivalOf: (seq) => seq * 20 * MINUTE,
    lanes: 8,
    limits: { bytes: 1 << 16, items: 5, lanes: 8, spanMs: SPAN_MS },
    post: async () => {
      most = Math.max(most, ++open);
      await wait(5);
      open -= 1;
      return sent;
    },
  });
  await rig.untilSettled();
  expect(most).toBe(1);
  expect(rig.posts.map(({ lines }) => lines[0])).toEqual(["1.0", "2.0", "3.0", "4.0"]);
});

test("a range that is too far ahead waits for those in flight, or ten seconds", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const span = new FlightSpan(SPAN_MS);
  const old = span.enter(rangeOf(0, 5));
  await span.near(rangeOf(10, 30), NEVER);
  const near = span.enter(rangeOf(10, 30));
  let isNear = false;
  void span.near(rangeOf(31), NEVER).then(() => {
    isNear = true;
  });
  await vi.advanceTimersByTimeAsync(9_900);
  near[Symbol.dispose]();
  await vi.advanceTimersByTimeAsync(0);
  expect(isNear).toBe(false);
  await vi.advanceTimersByTimeAsync(200);
  expect(isNear).toBe(true);
  const waiting = span.near(rangeOf(60), NEVER);
  await vi.advanceTimersByTimeAsync(0);
  old[Symbol.dispose]();
  await waiting;
  expect(vi.getTimerCount()).toBe(0);
});

test("a stop ends the wait, and what waited stays queued", async () => {
  const rig = exportRig({
    frames: [1, 1],
    arrivalOf: (seq) => seq * 40 * MINUTE,
    lanes: 2,
    limits: { bytes: 1 << 16, items: 5, lanes: 2, spanMs: SPAN_MS },
    post: () => new Promise(() => {}),
    graceMs: 1,
  });
  const running = rig.run();
  await until(() => rig.reader.reads === 2);
  await running.stop();
  expect(rig.posts.map(({ lines }) => lines)).toEqual([["1.0"]]);
  expect(rig.reader.settled.size).toBe(0);
});
