import { setTimeout as wait } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Verdict } from "../../../src/kit/delivery/backend.ts";
import { CoreWaits } from "../../support/core-waits.ts";
import {
  dropped,
  exportRig,
  LineWriter,
  quickRetry,
  sent,
  tallySum,
} from "../../support/export-rig.ts";
import { until } from "../../support/until.ts";

test("delivers every item once and says which items a request holds", async () => {
  const rig = exportRig({ frames: [3, 2, 4], framesPerRange: 3, post: () => sent, lanes: 1 });
  await rig.untilSettled();
  expect(rig.reader.settled.get(1)).toMatchObject({
    delivered: 9,
    unconfirmed: 0,
    deadLettered: 0,
  });
  expect(rig.posts).toHaveLength(1);
  expect(rig.posts[0]?.sending).toEqual({
    journal: "j1",
    route: "test/eu/logs",
    from: [1, 0],
    to: [3, 3],
    rows: 9,
    attempt: 1,
  });
  expect(rig.meter.value("otelcol_exporter_sent_log_records")).toBe(9);
  expect(rig.meter.value("weir_exporter_rows_total")).toBe(9);
  expect(rig.meter.value("weir_exporter_resent_items_total")).toBe(0);
});

test("cuts at the limits of bytes and items, and passes the batch options to the reader", async () => {
  const limits = { bytes: 40, items: 4, lanes: 2 };
  const batch = { minItems: 7, waitMs: 9, maxItems: 3 };
  const rig = exportRig({ frames: [25], post: () => sent, limits, batch, lanes: 9 });
  await rig.untilSettled();
  expect(rig.posts.map((p) => p.lines.length)).toEqual([3, 3, 3, 3, 3, 3, 3, 3, 1]);
  expect(rig.posts.flatMap((p) => p.lines)).toEqual(Array.from({ length: 25 }, (_, i) => `1.${i}`));
  // a range holds up to eight requests, less 2 %
  expect(rig.reader.limits[0]).toEqual({ bytes: 313, items: 3, minItems: 7, waitMs: 9 });
});

test("batch.min_size in bytes is what the reader waits for", async () => {
  const batch = { minItems: Number.MAX_SAFE_INTEGER, minBytes: 5, waitMs: 9 };
  const rig = exportRig({ frames: [4], post: () => sent, batch });
  await rig.untilSettled();
  expect(rig.reader.limits[0]).toMatchObject({ minBytes: 5, waitMs: 9 });
});

test("batch.max_size in bytes bounds a request, but never costs an item", async () => {
  const batch = { minItems: 1, waitMs: 0, maxBytes: 10 };
  const rig = exportRig({ frames: [4], writer: new LineWriter(2), post: () => sent, batch });
  await rig.untilSettled();
  expect(rig.posts.map((p) => p.lines.length)).toEqual([2, 2, 2, 2]);
  const tiny = exportRig({ frames: [4], post: () => sent, batch: { ...batch, maxBytes: 1 } });
  await tiny.untilSettled();
  expect(tiny.reader.settled.get(1)?.delivered).toBe(4);
});

test("an item that fits no request becomes a dead letter", async () => {
  const limits = { bytes: 4, items: 100, lanes: 1 };
  const rig = exportRig({ frames: [12], post: () => sent, limits });
  await rig.untilSettled();
  expect(rig.deadLetters.keys()).toEqual(["1.10", "1.11"]);
  expect(rig.deadLetters.letters.get("1.10")?.reason).toBe("does_not_fit");
  expect(rig.reader.settled.get(1)).toMatchObject({ delivered: 10, deadLettered: 2 });
});

test("three lanes settle in any order, and no more than three ranges are in flight", async () => {
  const gates = new Map<string, PromiseWithResolvers<void>>();
  for (const line of ["1.0", "2.0", "3.0", "4.0"]) gates.set(line, Promise.withResolvers());
  let open = 0;
  let most = 0;
  const rig = exportRig({
    frames: [1, 1, 1, 1],
    post: async (lines) => {
      most = Math.max(most, ++open);
      await gates.get(lines[0] ?? "")?.promise;
      open -= 1;
      return sent;
    },
  });
  const running = rig.run();
  await until(() => rig.posts.length === 3);
  await wait(20);
  expect(rig.reader.reads).toBe(3);
  for (const line of ["3.0", "2.0", "4.0", "1.0"]) {
    gates.get(line)?.resolve();
    await until(() => rig.reader.settled.has(Number(line[0])));
  }
  await running.stop();
  expect(rig.reader.order).toEqual([3, 2, 4, 1]);
  expect(most).toBe(3);
});

test("one lane keeps the order through failures", async () => {
  let n = 0;
  const rig = exportRig({
    frames: [1, 1, 1, 1],
    lanes: 1,
    post: () => (n++ % 3 === 2 ? sent : { is: "retry", why: "busy" }),
  });
  await rig.untilSettled();
  expect(rig.reader.order).toEqual([1, 2, 3, 4]);
});

test("a hang is a timeout, and a timeout is tried again with the same items", async () => {
  let n = 0;
  const rig = exportRig({
    frames: [5],
    timeoutMs: 20,
    post: (_lines, _sending, stop) => {
      if (n++ > 1) return sent;
      const { promise, resolve } = Promise.withResolvers<Verdict>();
      stop.addEventListener("abort", () => resolve({ is: "retry", why: String(stop.reason) }));
      return promise;
    },
  });
  await rig.untilSettled();
  expect(rig.posts.map((p) => p.sending.attempt)).toEqual([1, 2, 3]);
  expect(new Set(rig.posts.map((p) => p.lines.join())).size).toBe(1);
  expect(rig.meter.value("weir_exporter_resent_items_total")).toBe(10);
  expect(rig.log.lines.filter((l) => l.level === "warn")).toHaveLength(1);
  expect(rig.log.lines[0]?.fields).toMatchObject({ why: expect.stringContaining("20 ms") });
});

test("a post that ignores its signal loses its buffer, not the loop", async () => {
  let n = 0;
  const rig = exportRig({
    frames: [5],
    timeoutMs: 10,
    post: () => (n++ === 0 ? new Promise<Verdict>(() => {}) : sent),
  });
  await rig.untilSettled();
  expect(rig.reader.settled.get(1)?.delivered).toBe(5);
});

test("a post that throws is tried again", async () => {
  let n = 0;
  const rig = exportRig({
    frames: [1],
    post: () => {
      if (n++ === 0) throw new Error("boom");
      return sent;
    },
  });
  await rig.untilSettled();
  expect(rig.reader.settled.get(1)?.delivered).toBe(1);
});

test.each([
  [60, 50, 60],
  [60, 0, 60],
  [10, 50, 50],
  [10, -5, 10],
])("backoff %i ms and Retry-After %i ms pause %i ms", async (backoff, afterMs, expected) => {
  const times: number[] = [];
  const retry = { ...quickRetry, initial_interval: backoff, max_interval: 1_000 };
  using waits = new CoreWaits(() => [process.pid]);
  const rig = exportRig({
    frames: [1],
    retry,
    post: () =>
      times.push(performance.now()) === 1 ? { is: "retry", afterMs, why: "busy" } : sent,
  });
  await rig.untilSettled();
  const paused = (times[1] ?? 0) - (times[0] ?? 0);
  expect(paused).toBeGreaterThanOrEqual(expected - 2);
  expect(paused - waits.within(paused)).toBeLessThan(expected + 200);
});

test("Retry-After is clamped to five minutes", async () => {
  const rig = exportRig({ frames: [1], post: () => ({ is: "retry", afterMs: 1e12, why: "busy" }) });
  const running = rig.run();
  await until(() => rig.log.lines.length > 0);
  expect(rig.log.lines[0]?.fields).toMatchObject({ pauseMs: 300_000 });
  await running.stop();
  expect(rig.reader.settled.size).toBe(0);
});

test("max_elapsed_time gives up, counted; without it nothing ends", async () => {
  const rig = exportRig({
    frames: [4],
    retry: { ...quickRetry, max_elapsed_time: 30 },
    post: () => ({ is: "retry", why: "busy" }),
  });
  await rig.untilSettled();
  expect(dropped(rig.reader.settled.get(1))).toEqual({ max_elapsed_time: 4 });
  expect(rig.meter.value("otelcol_exporter_send_failed_log_records")).toBe(4);
  expect(rig.log.lines.some((l) => l.level === "error")).toBe(true);
});

test("retries that are switched off drop, counted", async () => {
  const retry = { ...quickRetry, enabled: false };
  const rig = exportRig({ frames: [4], retry, post: () => ({ is: "retry", why: "busy" }) });
  await rig.untilSettled();
  expect(dropped(rig.reader.settled.get(1))).toEqual({ retry_disabled: 4 });
});

test("a slow destination holds no more than its lanes: ranges and buffers are bounded", async () => {
  const rig = exportRig({
    frames: Array.from({ length: 2_000 }, () => 10),
    lanes: 4,
    limits: { bytes: 1 << 20, items: 5, lanes: 4 },
    retry: { ...quickRetry, max_interval: 1 },
    post: (_l, { attempt }) => (attempt < 2 ? { is: "retry", why: "slow" } : sent),
  });
  const before = process.memoryUsage().arrayBuffers;
  const running = rig.run();
  let most = 0;
  await until(() => {
    most = Math.max(most, rig.reader.outstanding);
    return rig.posts.length > 2_000;
  });
  const grown = process.memoryUsage().arrayBuffers - before;
  await running.stop();
  expect(most).toBeLessThanOrEqual(5); // one more is read ahead, since there are whole ones
  expect(grown).toBeLessThan(12 << 20);
});

test("a settlement that the journal refuses ends the loop with its error", async () => {
  const rig = exportRig({ frames: [1, 1], post: () => sent });
  rig.reader.settle = () => {
    throw new Error("settled twice");
  };
  await expect(rig.run().done).rejects.toThrow("settled twice");
});

test("whatever the destination answers, every tally sums up and nothing is lost or delivered twice", async () => {
  const verdict = fc.constantFrom<Verdict>(
    sent,
    { is: "sent", unconfirmed: true },
    { is: "retry", why: "r" },
    { is: "split", why: "s" },
    { is: "rejected", why: "x" },
    { is: "rows_rejected", rows: [0], why: "y" },
    { is: "pause", why: "p" },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 6 }),
      fc.array(verdict, { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 3 }),
      async (frames, script, lanes) => {
        let n = 0;
        const rig = exportRig({
          frames,
          lanes,
          probeMs: 1,
          limits: { bytes: 60, items: 5, lanes },
          post: () => script[n++] ?? sent,
        });
        await rig.untilSettled();
        for (const [seq, tally] of rig.reader.settled)
          expect(tallySum(tally)).toBe(frames[seq - 1]);
        const dead = [...rig.reader.settled.values()].reduce((a, t) => a + t.deadLettered, 0);
        expect(rig.deadLetters.letters.size).toBe(dead);
      },
    ),
    { numRuns: 60, seed: 11 },
  );
});
