import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

test("damaged answers of destinations are read without a throw and within bounds", () => {
  const script = join(import.meta.dirname, "../support/fuzz-otlp-answer.ts");
  const { WEIR_FUZZ: rounds = "50000" } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, rounds], {
    timeout: 20_000 + Number(rounds),
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  expect(stdout).toContain(`${rounds} rounds`);
});
