import { expect, test } from "vitest";
import { Turns } from "../../src/kit/turns.ts";
import { exportRig, LineWriter, sent, until } from "../support/export-rig.ts";

/** Counts writes per turn of the event loop. */
class CountingWriter extends LineWriter {
  readonly writes: number[];
  constructor(writes: number[]) {
    super();
    this.writes = writes;
  }
  override write(...args: Parameters<LineWriter["write"]>) {
    const turn = this.writes;
    turn[turn.length - 1] = (turn.at(-1) ?? 0) + 1;
    return super.write(...args);
  }
}

/** The most writes in one turn when three routes have `frames` that arrived at 0 ms, by a clock that says `nowMs`. */
async function mostWrites(nowMs: number): Promise<number> {
  const writes = [0];
  const lateTurns = new Turns();
  const frames = Array.from({ length: 60 }, () => 1);
  const rigs = [1, 2, 3].map(() =>
    exportRig({
      frames,
      lanes: 4,
      writer: new CountingWriter(writes),
      post: () => sent,
      lateTurns,
      nowMs: () => nowMs,
    }),
  );
  const running = rigs.map((rig) => rig.run());
  let isOver = false;
  const count = () => {
    writes.push(0);
    if (!isOver) setImmediate(count);
  };
  count();
  await until(() => rigs.every(({ reader }) => reader.settled.size === frames.length));
  isOver = true;
  for (const one of running) await one.stop();
  return Math.max(...writes);
}

test("of routes that are behind, one writes per turn of the event loop; what is fresh does not wait for them", async () => {
  expect(await mostWrites(1_001)).toBe(1);
  expect(await mostWrites(1_000)).toBeGreaterThan(1);
});

test("turns are given in the order in which they were asked for", async () => {
  const turns = new Turns();
  const order: number[] = [];
  await Promise.all([1, 2, 3].map((n) => turns.next().then(() => order.push(n))));
  expect(order).toEqual([1, 2, 3]);
});
