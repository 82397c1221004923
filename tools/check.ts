/**
 * `npm run check`: everything about the project that is not a test. Each step is one command and counts as one;
 * the last line is the total, for .ci/run.
 */
import { spawnSync } from "node:child_process";

const STEPS: readonly (readonly [string, ...string[]])[] = [
  ["types", "tsc", "--noEmit"],
  ["format and lint", "biome", "check", "--error-on-warnings"],
  ["dead code and dependencies", "knip"],
  ["generated documents", "node", "tools/docs.ts", "--check"],
  ["bench gates", "node", "--expose-gc", "bench/run.ts", "--gate"],
];

let failed = 0;
for (const [what, command, ...args] of STEPS) {
  const { status, stdout, stderr } = spawnSync(command as string, args, { encoding: "utf8" });
  const isFine = status === 0;
  if (!isFine) failed++;
  console.log(`${isFine ? "ok    " : "FAILED"} ${what}`);
  if (!isFine || command === "node") process.stdout.write(`${stdout}${stderr}`);
}
console.log(`${STEPS.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
