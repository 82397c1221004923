import { nearest } from "../lib/nearest.ts";
import { type Arguments, type FlagKind, parseArguments, UsageError } from "./arguments.ts";
import { AskError } from "./ask.ts";
import type { Output } from "./output.ts";
import { STORAGE_FLAGS } from "./storages.ts";

/** One thing that a command can do with storages. */
export interface Verb {
  /** Its own, beside those that say which storages are meant. */
  readonly flags: Readonly<Record<string, FlagKind>>;
  readonly run: (args: Arguments, output: Output) => Promise<void>;
}

/** Runs `weir <command> <verb> …`. Returns the exit code. */
export function runVerb(
  command: string,
  usage: string,
  verbs: Readonly<Record<string, Verb>>,
  args: readonly string[],
  output: Output,
): Promise<number> {
  const [word = "", ...rest] = args;
  if (asksForHelp(args)) return runStorages(command, usage, NOTHING, args, output);
  const verb = Object.hasOwn(verbs, word) ? verbs[word] : undefined;
  if (verb === undefined) throw new UsageError(unknownVerb(command, word, Object.keys(verbs)));
  return runStorages(`${command} ${word}`, usage, verb, rest, output);
}

/** Runs what looks into storages, or says how it is used. What goes wrong there is one line on stderr, and 1. */
export async function runStorages(
  name: string,
  usage: string,
  { flags, run }: Verb,
  args: readonly string[],
  output: Output,
): Promise<number> {
  if (asksForHelp(args)) {
    output.out(usage);
    return 0;
  }
  const parsed = parseArguments(args, { ...STORAGE_FLAGS, ...flags }, true);
  try {
    await run(parsed, output);
    return 0;
  } catch (error) {
    if (!(error instanceof AskError)) throw error;
    output.err(`weir ${name}: ${error.message}\n`);
    return 1;
  }
}

const NOTHING: Verb = { flags: {}, run: async () => {} };

function asksForHelp(args: readonly string[]): boolean {
  return args.includes("--help") || args.includes("-h");
}

function unknownVerb(command: string, word: string, verbs: readonly string[]): string {
  const near = nearest(word, verbs);
  const hint = near === undefined ? `see weir ${command} --help` : `did you mean "${near}"?`;
  return `${command}: expected ${verbs.join(", ")}, got "${word}" (${hint})`;
}
