#!/usr/bin/env node
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const OLDEST = [24, 18, 1] as const;
/** Set in the process that has replaced the first one. */
const LEAN = "WEIR_LEAN";
/** The bench runs with the same inlining (package.json). */
const FLAGS = [
  "--expose-gc",
  "--max-semi-space-size=8",
  "--heap-growing-percent=400",
  "--max-inlined-bytecode-size=1000",
  "--max-inlined-bytecode-size-cumulative=3000",
];

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
 * Replaces this process, under the same pid, by one that finds its TypeScript stripped and compiled in a cache (the stripper is not in
 * memory then), inlines more of the hot path, and can collect its garbage once after the start: idle, 88 MB instead of 136 where it was
 * measured. Where that cannot be, nothing changes.
 */
function becomeLean(): void {
  if (process.platform === "win32" || typeof process.execve !== "function") return;
  if (process.connected) return; // the channel to a parent would be lost
  process.removeAllListeners("warning"); // execve is said to be experimental; the operator need not know
  const cache = join(import.meta.dirname, "..", "node_modules", ".cache", "weir");
  const env = {
    NODE_COMPILE_CACHE: cache,
    MALLOC_ARENA_MAX: "2", // glibc keeps one heap per thread otherwise
    ...process.env,
    [LEAN]: "1",
  };
  const flags = [...FLAGS, ...process.execArgv];
  // The very first start: a process that only reads the code fills the cache, so that this one is lean as well.
  if (!existsSync(cache))
    spawnSync(process.execPath, [...flags, import.meta.filename, "warm-up"], {
      env,
      stdio: "ignore",
    });
  process.execve(process.execPath, [process.execPath, ...flags, ...process.argv.slice(1)], env);
}

function isTooOld(version: string): boolean {
  const parts = version.split(".").map(Number);
  const different = OLDEST.findIndex((wanted, i) => parts[i] !== wanted);
  return different >= 0 && (parts[different] ?? 0) < (OLDEST[different] ?? 0);
}
