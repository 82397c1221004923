import fc from "fast-check";
import { expect, test } from "vitest";
import { dropped, exportRig, LineWriter, sent } from "../../support/export-rig.ts";
import { until } from "../../support/until.ts";

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
