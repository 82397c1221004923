import { setTimeout as wait } from "node:timers/promises";
import { expect, test } from "vitest";
import { Lanes } from "../../../src/kit/delivery/lanes.ts";
import { RangeFit } from "../../../src/kit/delivery/range-fit.ts";
import { exportRig, LineWriter, sent } from "../../support/export-rig.ts";
import { until } from "../../support/until.ts";

const MIB = 1 << 20;

test("parts of one range go out at the same time, on as many lanes as are free", async () => {
  let open = 0;
  let most = 0;
  const rig = exportRig({
    frames: [40],
    lanes: 4,
    limits: { bytes: MIB, items: 5, lanes: 16 },
    timeoutMs: 0,
    post: async () => {
      most = Math.max(most, ++open);
      await until(() => most === 3);
      open -= 1;
      return sent;
    },
  });
  // the fourth waits for the next range
  await rig.untilSettled();
  expect(most).toBe(3);
  expect(rig.posts.flatMap(({ lines }) => lines).sort()).toEqual(
    Array.from({ length: 40 }, (_, item) => `1.${item}`).sort(),
  );
  expect(rig.reader.settled.get(1)).toMatchObject({ delivered: 40 });
});

test("a lane with nothing left to send is given back, however long another one waits with the rest of its range", async () => {
  const mended = Promise.withResolvers<void>();
  const rig = exportRig({
    frames: [10, 1, 1],
    lanes: 2,
    limits: { bytes: MIB, items: 5, lanes: 2 },
    timeoutMs: 0,
    post: async (lines) => {
      if (lines.includes("1.5")) await mended.promise;
      return sent;
    },
  });
  const running = rig.run();
  await until(() => rig.reader.order.length === 2);
  expect(rig.reader.order).toEqual([2, 3]);
  mended.resolve();
  await until(() => rig.reader.settled.get(1)?.delivered === 10);
  await running.stop();
});

test("one lane keeps the order, whatever a range holds", async () => {
  const rig = exportRig({
    frames: [9, 9, 9],
    limits: { bytes: MIB, items: 4, lanes: 1 },
    post: async () => sent,
  });
  await rig.untilSettled();
  const lines = rig.posts.flatMap((post) => post.lines);
  expect(lines).toEqual(
    [1, 2, 3].flatMap((seq) => Array.from({ length: 9 }, (_, i) => `${seq}.${i}`)),
  );
});

test("a part that cannot be settled with the others ends the loop with its error", async () => {
  const writer = new LineWriter();
  writer.itemOfRow = () => {
    throw new Error("no such row");
  };
  const rig = exportRig({
    frames: [40],
    limits: { bytes: MIB, items: 5, lanes: 4 },
    writer,
    post: (lines) => (lines[0] === "1.5" ? { is: "rows_rejected", rows: [0], why: "x" } : sent),
    lanes: 4,
  });
  await expect(rig.run().done).rejects.toThrow("no such row");
});

test("the first four lanes are eager, those beyond wait up to 50 ms for whole requests", async () => {
  const rig = exportRig({
    frames: [1, 1, 1, 1, 1, 1],
    lanes: 6,
    post: () => new Promise(() => {}),
    timeoutMs: 100,
    graceMs: 1,
  });
  const running = rig.run();
  await until(() => rig.reader.limits.length >= 6);
  await running.stop();
  expect(rig.reader.limits.slice(0, 6).map(({ waitMs = 0 }) => waitMs)).toEqual([
    0, 0, 0, 0, 50, 50,
  ]);
  expect(rig.reader.limits[4]?.minItems).toBe(1 << 16);
});

test("while all lanes are busy, one whole range is read ahead; less than a whole one waits for a lane", async () => {
  const gates = [1, 2, 3].map(() => Promise.withResolvers<void>());
  let posts = 0;
  const rig = exportRig({
    frames: [4, 4, 1],
    lanes: 1,
    limits: { bytes: MIB, items: 4, lanes: 1 },
    timeoutMs: 0,
    post: async () => {
      await gates[posts++]?.promise;
      return sent;
    },
  });
  const running = rig.run();
  await until(() => rig.posts.length === 1);
  await until(() => rig.reader.reads === 2);
  gates[0]?.resolve();
  await until(() => rig.posts.length === 2);
  await wait(10);
  expect(rig.reader.reads).toBe(2);
  for (const { resolve } of gates) resolve();
  await until(() => rig.reader.settled.size === 3);
  await running.stop();
  expect(rig.reader.order).toEqual([1, 2, 3]);
});

/** Of a destination that answers after so many milliseconds. */
function fitOf(bodyBytes: number, answerMs: number): RangeFit {
  const fit = new RangeFit(bodyBytes);
  fit.answered(answerMs);
  return fit;
}

test.each([
  ["slow", 1_000, 96],
  ["quick", 1, 16],
])(
  "a %s destination that answers in %i ms holds %i MiB of ranges at most, beside those of four lanes",
  async (_, answerMs, most) => {
    const fit = fitOf(8 * MIB, answerMs);
    const lanes = new Lanes(64, fit);
    const held: Disposable[] = [];
    while (lanes.tryTakeForRange()) held.push(lanes.hold(2 * MIB));
    expect(2 * MIB * lanes.taken + fit.bytes).toBeGreaterThan(most * MIB);
    expect(2 * MIB * (lanes.taken - 1) + fit.bytes).toBeLessThanOrEqual(most * MIB);
    let isWoken = false;
    void lanes.freed().then(() => {
      isWoken = true;
    });
    held[0]?.[Symbol.dispose]();
    await wait(0);
    expect(isWoken).toBe(true);
    expect(lanes.tryTakeForRange()).toBe(true);
    const huge = new Lanes(32, fit);
    while (huge.tryTakeForRange()) huge.hold(200 * MIB);
    expect(huge.taken).toBe(4);
    expect(huge.tryTake()).toBe(true);
  },
);

test("while two ranges wait to be written, no other is read", async () => {
  const lanes = new Lanes(8, new RangeFit(MIB));
  const turns = [lanes.turn(), lanes.turn()];
  expect(lanes.isBehind).toBe(true);
  const freed = lanes.freed();
  await turns[0];
  await freed;
  expect(lanes.isBehind).toBe(false);
  await turns[1];
});

test("ranges become as large as their requests need, and forget slowly what was large once", () => {
  const fit = fitOf(8 * MIB, 1_000);
  expect(fit.bytes).toBeGreaterThan(7.8 * MIB);
  fit.wrote(1_000, 2_000); // lines twice as long as their telemetry
  expect(fit.bytes).toBeCloseTo(7.84 * MIB, -4); // two requests
  fit.wrote(1_000, 3_000);
  fit.limit(16 * MIB);
  expect(fit.bytes).toBeCloseTo((16 * 0.98 * MIB) / 3, -4);
  fit.limit(8 * MIB);
  for (let i = 0; i < 200; i++) fit.wrote(1_000, 500);
  expect(fit.bytes).toBe(8 * MIB); // one, never more than 8 MiB
  const small = fitOf(MIB, 1_000);
  expect(small.bytes).toBeCloseTo(8 * 0.98 * MIB, -4);
  small.limit(64 << 10); // after a 413
  expect(small.bytes).toBeCloseTo(8 * 0.98 * (64 << 10), -3);
});

test("ranges of a quick destination are small; one slow answer among quick ones changes nothing, many do", () => {
  const fit = fitOf(8 * MIB, 5);
  expect(fit.isQuick).toBe(true);
  expect(fit.bytes).toBe(2 * MIB);
  fit.answered(900);
  expect(fit.isQuick).toBe(true);
  for (let i = 0; i < 20; i++) fit.answered(900);
  expect(fit.isQuick).toBe(false);
  expect(fit.bytes).toBeGreaterThan(7.8 * MIB);
  fit.answered(5);
  expect(fit.isQuick).toBe(true);
  expect(fitOf(64 << 10, 5).bytes).toBeCloseTo(8 * 0.98 * (64 << 10), -3);
  const alone = new RangeFit(8 * MIB, true);
  alone.answered(5);
  expect(alone.bytes).toBeGreaterThan(7.8 * MIB); // a pause behind each range
});
