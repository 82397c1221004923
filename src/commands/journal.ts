import type { RouteLine } from "../service/desk.ts";
import { type Arguments, UsageError } from "./arguments.ts";
import { ask, storagesWith } from "./ask.ts";
import type { Output } from "./output.ts";
import { STORAGE_HELP, storageDirectories } from "./storages.ts";
import { tableText } from "./table-text.ts";
import { runVerb, type Verb } from "./verbs.ts";

const USAGE = `weir journal list           the routes of each storage, what waits for them, the bytes of segments that each alone still holds
weir journal drop <route>   gives up everything that waits for a route whose exporter is gone; counted as dropped

Where
${STORAGE_HELP}
`;

const VERBS: Readonly<Record<string, Verb>> = {
  list: { flags: {}, run: list },
  drop: { flags: {}, run: drop },
};

/** `weir journal`: shows the queues on disk, and empties those that nobody reads any more. Returns the exit code. */
export function runJournal(args: readonly string[], output: Output): Promise<number> {
  return runVerb("journal", USAGE, VERBS, args, output);
}

async function list(args: Arguments, { out }: Output): Promise<void> {
  if (args.words.length > 0) throw new UsageError(`journal list takes no "${args.words[0]}"`);
  for (const directory of await storageDirectories(args)) {
    const rows: string[][] = [];
    for await (const { route, journal, end } of ask(directory, "journal/list", {})) {
      if (route !== undefined) rows.push(row(route));
      if (journal !== undefined) {
        const { id, segments, bytes, frames, newest } = journal;
        if (rows.length > 0) out(tableText([HEAD, ...rows]));
        out(
          `${directory}: journal ${id}, ${segments} segments, ${bytes} bytes, ${frames} frames, newest ${newest}\n`,
        );
      }
      const { kept = 0, bytes = 0 } = end ?? {};
      if (end !== undefined) out(`${directory}: ${kept} dead letters, ${bytes} bytes\n`);
    }
  }
}

const HEAD = [
  "route",
  "number",
  "waiting items",
  "bytes",
  "held alone, bytes",
  "read by an exporter",
];

function row({ name, isRead, ...numbers }: RouteLine): string[] {
  const { number, queuedItems, queuedBytes, heldBytes } = numbers;
  const columns = [number, queuedItems, queuedBytes, heldBytes].map(String);
  return [name, ...columns, isRead ? "yes" : "no"];
}

async function drop(args: Arguments, { out }: Output): Promise<void> {
  const [route, ...more] = args.words;
  if (route === undefined || more.length > 0)
    throw new UsageError("journal drop: name one route, as weir journal list prints it");
  const directories = await storagesWith(await storageDirectories(args), route);
  if (directories.length > 1)
    throw new UsageError(
      `journal drop: say which storage with --directory (${directories.join(", ")})`,
    );
  for (const directory of directories)
    for await (const { end } of ask(directory, "journal/drop", { route })) {
      const { dropped = 0 } = end ?? {};
      if (end !== undefined) out(`${directory}: ${dropped} items of ${route} dropped\n`);
    }
}
