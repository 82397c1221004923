import { expect, test } from "vitest";
import { exportRig, LineWriter, sent } from "../../support/export-rig.ts";

test("rows that the writer writes differently from now on are sent again by themselves", async () => {
  const rig = exportRig({
    frames: [5],
    post: (lines) =>
      lines.length === 5
        ? {
            is: "rows_rejected",
            rows: [1, 2, 4],
            reasons: ["type", "bad", "type"],
            why: "?",
            again: new Set([1, 4]),
          }
        : sent,
  });
  await rig.untilSettled();
  expect(rig.posts.map(({ lines }) => lines.join(" "))).toEqual([
    "1.0 1.1 1.2 1.3 1.4",
    "1.4",
    "1.1",
  ]);
  expect(rig.deadLetters.keys()).toEqual(["1.2"]);
  expect(rig.reader.settled.get(1)).toMatchObject({ delivered: 4, deadLettered: 1 });
});

test("with many such rows the whole request is sent again; what is refused then is a dead letter", async () => {
  const all = Array.from({ length: 100 }, (_, row) => row);
  let posts = 0;
  const rig = exportRig({
    frames: [100],
    post: () =>
      posts++ === 0
        ? { is: "rows_rejected", rows: all, why: "type", again: new Set(all) }
        : { is: "rows_rejected", rows: [7], why: "no", again: new Set() },
  });
  await rig.untilSettled();
  expect(rig.posts.map(({ lines }) => lines.length)).toEqual([100, 100]);
  expect(rig.deadLetters.keys()).toEqual(["1.7"]);
  expect(rig.reader.settled.get(1)).toMatchObject({ delivered: 99, deadLettered: 1 });
});

test("a request that is refused as a whole is sent again once for each lesson, then halved", async () => {
  let lessons = 0;
  const rig = exportRig({
    frames: [8],
    post: (lines) => {
      if (lessons++ < 3) return { is: "rejected", why: "type", again: true };
      return lines.includes("1.6") ? { is: "rejected", why: "no" } : sent;
    },
  });
  await rig.untilSettled();
  expect(rig.posts.slice(0, 4).map(({ lines }) => lines.length)).toEqual([8, 8, 8, 8]);
  expect(rig.posts.length).toBe(4 + 6);
  expect(rig.deadLetters.keys()).toEqual(["1.6"]);
});

test("a destination that teaches for ever ends as dead letters", async () => {
  const rig = exportRig({
    frames: [1, 1],
    post: ([line]) =>
      line === "1.0"
        ? { is: "rejected", why: "type", again: true }
        : { is: "rows_rejected", rows: [0], why: "type", again: new Set([0]) },
  });
  await rig.untilSettled();
  expect(rig.posts.length).toBe(2 * 17);
  expect(rig.deadLetters.keys()).toEqual(["1.0", "2.0"]);
});

test("the items of many rejected rows are found in one walk", async () => {
  let walks = 0;
  class Walking extends LineWriter {
    itemsOfRows(_range: unknown, from: number, rows: readonly number[]): number[] {
      walks++;
      expect(rows).toEqual([...rows].sort((a, b) => a - b));
      return rows.map((row) => from + row);
    }
  }
  const rows = Array.from({ length: 50 }, (_, i) => 99 - 2 * i);
  const rig = exportRig({
    frames: [100],
    writer: new Walking(),
    post: () => ({ is: "rows_rejected", rows, reasons: rows.map((row) => `row ${row}`), why: "?" }),
  });
  await rig.untilSettled();
  expect(walks).toBe(1);
  expect(rig.deadLetters.letters.get("1.97")?.answer).toBe("row 97");
  expect(rig.reader.settled.get(1)).toMatchObject({ delivered: 50, deadLettered: 50 });
});
