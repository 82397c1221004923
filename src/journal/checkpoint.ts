import { SIGNALS } from "../otlp/tape.ts";
import { type memoEntries, readMemoEntries } from "./memos.ts";
import type { Interval } from "./progress.ts";
import type { SavedRoute } from "./route-state.ts";

/** What a checkpoint record says. The first of a segment is full: all routes, all segments. Later ones name what changed. */
export interface Checkpoint {
  readonly routes: readonly SavedRoute[];
  /** Damage counted so far, by reason. */
  readonly quarantined: Readonly<Record<string, number>>;
  /** Only in full ones: id and length of the segments before this one. Others with a lower id hold nothing that counts. */
  readonly segments?: readonly (readonly [id: number, length: number])[];
  /** Only in the first of a copied segment: ids of the segments whose frames it holds now. They are gone, or about to go. */
  readonly replaces?: readonly number[];
  /** Places of damage already counted: segment id and offset. Only in full ones. */
  readonly damage?: readonly (readonly [id: number, offset: number])[];
  /** All memos. Only in full ones. */
  readonly memos?: ReturnType<typeof memoEntries>;
}

/** Changes that are part of one append: a holder's settlement, frames that a full route skips. */
export interface Delta {
  readonly route: number;
  readonly settle?: Interval;
  readonly appended: number;
  readonly delivered: number;
  readonly unconfirmed: number;
  readonly deadLettered: number;
  readonly dropped: Readonly<Record<string, number>>;
}

/** Longest checkpoint that recovery reads: 16 MiB. */
export const CHECKPOINT_MAX = 16 << 20;

export function encodeJson(
  value: Checkpoint | readonly Delta[] | ReturnType<typeof memoEntries>,
): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** Undefined when the bytes are not a checkpoint. */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint | undefined {
  const value = parse(bytes);
  if (!isRecord(value)) return undefined;
  const { routes, quarantined, segments, damage, replaces, memos: texts } = value;
  const memos = readMemoEntries(texts);
  if (!Array.isArray(routes) || !routes.every(isSavedRoute) || !isTotals(quarantined))
    return undefined;
  return {
    ...{ routes, quarantined },
    ...(isPairs(segments) ? { segments } : {}),
    ...(isPairs(damage) ? { damage } : {}),
    ...(memos === undefined ? {} : { memos }),
    ...(Array.isArray(replaces) && replaces.every(isCount) ? { replaces } : {}),
  };
}

/** Undefined when the bytes are no memos. */
export function decodeMemos(bytes: Uint8Array): ReturnType<typeof readMemoEntries> {
  return readMemoEntries(parse(bytes));
}

/** Undefined when the bytes are not a list of deltas. */
export function decodeDeltas(bytes: Uint8Array): readonly Delta[] | undefined {
  const value = parse(bytes);
  return Array.isArray(value) && value.every(isDelta) ? value : undefined;
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function isTotals(value: unknown): value is Record<string, number> {
  return isRecord(value) && Object.values(value).every(isCount);
}

function isPair(value: unknown): value is readonly [number, number] {
  return Array.isArray(value) && value.length === 2 && value.every(isCount);
}

function isPairs(value: unknown): value is readonly (readonly [number, number])[] {
  return Array.isArray(value) && value.every(isPair);
}

const TALLY = ["appended", "delivered", "unconfirmed", "deadLettered"];

function isDelta(value: unknown): value is Delta {
  if (!isRecord(value)) return false;
  const { route, dropped, settle } = value;
  if (!isCount(route) || !isTotals(dropped)) return false;
  if (settle !== undefined && !isPair(settle)) return false;
  return TALLY.every((name) => isCount(value[name]));
}

function isSavedRoute(value: unknown): value is SavedRoute {
  if (!isRecord(value)) return false;
  const { name, signal, open, dropped } = value;
  if (typeof name !== "string" || !isPairs(open) || !isTotals(dropped)) return false;
  if (!SIGNALS.some((known) => known === signal)) return false;
  return ["number", "adopt", "asOf", "upTo", ...TALLY].every((field) => isCount(value[field]));
}
