/**
 * `npm run torture -- --files [--kills 10] [--rate 50000] [--down 50000] [--seed 1]`: 50 files that get 50,000 lines/s together, also while the
 * service is away (`--down`: so many then, for a machine where that takes long); every 160 ms one of them is renamed, copied and truncated,
 * or packed. The service follows them and is killed. Each line must be in the store exactly once, and the journal must have been given
 * each exactly once.
 */
import { rm } from "node:fs/promises";
import { parseArgs } from "node:util";
import { followKilled, verdictOf } from "./files.ts";

const MIB = 1 << 20;

const { values } = parseArgs({
  options: {
    files: { type: "boolean" },
    kills: { type: "string", default: "10" },
    rate: { type: "string", default: "50000" },
    down: { type: "string", default: "50000" },
    seed: { type: "string", default: "1" },
  },
});
const total = await followKilled({
  files: 50,
  kills: Number(values.kills),
  upMs: [1_000, 4_000],
  linesPerSecond: Number(values.rate),
  linesPerSecondDown: Number(values.down),
  seed: Number(values.seed),
});
const { lines, bytes, seconds, fates, appended, rows } = total;
console.table(total.kills);
console.log(
  `50 files, ${lines} lines, ${Math.round(bytes / MIB)} MiB in ${seconds.toFixed(1)} s: ${Math.round(lines / seconds)} lines/s`,
);
console.log(`met    ${[...fates].map(([fate, times]) => `${fate} ${times}×`).join(", ")}`);
console.log(`lines  ${lines} written, ${appended} taken, ${rows} rows in the store`);
const problems = verdictOf(total);
for (const problem of problems) console.log(`FAILED ${problem}`);
if (problems.length > 0) console.log(`${total.log}\nwhat there was is kept in ${total.directory}`);
else await rm(total.directory, { recursive: true, force: true });
console.log(problems.length === 0 ? "1 passed, 0 failed" : "0 passed, 1 failed");
process.exitCode = problems.length === 0 ? 0 : 1;
