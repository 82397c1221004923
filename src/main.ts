#!/usr/bin/env node
const OLDEST = [24, 18, 1] as const;
/** What is still open after the command has ended (a socket, a timer) may hold the process this long. */
const LINGER_MS = 2_000;

const args = process.argv.slice(2);
if (isTooOld(process.versions.node)) {
  process.stderr.write(
    `weir needs Node ${OLDEST.join(".")} or newer, this is ${process.versions.node}: use node_modules/.bin/node, or npm start\n`,
  );
  process.exitCode = 1;
} else {
  // Only now: nothing that needs a newer Node is read before.
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
