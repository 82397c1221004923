import { setTimeout as wait } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Verdict } from "../../src/kit/backend.ts";
import { exportRig, LineWriter, quickRetry, sent, tallySum, until } from "../support/export-rig.ts";

const dropped = (tally: { dropped: ReadonlyMap<string, number> } | undefined) =>
  Object.fromEntries(tally?.dropped ?? []);

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
  expect(rig.reader.limits[0]).toEqual({ bytes: 40, items: 3, minItems: 7, waitMs: 9 });
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
  const rig = exportRig({
    frames: [1],
    retry,
    post: () =>
      times.push(performance.now()) === 1 ? { is: "retry", afterMs, why: "busy" } : sent,
  });
  await rig.untilSettled();
  const paused = (times[1] ?? 0) - (times[0] ?? 0);
  expect(paused).toBeGreaterThanOrEqual(expected - 2);
  expect(paused).toBeLessThan(expected + 200);
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

test("413 halves until it fits; a single item that is too large is a dead letter", async () => {
  const rig = exportRig({
    frames: [10],
    post: (lines) =>
      lines.length > 3 || lines.includes("1.7") ? { is: "split", why: "413" } : sent,
  });
  await rig.untilSettled();
  expect(rig.reader.settled.get(1)).toMatchObject({ delivered: 9, deadLettered: 1 });
  expect(rig.deadLetters.letters.get("1.7")).toMatchObject({ reason: "too_large", answer: "413" });
});

test("a 413 is remembered, a larger request is tried again later, and a large single item still goes", async () => {
  const big = "9.0";
  const sizes: number[] = [];
  const rig = exportRig({
    frames: Array.from({ length: 400 }, () => 400),
    lanes: 1,
    post: (lines) => {
      const size = lines.join("\n").length + 1;
      sizes.push(size);
      return size > 1_100 && lines[0] !== big ? { is: "split", why: "413" } : sent;
    },
  });
  await rig.untilSettled();
  const refused = sizes.filter((size) => size > 1_100).length;
  expect(refused).toBeGreaterThan(2);
  expect(refused).toBeLessThan(sizes.length / 20);
  expect(rig.deadLetters.letters.size).toBe(0);
});

test("what only the learned limit forbids is sent alone", async () => {
  const writer = new LineWriter(300); // about 1,300 bytes for each item
  const limits = { bytes: 1 << 14, items: 100, lanes: 1 };
  const rig = exportRig({
    frames: [8, 8],
    writer,
    limits,
    lanes: 1,
    post: (lines) => (lines.length > 300 ? { is: "split", why: "413" } : sent),
  });
  await rig.untilSettled();
  expect(rig.deadLetters.letters.size).toBe(0);
  expect(rig.reader.settled.get(2)?.delivered).toBe(8);
});

test("each named row's own reason is kept", async () => {
  const rig = exportRig({
    frames: [3],
    post: () => ({ is: "rows_rejected", rows: [0, 2], reasons: ["first", "third"], why: "first" }),
  });
  await rig.untilSettled();
  expect([...rig.deadLetters.letters.values()].map((l) => l.answer)).toEqual(["first", "third"]);
});

test("bisection finds exactly the bad items among 1,000", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.integer({ min: 0, max: 999 }), { maxLength: 8 }),
      async (bad) => {
        const names = new Set(bad.map((i) => `${Math.floor(i / 250) + 1}.${i % 250}`));
        const stored = new Set<string>();
        const rig = exportRig({
          frames: [250, 250, 250, 250],
          framesPerRange: 4,
          post: (lines) => {
            if (lines.some((l) => names.has(l))) return { is: "rejected", why: "bad" };
            for (const line of lines) stored.add(line);
            return sent;
          },
        });
        await rig.untilSettled();
        expect(rig.deadLetters.keys()).toEqual([...names].sort());
        expect(stored.size).toBe(1_000 - bad.length);
        expect(rig.posts.length).toBeLessThanOrEqual(1 + bad.length * 21);
        expect(rig.reader.settled.get(1)).toMatchObject({
          delivered: 1_000 - bad.length,
          deadLettered: bad.length,
        });
      },
    ),
    { numRuns: 25, seed: 7 },
  );
});

test("named rows become dead letters once per item, and the rest is not sent again", async () => {
  const rig = exportRig({
    frames: [2, 3],
    framesPerRange: 2,
    writer: new LineWriter(2, (line) => line === "1.0"),
    post: () => ({ is: "rows_rejected", rows: [0, 1, 5], why: "line 1: bad type" }),
  });
  await rig.untilSettled();
  expect(rig.posts).toHaveLength(1);
  expect(rig.deadLetters.keys()).toEqual(["1.1", "2.1"]);
  expect(rig.deadLetters.letters.get("2.1")).toMatchObject({
    journal: "j1",
    route: "test/eu/logs",
    reason: "row_rejected",
    answer: "line 1: bad type",
  });
  const tally = rig.reader.settled.get(1);
  expect(tally).toMatchObject({ delivered: 2, deadLettered: 2 });
  expect(dropped(tally)).toEqual({ no_row: 1 });
});

test.each([[[]], [[99]], [[-1]]])("rows %j that cannot be are found by bisection", async (rows) => {
  const rig = exportRig({
    frames: [8],
    post: (lines) => (lines.includes("1.3") ? { is: "rows_rejected", rows, why: "?" } : sent),
  });
  await rig.untilSettled();
  expect(rig.deadLetters.keys()).toEqual(["1.3"]);
});

test("items without a row need no request, and a destination's own drops are counted", async () => {
  const none = exportRig({ frames: [3], writer: new LineWriter(1, () => true), post: () => sent });
  await none.untilSettled();
  expect(none.posts).toHaveLength(0);
  expect(dropped(none.reader.settled.get(1))).toEqual({ no_row: 3 });
  const some = exportRig({
    frames: [3],
    post: () => ({
      is: "sent",
      unconfirmed: true,
      dropped: new Map([["rejected_by_destination", 2]]),
    }),
  });
  await some.untilSettled();
  expect(some.reader.settled.get(1)).toMatchObject({ unconfirmed: 1, delivered: 0 });
  expect(dropped(some.reader.settled.get(1))).toEqual({ rejected_by_destination: 2 });
});

test("a writer that throws costs one item", async () => {
  class Fragile extends LineWriter {
    override write(...given: Parameters<LineWriter["write"]>) {
      const [range, from, to] = given;
      if (from <= 5 && to > 5 && range.first === 1) throw new Error("defect");
      return super.write(...given);
    }
  }
  const rig = exportRig({ frames: [9], writer: new Fragile(), post: () => sent });
  await rig.untilSettled();
  expect(rig.deadLetters.letters.get("1.5")).toMatchObject({
    reason: "writer_failed",
    answer: "defect",
  });
  expect(rig.reader.settled.get(1)).toMatchObject({ delivered: 8, deadLettered: 1 });
});

test("a dead letter is durable before its range is settled, and is tried until it is", async () => {
  const rig = exportRig({ frames: [1], post: () => ({ is: "rejected", why: "bad" }) });
  rig.deadLetters.failures = 3;
  const running = rig.run();
  await until(() => rig.deadLetters.adds >= 2);
  expect(rig.reader.settled.size).toBe(0);
  await until(() => rig.reader.settled.size === 1);
  await running.stop();
  expect(rig.deadLetters.adds).toBe(4);
});

test("a failure that needs an operator is an ERROR, also right after another one", async () => {
  let n = 0;
  const rig = exportRig({
    frames: [1],
    post: () =>
      ++n === 1
        ? { is: "retry", why: "busy" }
        : n < 4
          ? { is: "retry", why: "404", alarm: true }
          : sent,
  });
  await rig.untilSettled();
  expect(rig.log.lines.map((l) => [l.level, l.fields])).toMatchObject([
    ["warn", { why: "busy" }],
    ["error", { why: "404" }],
  ]);
});

test("many dead letters make one log line per reason and 10 s, and their answers are cut to 1 KiB", async () => {
  const rig = exportRig({ frames: [40], post: () => ({ is: "rejected", why: "é".repeat(5_000) }) });
  await rig.untilSettled();
  expect(rig.deadLetters.letters.size).toBe(40);
  expect(rig.log.lines.filter((l) => l.level === "error")).toHaveLength(1);
  for (const { answer } of rig.deadLetters.letters.values()) expect(answer).toHaveLength(1_024);
  expect(rig.meter.value("otelcol_exporter_send_failed_log_records")).toBe(40);
});

test("a read that fails is tried again, and said", async () => {
  const rig = exportRig({ frames: [1], post: () => sent });
  const read = rig.reader.read.bind(rig.reader);
  let failures = 1;
  rig.reader.read = async (limits, stop) => {
    if (failures-- > 0) throw new Error("EIO");
    return await read(limits, stop);
  };
  await rig.untilSettled();
  expect(rig.log.lines).toMatchObject([{ level: "error", fields: { why: "EIO" } }]);
});

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
  const rig = exportRig({
    frames: [1, 1, 1, 1, 1, 1],
    probeMs: 40,
    post: () => {
      times.push(performance.now());
      return works ? sent : { is: "pause", why: "HTTP 401" };
    },
  });
  const running = rig.run();
  await wait(200);
  const early = times.length;
  expect(early).toBeLessThanOrEqual(3 + 5);
  expect(early).toBeGreaterThanOrEqual(5);
  for (let i = 4; i < early; i++) expect((times[i] ?? 0) - (times[i - 1] ?? 0)).toBeGreaterThan(35);
  expect(rig.meter.value("weir_exporter_paused")).toBe(1);
  expect(rig.log.lines.filter((l) => l.level === "error")).toHaveLength(1);
  works = true;
  await until(() => rig.reader.settled.size === 6);
  expect(rig.meter.value("weir_exporter_paused")).toBe(0);
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
  await running.stop();
  const took = performance.now() - began;
  expect(took).toBeGreaterThan(50);
  expect(took).toBeLessThan(500);
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
  const began = performance.now();
  deadline.abort();
  await running.stop();
  expect(performance.now() - began).toBeLessThan(1_500);
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
    await until(() => rig.posts.length === 3);
    const began = performance.now();
    await running.stop();
    expect(performance.now() - began).toBeLessThan(200);
    expect(rig.reader.settled.size).toBe(0);
  }
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
  expect(most).toBeLessThanOrEqual(4);
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
