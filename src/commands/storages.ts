import { existsSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import type { Config as FileStorage } from "../extensions/file_storage/config.ts";
import { IDENTITY_FILE } from "../journal/identity.ts";
import { LOCK_FILE } from "../journal/lock.ts";
import { parseDuration } from "../lib/duration.ts";
import { type Arguments, CONFIG_FLAGS, UsageError } from "./arguments.ts";

/** Flags of commands that look into storages. */
export const STORAGE_FLAGS = { ...CONFIG_FLAGS, directory: "list" } as const;

/** How these flags are explained. */
export const STORAGE_HELP = `  --directory <path>   the directory of a file_storage (default ./data/queue); may be repeated
  --config <file>      instead: every file_storage of this configuration (--set a.b=value changes it)

While the service runs, it answers through control.sock in the directory; else the directory is opened by the command itself.`;

const DEFAULT_DIRECTORY = "./data/queue";

/** The storages that are meant: named, of a configuration, or the default one. Those of a configuration that never ran are left out. */
export async function storageDirectories(args: Arguments): Promise<readonly string[]> {
  const named = args.list("directory");
  for (const directory of named)
    if (!isStorage(directory))
      throw new UsageError(
        `${directory} is not the directory of a file_storage: it has neither ${IDENTITY_FILE} nor ${LOCK_FILE}`,
      );
  if (named.length > 0) return named;
  const sources = args.list("config");
  const directories = sources.length === 0 ? [DEFAULT_DIRECTORY] : await configured(args);
  const found = directories.filter(isStorage);
  if (found.length === 0)
    throw new UsageError(
      `there is no storage in ${directories.join(", ") || "this configuration"}: name its directory with --directory, or a configuration with --config`,
    );
  return found;
}

async function configured(args: Arguments): Promise<string[]> {
  const { createComponents } = await import("../components.ts");
  const loaded = await loadConfig({
    sources: args.list("config"),
    sets: args.list("set"),
    env: process.env,
    catalog: createComponents,
    cwd: process.cwd(),
  });
  if (!loaded.ok) throw new UsageError(loaded.problems.map(formatProblem).join("\n"));
  const storages = [...loaded.config.extensions.values()].filter(
    ({ type }) => type === "file_storage",
  );
  return storages.map(({ options }) => (options as FileStorage).directory);
}

function isStorage(directory: string): boolean {
  // The identity comes with the first write; a service that has just begun holds only the lock.
  return [IDENTITY_FILE, LOCK_FILE].some((file) => existsSync(join(directory, file)));
}

/** A point in time: how long ago ("2h", "90s"), or a date and time ("2026-11-21T10:00:00Z"). Milliseconds. */
export function readTime(
  flag: string,
  text: string | undefined,
  nowMs: number,
): number | undefined {
  if (text === undefined) return undefined;
  const ago = parseDuration(text);
  if (ago !== undefined && ago >= 0) return nowMs - ago;
  const at = /^\d{4}-\d\d-\d\d(T|$)/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at))
    throw new UsageError(
      `--${flag}: expected how long ago (2h, 90s) or a time (2026-11-21T10:00:00Z), got ${text}`,
    );
  return at;
}

/** Refuses a time that is over before it begins: nothing would ever be found. */
export function checkSpan(
  [fromFlag, fromMs]: readonly [flag: string, ms: number | undefined],
  untilMs: number | undefined,
): void {
  if (fromMs !== undefined && untilMs !== undefined && fromMs >= untilMs)
    throw new UsageError(
      `--until (${isoTime(untilMs)}) must be after --${fromFlag} (${isoTime(fromMs)}); how long ago counts back from now, so 1h is before 30m`,
    );
}

/** As people and other programs read it: 2026-11-21T10:00:00.000Z. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
