/**
 * `npm run torture -- --doors [--kills 50]`: one service with all doors open, senders that want an acknowledgement and send a chunk again until
 * they have it, and kills with SIGKILL at any moment, also between receipt and acknowledgement. Nothing acknowledged may be lost, and no
 * row may be there twice, in the store that comes along.
 */
import { parseArgs } from "node:util";
import { killedAtDoors, verdictOf } from "./doors.ts";

const { values } = parseArgs({
  options: { doors: { type: "boolean" }, kills: { type: "string", default: "50" } },
});
const total = await killedAtDoors(Number(values.kills));
console.table(total.doors);
console.log(
  `${total.kills} kills; ${total.unacknowledged} records were in the journal without an acknowledgement, and came again`,
);
const problems = verdictOf(total);
for (const problem of problems) console.log(`FAILED ${problem}`);
if (problems.length > 0) console.log(total.log);
console.log(problems.length === 0 ? "1 passed, 0 failed" : "0 passed, 1 failed");
process.exitCode = problems.length === 0 ? 0 : 1;
