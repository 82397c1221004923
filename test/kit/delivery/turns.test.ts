import { expect, test } from "vitest";
import { Turns } from "../../../src/kit/delivery/turns.ts";
import { exportRig, LineWriter, sent } from "../../support/export-rig.ts";
import { until } from "../../support/until.ts";

const BUSY_MS = 6;

/** Keeps the thread. */
function work(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

/** Counts turns of the event loop while `job` goes on. */
async function counting<T>(job: (turn: () => number) => Promise<T>): Promise<T> {
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  try {
    return await job(() => turns);
  } finally {
    isOver = true;
  }
}

test("turns are given in order; who works long has one for himself", async () => {
  const turns = new Turns();
  const order: number[] = [];
  const seen = await counting((turn) =>
    Promise.all(
      [0, 1, 2, 3].map(async (n) => {
        await turns.next();
        order.push(n);
        work(BUSY_MS);
        return turn();
      }),
    ),
  );
  expect(order).toEqual([0, 1, 2, 3]);
  expect(new Set(seen).size).toBe(4);
});

test("those who work for a moment share a turn", async () => {
  const turns = new Turns();
  // A machine that does much else may take the 5 ms away between two of them.
  const seen = await counting((turn) =>
    Promise.all(
      Array.from({ length: 40 }, async () => {
        await turns.next();
        return turn();
      }),
    ),
  );
  expect(new Set(seen).size).toBeLessThan(20);
});

/** The most writes in one turn when three routes have frames that arrived at 0 ms, by a clock that says `nowMs`. */
async function mostWrites(nowMs: number): Promise<number> {
  const writes = new Map<number, number>();
  const lateTurns = new Turns();
  const frames = Array.from({ length: 20 }, () => 1);
  await counting(async (turn) => {
    class BusyWriter extends LineWriter {
      override write(...args: Parameters<LineWriter["write"]>) {
        writes.set(turn(), (writes.get(turn()) ?? 0) + 1);
        work(BUSY_MS);
        return super.write(...args);
      }
    }
    const rigs = [1, 2, 3].map(() =>
      exportRig({
        ...{ frames, lanes: 4, lateTurns, nowMs: () => nowMs },
        writer: new BusyWriter(),
        post: () => sent,
      }),
    );
    await Promise.all(rigs.map((rig) => rig.untilSettled()));
    await until(() => rigs.every(({ reader }) => reader.settled.size === frames.length));
  });
  return Math.max(...writes.values());
}

test("of routes that are behind, one writes a large request per turn; what is fresh does not wait for them", async () => {
  expect(await mostWrites(1_001)).toBe(1);
  expect(await mostWrites(1_000)).toBeGreaterThan(1);
});
