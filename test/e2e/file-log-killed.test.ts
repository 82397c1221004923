import { rm } from "node:fs/promises";
import { expect, test } from "vitest";
import { followKilled, verdictOf } from "../torture/files.ts";

/** A short run of `npm run torture -- --files`. WEIR_KILLS=10: ten kills. */
const { WEIR_KILLS = "2" } = process.env;

test("files that grow, move, shrink and are packed, with kills: every line exactly once in the store", async () => {
  const total = await followKilled({
    files: 50,
    kills: Number(WEIR_KILLS),
    upMs: [200, 800],
    linesPerSecond: 50_000,
    // Starting takes long where much else runs.
    linesPerSecondDown: 5_000,
    seed: 7,
  });
  expect(
    [...verdictOf(total), ...(total.lines > 10_000 ? [] : ["too few lines"])],
    total.log,
  ).toEqual([]);
  expect(total.fates.size).toBe(4);
  await rm(total.directory, { recursive: true, force: true });
}, 600_000);
