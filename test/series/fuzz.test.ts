import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fuzzRounds } from "../support/child-fuzz.ts";

const { rounds, seed, limitMs } = fuzzRounds(600);

test.each(["logs", "traces"])(
  "fuzz: the line writer equals its slow twin, %s, in a child with a kill timer",
  (signal) => {
    const child = join(import.meta.dirname, "fuzz-child.ts");
    const options = { timeout: limitMs };
    const run = spawnSync(process.execPath, [child, seed, rounds, signal], options);
    expect(`${run.stdout}${run.stderr}`).toBe("");
    expect(run.status).toBe(0);
  },
  limitMs + 5_000,
);
