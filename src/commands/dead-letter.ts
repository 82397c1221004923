import type { LetterLine, Line } from "../service/desk.ts";
import type { LetterFilter } from "../service/letter-filter.ts";
import { type Arguments, UsageError } from "./arguments.ts";
import { AskError, ask } from "./ask.ts";
import type { Output } from "./output.ts";
import { checkSpan, isoTime, readTime, STORAGE_HELP, storageDirectories } from "./storages.ts";
import { tableText } from "./table-text.ts";
import { runVerb, type Verb } from "./verbs.ts";

const USAGE = `weir dead-letter list   [which] [--limit 100] [--format table|jsonl]   what is kept, oldest first, and why
weir dead-letter show   <id> …                                         the whole answer, and the item as OTLP/JSON
weir dead-letter replay <id> … | [which] | --all [--to <route>]        puts items into their route's queue again, each once
weir dead-letter drop   <id> … | [which] | --all                       gives items up; they are counted as dropped

Which
  --route <route>      influxdb/logs, or influxdb for all signals of that exporter
  --reason <reason>    rejected, row_rejected, too_large, does_not_fit, poison, writer_failed
  --since <time>       set aside since then: 2h ago, or 2026-11-21T10:00:00Z
  --until <time>       set aside before that time

Where
${STORAGE_HELP}
`;

const WHICH = { route: "text", reason: "text", since: "text", until: "text" } as const;
const ANSWER_WIDTH = 60;

const VERBS: Readonly<Record<string, Verb>> = {
  list: { flags: { ...WHICH, limit: "text", format: "text" }, run: list },
  show: { flags: {}, run: show },
  replay: { flags: { ...WHICH, all: "switch", to: "text" }, run: replay },
  drop: { flags: { ...WHICH, all: "switch" }, run: drop },
};

/** `weir dead-letter`: looks at what destinations rejected for good, sends it again, or gives it up. Returns the exit code. */
export function runDeadLetter(args: readonly string[], output: Output): Promise<number> {
  return runVerb("dead-letter", USAGE, VERBS, args, output);
}

async function list(args: Arguments, { out }: Output): Promise<void> {
  if (args.words.length > 0)
    throw new UsageError(`list takes no ids: weir dead-letter show ${args.words.join(" ")}`);
  const format = args.text("format") ?? "table";
  if (format !== "table" && format !== "jsonl")
    throw new UsageError(`--format: expected table or jsonl, got ${format}`);
  const limit = Number(args.text("limit") ?? "100");
  if (!Number.isSafeInteger(limit) || limit < 0)
    throw new UsageError(`--limit: expected a number, got ${args.text("limit")}`);
  for (const directory of await storageDirectories(args)) {
    const rows: string[][] = [];
    for await (const { letter, end } of ask(directory, "dead-letter/list", {
      ...which(args),
      limit,
    })) {
      if (letter !== undefined && format === "jsonl") out(`${JSON.stringify(letter)}\n`);
      else if (letter !== undefined) rows.push(row(letter));
      if (end !== undefined && format === "table") {
        if (rows.length > 0) out(tableText([HEAD, ...rows]));
        out(`${directory}: ${done(end, "found")}\n`);
      }
    }
  }
}

const HEAD = ["id", "set aside", "route", "reason", "answer"];

function row({ id, atMs, route, reason, answer }: LetterLine): string[] {
  const cut = answer.length > ANSWER_WIDTH ? `${answer.slice(0, ANSWER_WIDTH - 1)}…` : answer;
  return [id, isoTime(atMs), route, reason, cut];
}

async function show(args: Arguments, { out }: Output): Promise<void> {
  if (args.words.length === 0)
    throw new UsageError("show: name a letter by its id, as weir dead-letter list prints it");
  const missing = new Set(args.words);
  for (const directory of await storageDirectories(args))
    for await (const { letter } of ask(directory, "dead-letter/show", { ids: args.words })) {
      if (letter === undefined) continue;
      missing.delete(letter.id);
      const { atMs, receivedMs, ...rest } = letter;
      const whole = { setAside: isoTime(atMs), received: isoTime(receivedMs), ...rest };
      out(`${JSON.stringify(whole, null, 2)}\n`);
    }
  if (missing.size > 0) throw new AskError(`not kept (any more): ${[...missing].join(", ")}`);
}

async function replay(args: Arguments, { out }: Output): Promise<void> {
  const to = args.text("to");
  const body = { ...meant(args, "replay"), ...(to !== undefined && { to }) };
  await change(args, "dead-letter/replay", body, "replayed", out);
}

async function drop(args: Arguments, { out }: Output): Promise<void> {
  await change(args, "dead-letter/drop", meant(args, "drop"), "dropped", out);
}

async function change(
  args: Arguments,
  question: string,
  body: LetterFilter,
  what: "replayed" | "dropped",
  out: Output["out"],
): Promise<void> {
  let letters = 0;
  for (const directory of await storageDirectories(args))
    for await (const { end } of ask(directory, question, body)) {
      if (end === undefined) continue;
      letters += end[what] ?? 0;
      out(`${directory}: ${done(end, what)}\n`);
    }
  const missing = new Set(args.words).size - letters;
  if (missing > 0)
    throw new AskError(
      `${missing} of the letters that were named are not kept (any more), or not of the --route, --reason or time that was given`,
    );
}

/** For commands that change something: nothing named is a mistake, unless --all says so. */
function meant(args: Arguments, verb: string): LetterFilter {
  const filter = which(args);
  const isNamed = Object.keys(filter).length > 0;
  if (isNamed && args.has("all"))
    throw new UsageError(`${verb}: --all means every letter; leave it out, or the rest`);
  if (!isNamed && !args.has("all"))
    throw new UsageError(`${verb}: say which: ids, --route, --reason, --since, --until, or --all`);
  return filter;
}

function which(args: Arguments): LetterFilter {
  const nowMs = Date.now();
  const sinceMs = readTime("since", args.text("since"), nowMs);
  const untilMs = readTime("until", args.text("until"), nowMs);
  checkSpan(["since", sinceMs], untilMs);
  const given = {
    ids: args.words.length > 0 ? args.words : undefined,
    route: args.text("route"),
    reason: args.text("reason"),
    sinceMs,
    untilMs,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function done(end: NonNullable<Line["end"]>, what: string): string {
  const { [what]: letters = 0, kept = 0, bytes = 0, maxBytes = 0 } = end;
  return `${letters} ${what}, ${kept} kept (${bytes} of ${maxBytes} bytes)`;
}
