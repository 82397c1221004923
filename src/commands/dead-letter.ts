import { nearest } from "../lib/nearest.ts";
import type { LetterLine, Line } from "../service/desk.ts";
import type { LetterFilter } from "../service/letter-filter.ts";
import { type Arguments, parseArguments, UsageError } from "./arguments.ts";
import { AskError, ask } from "./ask.ts";
import type { Output } from "./output.ts";
import { readTime, STORAGE_FLAGS, STORAGE_HELP, storageDirectories } from "./storages.ts";
import { tableText } from "./table-text.ts";

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

const FLAGS = {
  ...STORAGE_FLAGS,
  route: "text",
  reason: "text",
  since: "text",
  until: "text",
  limit: "text",
  format: "text",
  to: "text",
  all: "switch",
} as const;

type Flag = keyof typeof FLAGS;
const WHICH: readonly Flag[] = ["route", "reason", "since", "until"];
const ANSWER_WIDTH = 60;

interface Verb {
  /** Of its own, beside which and where. */
  readonly flags: readonly Flag[];
  readonly run: (args: Arguments, output: Output) => Promise<void>;
}

const VERBS: Readonly<Record<string, Verb>> = {
  list: { flags: [...WHICH, "limit", "format"], run: list },
  show: { flags: [], run: show },
  replay: { flags: [...WHICH, "all", "to"], run: replay },
  drop: { flags: [...WHICH, "all"], run: drop },
};

/** `weir dead-letter`: looks at what destinations rejected for good, sends it again, or gives it up. Returns the exit code. */
export async function runDeadLetter(args: readonly string[], output: Output): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    output.out(USAGE);
    return 0;
  }
  const [word = "", ...rest] = args;
  const verb = Object.hasOwn(VERBS, word) ? VERBS[word] : undefined;
  if (verb === undefined) throw new UsageError(unknownVerb(word));
  const flags = Object.fromEntries(
    Object.entries(FLAGS).filter(
      ([flag]) => flag in STORAGE_FLAGS || verb.flags.some((own) => own === flag),
    ),
  );
  const parsed = parseArguments(rest, flags, true);
  try {
    await verb.run(parsed, output);
    return 0;
  } catch (error) {
    if (!(error instanceof AskError)) throw error;
    output.err(`weir dead-letter ${word}: ${error.message}\n`);
    return 1;
  }
}

function unknownVerb(word: string): string {
  const near = nearest(word, Object.keys(VERBS));
  const hint = near === undefined ? "see weir dead-letter --help" : `did you mean "${near}"?`;
  return `dead-letter: expected ${Object.keys(VERBS).join(", ")}, got "${word}" (${hint})`;
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
  return [id, time(atMs), route, reason, cut];
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
      const whole = { setAside: time(atMs), received: time(receivedMs), ...rest };
      out(`${JSON.stringify(whole, null, 2)}\n`);
    }
  if (missing.size > 0) throw new AskError(`not kept (any more): ${[...missing].join(", ")}`);
}

async function replay(args: Arguments, { out }: Output): Promise<void> {
  const to = args.text("to");
  const body = { ...meant(args, "replay"), ...(to !== undefined && { to }) };
  for (const directory of await storageDirectories(args))
    for await (const { end } of ask(directory, "dead-letter/replay", body))
      if (end !== undefined) out(`${directory}: ${done(end, "replayed")}\n`);
}

async function drop(args: Arguments, { out }: Output): Promise<void> {
  const body = meant(args, "drop");
  for (const directory of await storageDirectories(args))
    for await (const { end } of ask(directory, "dead-letter/drop", body))
      if (end !== undefined) out(`${directory}: ${done(end, "dropped")}\n`);
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
  const given = {
    ids: args.words.length > 0 ? args.words : undefined,
    route: args.text("route"),
    reason: args.text("reason"),
    sinceMs: readTime("since", args.text("since"), nowMs),
    untilMs: readTime("until", args.text("until"), nowMs),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function done(end: NonNullable<Line["end"]>, what: string): string {
  const { [what]: letters = 0, kept = 0, bytes = 0, maxBytes = 0 } = end;
  return `${letters} ${what}, ${kept} kept (${bytes} of ${maxBytes} bytes)`;
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
