import { hash } from "node:crypto";
import type { RecordDoor } from "../../series/records/record-door.ts";
import { withSlack } from "../../wire/slack.ts";
import type { Given } from "./given.ts";

/** The lists of the file, and the levels of their entries. */
const SECTIONS = ["error", "warning", "warn", "info", "debug", "trace"] as const;

interface Seen {
  /** Entries that were taken, and a hash of them: when they are still the first ones, the others are new. */
  readonly count: number;
  readonly hash: string;
}

/** What was taken of a file so far, by section. */
export type LogsJsonMark = Readonly<Record<string, Seen>>;

interface Entry {
  readonly level: string;
  readonly timestamp: string;
  readonly record: Readonly<Record<string, unknown>>;
}

export interface LogsJsonRead {
  readonly mark: LogsJsonMark;
  readonly records: number;
}

/**
 * The file of the Dart Cloud logger, `{"error":[…],"debug":[…],"info":[…]}`, which is written anew as a whole with each flush: entries that were
 * not there before, in the order of their times. Undefined: no such file, or a half-written one.
 */
export function readLogsJson(
  text: Uint8Array,
  mark: LogsJsonMark,
  door: RecordDoor,
  given: Given,
): LogsJsonRead | undefined {
  const sections = sectionsOf(text);
  if (sections === undefined) return undefined;
  const fresh: Entry[] = [];
  const next: Record<string, Seen> = {};
  for (const level of SECTIONS) {
    const entries = sections[level];
    if (!Array.isArray(entries)) continue;
    const seen = mark[level];
    const isGrown = seen !== undefined && hashOf(entries.slice(0, seen.count)) === seen.hash;
    for (const entry of entries.slice(isGrown ? seen.count : 0)) fresh.push(entryOf(level, entry));
    next[level] = { count: entries.length, hash: hashOf(entries) };
  }
  fresh.sort((a, b) => (a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0));
  door.given = given.plain;
  for (const { record } of fresh) {
    const line = Buffer.from(JSON.stringify(record));
    const bytes = withSlack(line);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (door.json(bytes, view, 0, line.length) < 0) door.text(view, 0, line.length);
  }
  return { mark: next, records: fresh.length };
}

/** The mark in a memo. */
export function readMark(value: unknown): LogsJsonMark {
  if (typeof value !== "object" || value === null) return {};
  const sections = Object.entries(value as Record<string, Partial<Seen> | null>);
  const good = sections.flatMap(([level, seen]) =>
    typeof seen?.count === "number" && typeof seen.hash === "string"
      ? [[level, { count: seen.count, hash: seen.hash }] as const]
      : [],
  );
  return Object.fromEntries(good);
}

/** The object with the lists: the file itself, or the `function_logs` of an invocation's record. */
function sectionsOf(text: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  const value = parsed(text);
  if (!isObject(value)) return undefined;
  const { function_logs: inner } = value;
  return isObject(inner) ? inner : value;
}

function entryOf(level: string, entry: unknown): Entry {
  if (!isObject(entry)) return { level, timestamp: "", record: { level, message: entry } };
  const { timestamp } = entry;
  return { level, timestamp: String(timestamp ?? ""), record: { level, ...entry } };
}

function hashOf(entries: readonly unknown[]): string {
  return hash("sha1", JSON.stringify(entries), "base64").slice(0, 16);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parsed(text: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(text).toString());
  } catch {
    return undefined;
  }
}
