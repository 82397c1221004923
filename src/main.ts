#!/usr/bin/env node
import { join } from "node:path";

const OLDEST = [24, 18, 1] as const;
/** Set in the process that has replaced the first one. */
const LEAN = "WEIR_LEAN";

const args = process.argv.slice(2);
if (isTooOld(process.versions.node)) {
  process.stderr.write(
    `weir needs Node ${OLDEST.join(".")} or newer, this is ${process.versions.node}: use node_modules/.bin/node, or npm start\n`,
  );
  process.exitCode = 1;
} else {
  if (process.env[LEAN] === undefined && import.meta.filename.endsWith(".ts")) becomeLean();
  // Only now: nothing that needs a newer Node is read before.
  const { main } = await import("./commands/dispatch.ts");
  process.exitCode = await main(args);
}

/**
 * Replaces this process, under the same pid, by one that finds its TypeScript stripped and compiled in a cache: without the
 * stripper in memory and with a smaller young generation it needs 40 MB less and starts faster. Where that cannot be, nothing changes.
 */
function becomeLean(): void {
  if (process.platform === "win32" || typeof process.execve !== "function") return;
  const cache = join(import.meta.dirname, "..", "node_modules", ".cache", "weir");
  process.removeAllListeners("warning"); // execve is said to be experimental; the operator need not know
  const flags = ["--max-semi-space-size=4", ...process.execArgv];
  const env = { NODE_COMPILE_CACHE: cache, ...process.env, [LEAN]: "1" };
  process.execve(process.execPath, [process.execPath, ...flags, ...process.argv.slice(1)], env);
}

function isTooOld(version: string): boolean {
  const parts = version.split(".").map(Number);
  const different = OLDEST.findIndex((wanted, i) => parts[i] !== wanted);
  return different >= 0 && (parts[different] ?? 0) < (OLDEST[different] ?? 0);
}
