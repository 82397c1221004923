/**
 * `npm run torture -- …`: the service is killed with SIGKILL again and again while it works, and what became of everything is counted. The
 * last line is the total.
 *
 * - `[--kills 10] [--faults] [--pinned] [--seed 1]`: requests on their way to sinks that refuse, hang and reset, see sinks-run.ts
 * - `--doors [--kills 50]`: senders that want an acknowledgement, door by door, see doors-run.ts
 * - `--files [--kills 10] [--down 50000] [--seed 1]`: files that grow, move, shrink and are packed, see files-run.ts
 */
const RUNS = { "--doors": "./doors-run.ts", "--files": "./files-run.ts" } as const;

const [first = ""] = process.argv.slice(2);
const isNamed = (name: string): name is keyof typeof RUNS => Object.hasOwn(RUNS, name);
await import(isNamed(first) ? RUNS[first] : "./sinks-run.ts");
