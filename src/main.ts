#!/usr/bin/env node
const OLDEST = [24, 18, 1] as const;
/** What is still open after the command has ended (a socket, a timer) may hold the process this long. */
const LINGER_MS = 2_000;
/** When what was compiled is written to the cache, should nobody get to stop the process in order. */
const FLUSH_MS = 3_000;

const args = process.argv.slice(2);
if (isTooOld(process.versions.node)) {
  process.stderr.write(
    `weir needs Node ${OLDEST.join(".")} or newer, this is ${process.versions.node}: use node_modules/.bin/node, or npm start\n`,
  );
  process.exitCode = 1;
} else {
  // Only now: nothing that needs a newer Node is read before. The cache saves the next start half its time and 30 MB, because
  // no TypeScript has to be stripped again; where it cannot be written, everything works without.
  const { enableCompileCache, flushCompileCache } = await import("node:module");
  enableCompileCache(`${import.meta.dirname}/../node_modules/.cache/weir`);
  setTimeout(flushCompileCache, FLUSH_MS).unref();
  const { main } = await import("./commands/dispatch.ts");
  const code = await main(args);
  process.exitCode = code;
  setTimeout(() => process.exit(code), LINGER_MS).unref();
}

function isTooOld(version: string): boolean {
  const parts = version.split(".").map(Number);
  const different = OLDEST.findIndex((wanted, i) => parts[i] !== wanted);
  return different >= 0 && (parts[different] ?? 0) < (OLDEST[different] ?? 0);
}
