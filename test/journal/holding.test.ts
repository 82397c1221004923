import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import { isPassed, lookAt, settledIn } from "../../src/journal/holding.ts";
import { Pace } from "../../src/journal/pace.ts";
import { Progress } from "../../src/journal/progress.ts";
import { RouteState } from "../../src/journal/route-state.ts";
import { routesOf } from "../../src/journal/routes.ts";
import { Segment } from "../../src/journal/segment.ts";
import { JournalState } from "../../src/journal/state.ts";
import { Random } from "./simulated-io.ts";

afterEach(() => vi.restoreAllMocks());

/** A segment of so many frames of 10 bytes, every `every`th also for route 1. */
function segmentOf(frames: number, every: number): { state: JournalState; segment: Segment } {
  const state = new JournalState("");
  for (const number of [0, 1])
    state.routes.set(number, new RouteState(number, `${number}/logs`, "logs"));
  const segment = new Segment(1, 0);
  const [all, most] = [routesOf([0, 1]), routesOf([0])];
  for (let i = 0; i < frames; i++)
    segment.add({
      ...{ seq: i + 1, offset: 100 + 10 * i, size: 10, payload: 5, items: 1, arrivalMs: 0 },
      ...{ signal: 0, routes: i % every === 0 ? all : most },
    });
  segment.length = 100 + 10 * frames;
  return { state, segment };
}

test("a look finds what some route still needs, as the last checkpoint says", async () => {
  const { state, segment } = segmentOf(100, 10);
  const [first, second] = [...state.routes.values()] as [RouteState, RouteState];
  expect(await lookAt(state, segment, 1_000, 7)).toMatchObject({ liveBytes: 1_000, atMs: 7 });
  first.durable = new Progress(100, [[41, 50]]);
  second.durable = new Progress(30);
  const look = await lookAt(state, segment, 1_000, 8);
  expect(look.live).toEqual([30, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 60, 70, 80, 90]);
  expect(look).toMatchObject({ liveBytes: 160, settled: 90 + 30 });
  expect(settledIn(state, segment)).toBe(120);
  expect(isPassed(state, segment)).toBe(false);
  first.durable = new Progress(100);
  second.durable = new Progress(91);
  expect(isPassed(state, segment)).toBe(true);
});

test("a look ends early where too much is needed, and gives others their turn", async () => {
  const { state, segment } = segmentOf(20_000, 10);
  expect(await lookAt(state, segment, 5_000, 0)).toMatchObject({
    live: [],
    liveBytes: Number.POSITIVE_INFINITY,
  });
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now++);
  let turns = 0;
  const looking = lookAt(state, segment, 1_000_000, 0);
  const done = looking.then(() => true);
  while (!(await Promise.race([done, nextTurn(false)]))) turns++;
  expect((await looking).live).toHaveLength(20_000);
  expect(turns).toBeGreaterThan(4);
});

test("how many numbers are settled, against counting them", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed);
    const progress = new Progress();
    for (let step = 0; step < 30; step++) {
      const first = 1 + random.below(60);
      if (random.chance(0.4)) progress.handOut(progress.upTo + 1 + random.below(9));
      else progress.settle([first, first + random.below(9)]);
      const from = 1 + random.below(80);
      const to = from + random.below(40);
      let settled = 0;
      for (let seq = from; seq <= to; seq++) if (progress.isSettled(seq)) settled++;
      expect(progress.settledWithin(from, to), `seed ${seed}, ${from}–${to}`).toBe(settled);
    }
  }
});

test("background work keeps to its rate, and ends when it is told to", async () => {
  const stop = new AbortController();
  const pace = new Pace(10_000_000, stop.signal);
  const begun = performance.now();
  for (let i = 0; i < 10; i++) await pace.spent(100_000);
  expect(performance.now() - begun).toBeGreaterThan(85);
  const waiting = pace.spent(100_000_000);
  stop.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow();
  await expect(pace.spent(1)).rejects.toThrow("enough");
});
