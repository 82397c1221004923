#!/usr/bin/env node
const OLDEST = [24, 18, 1] as const;

const args = process.argv.slice(2);
if (isTooOld(process.versions.node)) {
  process.stderr.write(
    `weir needs Node ${OLDEST.join(".")} or newer, this is ${process.versions.node}: use node_modules/.bin/node, or npm start\n`,
  );
  process.exitCode = 1;
} else {
  // Only now: nothing that needs a newer Node is read before.
  const { main } = await import("./commands/dispatch.ts");
  process.exitCode = await main(args);
}

function isTooOld(version: string): boolean {
  const parts = version.split(".").map(Number);
  const different = OLDEST.findIndex((wanted, i) => parts[i] !== wanted);
  return different >= 0 && (parts[different] ?? 0) < (OLDEST[different] ?? 0);
}
