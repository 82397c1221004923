import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect } from "vitest";

/** Rounds of a fuzz test: `usual`, or what WEIR_FUZZ asks for; and how long they may take. */
export function fuzzRounds(usual: number): { readonly rounds: string; readonly limitMs: number } {
  const { WEIR_FUZZ: rounds = String(usual) } = process.env;
  return { rounds, limitMs: 20_000 + Number(rounds) };
}

/** Runs a script of this folder for that many rounds, in a process that is killed when it hangs. */
export function fuzzInChild(
  script: string,
  { rounds, limitMs }: ReturnType<typeof fuzzRounds>,
): void {
  const path = join(import.meta.dirname, script);
  const { status, stdout, stderr } = spawnSync(process.execPath, [path, rounds], {
    timeout: limitMs,
    killSignal: "SIGKILL",
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  expect(stdout).toContain(`${rounds} rounds`);
}
