import { type Arguments, UsageError } from "./arguments.ts";
import { ask, storagesWith } from "./ask.ts";
import type { Output } from "./output.ts";
import { checkSpan, readTime, STORAGE_HELP, storageDirectories } from "./storages.ts";
import { runStorages } from "./verbs.ts";

const USAGE = `weir replay --from <time> --to <route> [--until <time>] [--of <route>]   sends what is retained again

  --from, --until <time>   when it was accepted: 2h ago, or 2026-11-21T10:00:00Z
  --to <route>             influxdb/new/logs, or influxdb/new for all signals of that exporter
  --of <route>             whose items are meant, where more than one other route has the signal

To another route go the items that it never got; to the route itself those that it has settled. What can be sent again is what
file_storage still has: retain: 24h keeps delivered segments. A replay that was cut off and is repeated to the same route sends some
items twice; to another one it goes on where it ended. Dead letters have a command of their own: weir dead-letter replay.

Where
${STORAGE_HELP}
`;

/** Said when there was nothing to queue: it may not be what the operator meant. */
const NOTHING = `Of what is retained of that time, nothing is left that the route never got. To send what it has settled once more, name the route
itself with --of; what its destination rejected is with: weir dead-letter list
`;

const FLAGS = { from: "text", until: "text", to: "text", of: "text" } as const;

/** `weir replay`: queues retained items for a route once more. Returns the exit code. */
export function runReplay(args: readonly string[], output: Output): Promise<number> {
  return runStorages("replay", USAGE, { flags: FLAGS, run: replay }, args, output);
}

async function replay(args: Arguments, { out }: Output): Promise<void> {
  if (args.words.length > 0) throw new UsageError(`replay takes no "${args.words[0]}"`);
  const nowMs = Date.now();
  const fromMs = readTime("from", args.text("from"), nowMs);
  const untilMs = readTime("until", args.text("until"), nowMs);
  const to = args.text("to");
  const of = args.text("of");
  if (fromMs === undefined || to === undefined)
    throw new UsageError("replay: say from when, and to whom: weir replay --from 2h --to influxdb");
  checkSpan(["from", fromMs], untilMs);
  const body = {
    ...{ fromMs, to },
    ...(untilMs !== undefined && { untilMs }),
    ...(of !== undefined && { of }),
  };
  for (const directory of await storagesWith(await storageDirectories(args), to))
    for await (const { end } of ask(directory, "replay", body)) {
      const { items = 0, frames = 0 } = end ?? {};
      if (end === undefined) continue;
      out(`${directory}: ${items} items in ${frames} frames queued again\n`);
      if (items === 0) out(NOTHING);
    }
}
