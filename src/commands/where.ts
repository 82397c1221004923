import type { LetterLine } from "../service/desk.ts";
import type { Sighting } from "../service/where.ts";
import { type Arguments, UsageError } from "./arguments.ts";
import { AskError, ask } from "./ask.ts";
import type { Output } from "./output.ts";
import { isoTime, STORAGE_HELP, storageDirectories } from "./storages.ts";
import { runStorages } from "./verbs.ts";

const USAGE = `weir where <id>   when items with this id were accepted, their place in the journal, and what each route did with them

The id is a trace id, a span id, or the value of any attribute: an execution id, a request id. Looks through queues, segments that are
retained (file_storage: retain) and dead letters; what was delivered and is not retained any more is not found.

Where
${STORAGE_HELP}
`;

/** `weir where`: what became of the items with an id. Returns the exit code: 1 when there is none. */
export function runWhere(args: readonly string[], output: Output): Promise<number> {
  return runStorages("where", USAGE, { flags: {}, run: where }, args, output);
}

async function where(args: Arguments, { out }: Output): Promise<void> {
  const [id, ...more] = args.words;
  if (id === undefined || id === "" || more.length > 0)
    throw new UsageError("where: name one id: weir where <trace_id | execution_id | request_id>");
  let found = 0;
  for (const directory of await storageDirectories(args))
    for await (const { sighting, letter } of ask(directory, "where", { id })) {
      if (sighting !== undefined) out(describe(directory, sighting));
      if (letter !== undefined) out(describeLetter(letter));
      if (sighting !== undefined || letter !== undefined) found++;
    }
  if (found === 0)
    throw new AskError(
      `${id}: not retained. It never came, or it was delivered and its segment is gone; retain: 24h on file_storage keeps segments longer`,
    );
}

function describe(directory: string, sighting: Sighting): string {
  const { receivedMs, signal, items, seq, segment, offset, isReplay, routes } = sighting;
  const some = items.length > 3 ? `${items.slice(0, 3).join(", ")} …` : items.join(", ");
  const count = items.length === 1 ? "1 item" : `${items.length} items`;
  const head = `${isoTime(receivedMs)} accepted: ${count} of ${signal} (number ${some} of frame ${seq}, ${directory}/${segment} at ${offset})`;
  const lines = routes.map(({ name, state }) => `  ${name}: ${state}`);
  return `${[isReplay ? `${head}, queued again by a replay` : head, ...lines].join("\n")}\n`;
}

function describeLetter(letter: LetterLine): string {
  const { id, atMs, receivedMs, route, reason, answer, seq, item } = letter;
  return `${isoTime(receivedMs)} accepted: item ${item} of frame ${seq}\n  ${route}: dead letter ${id} since ${isoTime(atMs)}: ${reason}, ${JSON.stringify(answer)}\n`;
}
