import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Verdict } from "../../../src/kit/delivery/backend.ts";
import { NextRequest, type Upcoming } from "../../../src/kit/delivery/next-request.ts";
import { Slabs } from "../../../src/kit/delivery/slabs.ts";
import {
  bodyLines,
  exportRig,
  LineWriter,
  quickRetry,
  type RigOptions,
  sent,
} from "../../support/export-rig.ts";
import { until } from "../../support/until.ts";

/** What was written, by its first line, in this order. */
class WatchedWriter extends LineWriter {
  readonly written: string[] = [];

  override write(...args: Parameters<LineWriter["write"]>) {
    const [, , , out] = args;
    const written = super.write(...args);
    this.written.push(bodyLines(out.bytes.subarray(0, out.length))[0] ?? "");
    return written;
  }
}

/** One lane, requests of four items, and a destination that answers when `answer` is called. */
function laneRig(options: Partial<RigOptions> & Pick<RigOptions, "frames">) {
  const writer = new WatchedWriter();
  const answers: ((verdict: Verdict) => void)[] = [];
  const rig = exportRig({
    lanes: 1,
    limits: { bytes: 1 << 16, items: 4, lanes: 1 },
    timeoutMs: 0,
    writer,
    post: () => new Promise<Verdict>((resolve) => answers.push(resolve)),
    ...options,
  });
  const first = () => rig.posts.map(({ lines }) => lines[0]);
  /** Answers the request that is out, once so many requests were written. */
  const answer = async (verdict: Verdict, writes: number) => {
    await until(() => answers.length > 0 && writer.written.length >= writes);
    answers.shift()?.(verdict);
  };
  return { ...rig, writer, answer, first };
}

test("while a request is out, the next one is written: of its range, or of the one behind; none goes out before its turn", async () => {
  const rig = laneRig({ frames: [8, 4] });
  const running = rig.run();
  await rig.answer(sent, 2);
  expect(rig.first()).toEqual(["1.0"]);
  await rig.answer(sent, 3);
  expect(rig.first()).toEqual(["1.0", "1.4"]);
  expect(rig.writer.written).toEqual(["1.0", "1.4", "2.0"]);
  await rig.answer(sent, 3);
  await until(() => rig.reader.settled.size === 2);
  await running.stop();
  expect(rig.writer.written).toEqual(["1.0", "1.4", "2.0"]);
  expect(rig.posts.flatMap(({ lines }) => lines)).toHaveLength(12);
});

test("with several lanes nothing is written before it goes out", async () => {
  const rig = laneRig({
    frames: [8, 8],
    lanes: 2,
    limits: { bytes: 1 << 16, items: 4, lanes: 2 },
  });
  const running = rig.run();
  await until(() => rig.posts.length === 2);
  for (let i = 0; i < 20; i++) await turn();
  expect(rig.writer.written).toHaveLength(2);
  for (let i = 0; i < 4; i++) await rig.answer(sent, 2);
  await until(() => rig.reader.settled.size === 2);
  await running.stop();
});

test.each<[string, Verdict]>([
  ["a failure", { is: "retry", why: "busy" }],
  ["a pause", { is: "pause", why: "HTTP 401" }],
])(
  "after %s, what was written ahead is let go, and written again when its turn comes",
  async (_, verdict) => {
    const rig = laneRig({ frames: [4, 4], probeMs: 1 });
    const running = rig.run();
    await rig.answer(verdict, 2);
    await rig.answer(verdict, 4);
    await rig.answer(sent, 6);
    await rig.answer(sent, 6);
    await until(() => rig.reader.settled.size === 2);
    await running.stop();
    expect(rig.first()).toEqual(["1.0", "1.0", "1.0", "2.0"]);
    expect(rig.writer.written).toEqual(["1.0", "2.0", "1.0", "2.0", "1.0", "2.0"]);
  },
);

test("an answer that comes at once leaves no time to write ahead; nothing is kept for later", async () => {
  const writer = new WatchedWriter();
  const rig = exportRig({
    frames: [4, 4],
    lanes: 1,
    limits: { bytes: 1 << 16, items: 4, lanes: 1 },
    writer,
    post: (_lines, { attempt }) => (attempt < 3 ? { is: "retry", why: "busy" } : sent),
  });
  await rig.untilSettled();
  expect(writer.written).toEqual(["1.0", "1.0", "1.0", "2.0", "2.0", "2.0"]);
});

test("what an answer teaches, or another signal's meanwhile, holds for the request that is written already", async () => {
  let lessons = 0;
  const rig = laneRig({ frames: [4, 4, 4, 4], lessons: () => lessons });
  const running = rig.run();
  await until(() => rig.writer.written.length === 2);
  lessons++;
  await rig.answer({ is: "rejected", why: "type", again: true }, 2);
  await rig.answer(sent, 3); // 1.0 again; 2.0 is kept
  await until(() => rig.posts.length === 3);
  await until(() => rig.writer.written.length === 5);
  lessons++;
  await rig.answer(sent, 5);
  await rig.answer(sent, 7);
  await rig.answer(sent, 7);
  await until(() => rig.reader.settled.size === 4);
  await running.stop();
  expect(rig.first()).toEqual(["1.0", "1.0", "2.0", "3.0", "4.0"]);
  const { written } = rig.writer;
  expect(written).toEqual(["1.0", "2.0", "1.0", "2.0", "3.0", "3.0", "4.0"]);
});

test("a request that is larger than what the destination takes by now is written again, smaller", async () => {
  const posted: number[] = [];
  const writer = new WatchedWriter();
  const rig = exportRig({
    frames: [1_000, 1_000],
    lanes: 1,
    limits: { bytes: 1 << 16, items: 1_000, lanes: 1 },
    writer,
    post: async (lines) => {
      posted.push(lines.join("\n").length + 1);
      if (posted.length > 1) return sent;
      await until(() => writer.written.includes("2.0"));
      return { is: "split", why: "HTTP 413" };
    },
  });
  await rig.untilSettled();
  const [first = 0, ...others] = posted;
  expect(Math.max(...others)).toBeLessThanOrEqual(first / 2);
  expect(rig.posts.slice(1).flatMap(({ lines }) => lines)).toEqual(
    [1, 2].flatMap((seq) => Array.from({ length: 1_000 }, (_, i) => `${seq}.${i}`)),
  );
});

test("an item that is larger than requests are to be goes out as it was written", async () => {
  const rig = laneRig({ frames: [3], batch: { minItems: 1, waitMs: 0, maxBytes: 2 } });
  const running = rig.run();
  await rig.answer(sent, 2);
  await rig.answer(sent, 3);
  await rig.answer(sent, 3);
  await until(() => rig.reader.settled.size === 1);
  await running.stop();
  expect(rig.writer.written.filter((line) => line !== "")).toEqual(["1.0", "1.1", "1.2"]);
});

test("rows that are refused for good leave what is written already as it is", async () => {
  const rig = laneRig({ frames: [4, 4] });
  const running = rig.run();
  await rig.answer({ is: "rows_rejected", rows: [2], why: "bad" }, 2);
  await rig.answer(sent, 2);
  await until(() => rig.reader.settled.size === 2);
  await running.stop();
  expect(rig.deadLetters.keys()).toEqual(["1.2"]);
  expect(rig.writer.written).toEqual(["1.0", "2.0"]);
});

test("on a stop the range that is out ends in its grace; the request of the next range stays in the queue", async () => {
  const rig = laneRig({ frames: [8, 4] });
  const running = rig.run();
  await rig.answer(sent, 2);
  await until(() => rig.posts.length === 2 && rig.writer.written.length === 3);
  const stopped = running.stop();
  await rig.answer(sent, 3);
  await stopped;
  expect(rig.first()).toEqual(["1.0", "1.4"]);
  expect(rig.reader.order).toEqual([1]);
});

test("on a stop whose grace is over nothing that is written goes out", async () => {
  const rig = laneRig({
    frames: [8, 4],
    graceMs: 1,
    post: (_lines, _sending, stop) =>
      new Promise((resolve) =>
        stop.addEventListener("abort", () => resolve({ is: "retry", why: "stopped" })),
      ),
  });
  const running = rig.run();
  await until(() => rig.writer.written.length === 2);
  await running.stop();
  expect(rig.first()).toEqual(["1.0"]);
  expect(rig.reader.order).toEqual([]);
});

test("the time of a range begins with its turn, not when it is written", async () => {
  let nowMs = 0;
  const retry = { ...quickRetry, max_elapsed_time: 1_000 };
  const rig = laneRig({ frames: [4, 4], retry, nowMs: () => nowMs });
  const running = rig.run();
  await until(() => rig.writer.written.length === 2);
  nowMs = 2_000;
  await rig.answer({ is: "retry", why: "busy" }, 2);
  await rig.answer({ is: "retry", why: "busy" }, 3);
  await rig.answer(sent, 4);
  await until(() => rig.reader.settled.size === 2);
  await running.stop();
  expect(rig.reader.settled.get(1)?.dropped.get("max_elapsed_time")).toBe(4);
  expect(rig.reader.settled.get(2)).toMatchObject({ delivered: 4 });
});

test("a writer that throws ahead of time costs the item it throws for, when its turn comes", async () => {
  class Picky extends WatchedWriter {
    override write(...args: Parameters<LineWriter["write"]>) {
      const [range, from, to] = args;
      if (range.first === 2 && from <= 1 && to > 1) throw new Error("no such shape");
      return super.write(...args);
    }
  }
  const rig = exportRig({
    frames: [4, 4],
    lanes: 1,
    limits: { bytes: 1 << 16, items: 4, lanes: 1 },
    writer: new Picky(),
    post: async () => {
      for (let i = 0; i < 10; i++) await turn();
      return sent;
    },
  });
  await rig.untilSettled();
  expect(rig.deadLetters.keys()).toEqual(["2.1"]);
  expect(rig.posts.flatMap(({ lines }) => lines)).toEqual(
    ["1.0", "1.1", "1.2", "1.3", "2.0", "2.2", "2.3"], // what is halved keeps its order
  );
});

const VERDICTS: readonly Verdict[] = [
  sent,
  { is: "sent", unconfirmed: true },
  { is: "retry", why: "r" },
  { is: "retry", why: "r", afterMs: 1 },
  { is: "split", why: "s" },
  { is: "rejected", why: "x" },
  { is: "rejected", why: "x", again: true },
  { is: "rows_rejected", rows: [0], why: "y" },
  { is: "pause", why: "p" },
];

test("with one lane, whatever the answers are, no item overtakes another, none goes out twice once it was taken, none is lost", async () => {
  const step = fc.record({
    verdict: fc.constantFrom(...VERDICTS),
    turns: fc.integer({ min: 0, max: 6 }),
    teaches: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 8 }),
      fc.array(step, { minLength: 1, maxLength: 40 }),
      async (frames, script) => {
        let [posts, open, most, lessons] = [0, 0, 0, 0];
        const ended: string[] = [];
        const rig = exportRig({
          ...{ frames, lanes: 1, probeMs: 1, lessons: () => lessons },
          limits: { bytes: 60, items: 5, lanes: 1 },
          poisonAfter: 1e9,
          post: async (lines) => {
            const { verdict, turns, teaches } = script[posts++] ?? { verdict: sent, turns: 1 };
            most = Math.max(most, ++open);
            for (let i = 0; i < turns; i++) await turn();
            open--;
            if (teaches) lessons++;
            const isEnd = verdict.is === "rejected" && verdict.again !== true && lines.length === 1;
            const isTooLarge = verdict.is === "split" && lines.length === 1;
            if (verdict.is === "sent" || verdict.is === "rows_rejected" || isEnd || isTooLarge)
              ended.push(...lines);
            return verdict;
          },
        });
        await rig.untilSettled();
        expect(most).toBeLessThanOrEqual(1);
        expect(ended).toEqual(
          frames.flatMap((items, i) => Array.from({ length: items }, (_, k) => `${i + 1}.${k}`)),
        );
        expect(rig.reader.order).toEqual(frames.map((_, i) => i + 1));
      },
    ),
    { numRuns: 60, seed: 23 },
  );
});

test("a lane holds two buffers at most, however many requests it sends", async () => {
  const MIB = 1 << 20;
  const writer = new LineWriter();
  const lines = 200; // of a body
  const rig = exportRig({
    frames: Array.from({ length: 1_000 }, () => lines),
    lanes: 1,
    limits: { bytes: 2 * MIB, items: lines, lanes: 1 },
    retry: { ...quickRetry, max_interval: 1 },
    writer,
    post: async (_lines, { attempt }) => {
      await turn();
      return attempt < 2 ? { is: "retry", why: "slow" } : sent;
    },
  });
  const before = process.memoryUsage().arrayBuffers;
  const running = rig.run();
  await until(() => rig.posts.length > 400);
  const grown = process.memoryUsage().arrayBuffers - before;
  await running.stop();
  expect(rig.reader.outstanding).toBeLessThanOrEqual(2);
  expect(grown).toBeLessThan(2 * 2 * MIB + 2 * MIB);
});

test("what is let go gives its buffer back; what is taken is its taker's", () => {
  const slabs = new Slabs(1_024, 2);
  const next = new NextRequest(slabs, true);
  const [part, other] = [{}, {}];
  let asked = 0;
  const range: Upcoming = { hasMore: true, writeNext: async () => void asked++ };
  const make = () => {
    const slab = slabs.take();
    const written = { to: 1, rows: 1, dropped: new Map() };
    const made = { slab, body: slab.bytes.subarray(0, 100), written };
    next.keep(part, made, { mostBytes: 200, lessons: 3 });
  };
  expect(next.isDue).toBe(false);
  const out = next.sendOf(range);
  expect([next.isDue, asked]).toEqual([true, 1]);
  make();
  expect([next.isDue, next.isOf(part), next.isOf(other), slabs.taken]).toEqual([
    ...[false, true, false],
    1,
  ]);
  expect(next.take(other, { mostBytes: 1_024, lessons: 3 })).toBeUndefined();
  expect(slabs.taken).toBe(1);
  expect(next.take(part, { mostBytes: 200, lessons: 3 })?.body).toHaveLength(100);
  expect([next.isOf(part), slabs.taken]).toEqual([false, 1]);
  make();
  expect(next.take(part, { mostBytes: 199, lessons: 3 })).toBeUndefined();
  expect(slabs.taken).toBe(1);
  make();
  expect(next.take(part, { mostBytes: 200, lessons: 4 })).toBeUndefined();
  expect(slabs.taken).toBe(1);
  make();
  next.drop();
  next.drop();
  expect([next.isOf(part), slabs.taken]).toEqual([false, 1]);
  out[Symbol.dispose]();
  expect(next.isDue).toBe(false);
  next.readAhead(range);
  expect(asked).toBe(1);
});
