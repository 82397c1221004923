/**
 * `npm run torture -- …`: the service is killed with SIGKILL again and again while it works, and what became of everything is counted. The
 * last line is the total.
 *
 * - `[--kills 10] [--faults] [--pinned] [--seed 1]`: requests on their way to sinks that refuse, hang and reset, see sinks-run.ts
 * - `--doors [--kills 50]`: senders that want an acknowledgement, door by door, see doors-run.ts
 * - `--files [--kills 10] [--down 50000] [--seed 1]`: files that grow, move, shrink and are packed, see files-run.ts
 */
if (process.argv.includes("--doors")) await import("./doors-run.ts");
else if (process.argv.includes("--files")) await import("./files-run.ts");
else await import("./sinks-run.ts");
