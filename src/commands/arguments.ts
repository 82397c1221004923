import { nearest } from "../lib/nearest.ts";

/** A flag of a command: `list` may be given several times, `text` once, `switch` has no value. */
export type FlagKind = "list" | "text" | "switch";

export interface Arguments {
  /** What is no flag, in order. */
  readonly words: readonly string[];
  /** Values of a `list` flag, in order. */
  readonly list: (flag: string) => readonly string[];
  readonly text: (flag: string) => string | undefined;
  readonly has: (flag: string) => boolean;
}

/** What was written cannot be understood; the message is for the person who wrote it. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Flags that say what to run: every command that reads a configuration has them. */
export const CONFIG_FLAGS = { config: "list", set: "list" } as const;

/** Reads `--flag value` and `--flag=value`, and words where the command takes some. Throws UsageError with the nearest flag. */
export function parseArguments(
  args: readonly string[],
  flags: Readonly<Record<string, FlagKind>>,
  takesWords = false,
): Arguments {
  const words: string[] = [];
  const given: { readonly name: string; readonly value: string }[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    if (takesWords && !arg.startsWith("-")) {
      words.push(arg);
      continue;
    }
    if (!arg.startsWith("--")) throw unexpected(arg, flags);
    const equals = arg.indexOf("=");
    const name = arg.slice(2, equals < 0 ? undefined : equals);
    const kind = Object.hasOwn(flags, name) ? flags[name] : undefined;
    if (kind === undefined) throw unexpected(arg, flags);
    if (kind === "switch") {
      if (equals >= 0) throw new UsageError(`--${name} takes no value`);
      given.push({ name, value: "" });
      continue;
    }
    const value = equals < 0 ? args[++i] : arg.slice(equals + 1);
    if (value === undefined || (equals < 0 && value.startsWith("--")))
      throw new UsageError(`--${name} needs a value: --${name} <value>`);
    if (kind === "text" && given.some((earlier) => earlier.name === name))
      throw new UsageError(`--${name} can be given once`);
    given.push({ name, value });
  }
  const list = (flag: string) =>
    given.filter(({ name }) => name === flag).map(({ value }) => value);
  return { words, list, text: (flag) => list(flag)[0], has: (flag) => list(flag).length > 0 };
}

function unexpected(arg: string, flags: Readonly<Record<string, FlagKind>>): UsageError {
  const name = arg.replace(/^-+/, "").replace(/=.*$/s, "");
  const near = nearest(name, Object.keys(flags));
  const hint = near === undefined ? "see weir --help" : `did you mean --${near}?`;
  return new UsageError(
    arg.startsWith("-") ? `unknown flag: --${name} (${hint})` : `unexpected "${arg}" (${hint})`,
  );
}
