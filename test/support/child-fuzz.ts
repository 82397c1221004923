import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect } from "vitest";

/** How much a fuzz test does. */
export interface Fuzz {
  readonly rounds: string;
  readonly seed: string;
  /** Only what hangs meets it: a busy machine takes a tenth. */
  readonly limitMs: number;
}

/** `usual` rounds that are the same in each run; or as many as WEIR_FUZZ asks for, other ones every day. */
export function fuzzRounds(usual: number): Fuzz {
  const { WEIR_FUZZ } = process.env;
  const rounds = WEIR_FUZZ ?? String(usual);
  const day = String(Math.trunc(Date.now() / 86_400_000));
  return {
    rounds,
    seed: WEIR_FUZZ === undefined ? "1" : day,
    limitMs: 200_000 + 10 * Number(rounds),
  };
}

/** Runs a script of this folder for that many rounds, in a process that is killed when it hangs. */
export function fuzzInChild(script: string, { rounds, seed, limitMs }: Fuzz): void {
  const path = join(import.meta.dirname, script);
  const { status, stdout, stderr } = spawnSync(process.execPath, [path, rounds, seed], {
    timeout: limitMs,
    killSignal: "SIGKILL",
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  expect(stdout).toContain(`${rounds} rounds`);
}
