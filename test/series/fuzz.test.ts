import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

test.each(["logs", "traces"])(
  "fuzz: the line writer equals its slow twin, %s, in a child with a kill timer",
  (signal) => {
    const count = process.env["WEIR_FUZZ"] ?? "600";
    const seed = String(Math.trunc(Date.now() / 86_400_000));
    const timeout = 20_000 + 10 * Number(count);
    const child = join(import.meta.dirname, "fuzz-child.ts");
    const run = spawnSync(process.execPath, [child, seed, count, signal], { timeout });
    expect(`${run.stdout}${run.stderr}`).toBe("");
    expect(run.status).toBe(0);
  },
);
