import { expect, test } from "vitest";
import { MemoryTurns } from "../../src/store/memory-turns.ts";

const OUT_OF_MEMORY = new Error("Out of Memory Error: failed to pin block");

test("work that finds no memory beside another is done once more when the other has left", async () => {
  const turns = new MemoryTurns();
  const said: string[] = [];
  const other = await turns.run(async (leave) => leave);
  const work = turns.run(async (leave) => {
    said.push("tried");
    if (said.length === 1) throw OUT_OF_MEMORY;
    leave();
    return "done";
  });
  await new Promise(setImmediate);
  expect(said).toEqual(["tried"]);
  said.push("the other left");
  other();
  expect(await work).toBe("done");
  expect(said).toEqual(["tried", "the other left", "tried"]);
});

test("alone, or with another error, it is not done again", async () => {
  const turns = new MemoryTurns();
  let tries = 0;
  const fail = (error: Error) =>
    turns.run(async () => {
      tries++;
      throw error;
    });
  await expect(fail(OUT_OF_MEMORY)).rejects.toBe(OUT_OF_MEMORY);
  const leave = await turns.run(async (leave) => leave);
  await expect(fail(new Error("Parser Error"))).rejects.toThrow("Parser Error");
  leave();
  expect(tries).toBe(2);
});

test("second tries come one at a time, and one that fails lets the next begin", async () => {
  const turns = new MemoryTurns();
  const leave = await turns.run(async (leave) => leave);
  let inside = 0;
  let most = 0;
  const tries = [0, 0, 0];
  const works = tries.map((_, i) =>
    turns.run(async (leaveTurn) => {
      tries[i] = (tries[i] ?? 0) + 1;
      if (tries[i] === 1) throw OUT_OF_MEMORY;
      most = Math.max(most, ++inside);
      await new Promise(setImmediate);
      inside--;
      if (i === 0) throw OUT_OF_MEMORY;
      leaveTurn();
    }),
  );
  const results = Promise.allSettled(works);
  await new Promise(setImmediate);
  leave();
  expect((await results).map(({ status }) => status)).toEqual([
    "rejected",
    "fulfilled",
    "fulfilled",
  ]);
  expect([most, tries]).toEqual([1, [2, 2, 2]]);
});
