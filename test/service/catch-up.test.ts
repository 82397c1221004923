import { expect, test } from "vitest";
import { CatchUp } from "../../src/service/catch-up.ts";

/** Waits of `many` that begin together: in which turn of the event loop each ends. */
async function turnsOf(many: number): Promise<number[]> {
  const catchUp = new CatchUp();
  let turn = 0;
  let isDone = false;
  const count = () => {
    turn++;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  const waits = Array.from({ length: many }, () => catchUp.turn().then(() => turn));
  const turns = await Promise.all(waits);
  isDone = true;
  return turns;
}

test("who waits goes on in turn, one in each turn of the event loop", async () => {
  expect(await turnsOf(8)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test("where many wait, more go on in each turn: the last of a thousand within some turns", async () => {
  const turns = await turnsOf(1_000);
  expect(turns).toEqual([...turns].sort((a, b) => a - b));
  expect(turns.at(-1)).toBeLessThan(100);
});

test("waits that come while others wait are behind them", async () => {
  const catchUp = new CatchUp();
  const seen: string[] = [];
  const first = catchUp.turn().then(async () => {
    seen.push("first");
    await catchUp.turn();
    seen.push("third");
  });
  await Promise.all([first, catchUp.turn().then(() => seen.push("second"))]);
  expect(seen).toEqual(["first", "second", "third"]);
});
