import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fuzzRounds } from "../support/child-fuzz.ts";

const { rounds, seed, limitMs } = fuzzRounds(600);
/** A round with tables of its own takes as long as six without. */
const FEWER = 6;

test.each([
  ["fuzz-child.ts", "logs", rounds],
  ["fuzz-child.ts", "traces", rounds],
  ["fuzz-tables-child.ts", "logs", String(Math.ceil(Number(rounds) / FEWER))],
  ["fuzz-tables-child.ts", "traces", String(Math.ceil(Number(rounds) / FEWER))],
])(
  "fuzz: the line writer equals its slow twin, %s %s, in a child with a kill timer",
  (script, signal, count) => {
    const child = join(import.meta.dirname, script);
    const options = { timeout: limitMs };
    const run = spawnSync(process.execPath, [child, seed, count, signal], options);
    expect(`${run.stdout}${run.stderr}`).toBe("");
    expect(run.status).toBe(0);
  },
  limitMs + 5_000,
);
