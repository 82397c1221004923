import { expect, test } from "vitest";
import { WritePace } from "../../../src/kit/delivery/write-pace.ts";
import type { Range } from "../../../src/otlp/range.ts";
import type { Slab } from "../../../src/series/writer.ts";
import { exportRig, LineWriter, sent } from "../../support/export-rig.ts";

test("long calls halve the next one down to a floor, short ones double it again", () => {
  const pace = new WritePace(1_000, 40);
  pace.took(1_000, 30);
  expect(pace.items).toBe(1_000);
  pace.took(1_000, 200);
  expect(pace.items).toBe(500);
  pace.took(1, 200); // one item alone
  expect(pace.items).toBe(128);
  for (const items of [256, 512, 1_000, 1_000]) {
    pace.took(pace.items, 1);
    expect(pace.items).toBe(items);
  }
  expect(new WritePace(1 << 20, 40).items).toBe(8_192);
  const few = new WritePace(5, 40);
  few.took(5, 99);
  expect(few.items).toBe(5);
});

test("where fewer items take as long, they do not become ever fewer", () => {
  const pace = new WritePace(1 << 20, 12);
  const asked: number[] = [];
  for (let i = 0; i < 20; i++) {
    asked.push(pace.items);
    pace.took(pace.items, 30 + pace.items / 10_000);
  }
  expect(Math.min(...asked)).toBe(4_096);
  // And when that is over, they grow again.
  for (let i = 0; i < 8; i++) pace.took(pace.items, 1);
  expect(pace.items).toBe(1 << 20);
});

const cpuMs = () => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
};

/** Every item costs it 0.1 ms of CPU time. */
class SlowWriter extends LineWriter {
  override write(range: Range, from: number, to: number, out: Slab) {
    const begun = cpuMs();
    const written = super.write(range, from, to, out);
    while (cpuMs() - begun < (written.to - from) * 0.1);
    return written;
  }
}

test("a writer that takes long gets fewer items at a time, and every item is delivered", async () => {
  const writer = new SlowWriter();
  const rig = exportRig({
    frames: [5_000],
    writer,
    post: () => sent,
    limits: { bytes: 1 << 20, items: 2_000, lanes: 1 },
    lanes: 1,
  });
  await rig.untilSettled();
  const lengths = rig.posts.map(({ lines }) => lines.length);
  expect(lengths.slice(0, 2)).toEqual([2_000, 1_000]);
  expect(Math.max(...lengths.slice(4))).toBeLessThanOrEqual(128);
  expect(rig.posts.flatMap(({ lines }) => lines)).toHaveLength(5_000);
});
