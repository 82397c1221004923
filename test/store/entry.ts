import { runStore } from "../../src/commands/store.ts";

// What `weir store …` does, as a process for tests.
process.exitCode = await runStore(process.argv.slice(3));
