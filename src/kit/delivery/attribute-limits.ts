import type { Batch } from "../../otlp/batch.ts";
import type { ItemCursor } from "../../otlp/draft.ts";
import { ENTRY, Entry, Group, ITEM_HEADER, Item, Kind, type Signal } from "../../otlp/tape.ts";

/** What a destination takes of the attributes of one item. Infinity: no limit. */
export interface AttributeLimits {
  readonly count: number;
  readonly keyBytes: number;
  /** A longer text is cut; bytes as base64, lists and maps as JSON that are longer are left out. */
  readonly valueBytes: number;
  /** Keys and values together. */
  readonly totalBytes: number;
  /** Those of resource and scope count as the item's, and each member of a map as an attribute. */
  readonly isFlat: boolean;
}

/** Why an attribute is not, or not wholly, there. */
export type LeftOutReason =
  | "too_many"
  | "too_large"
  | "key_too_long"
  | "value_too_long"
  | "value_cut";

/** Told what was left out. */
export type LeftOut = (reason: LeftOutReason, n: number) => void;

/** What an item has left of its limits. */
interface Room {
  count: number;
  bytes: number;
}

/** The least bytes of an attribute in a map: tags, lengths, a name of one character and nothing in it. */
const LEAST_MEMBER = 8;

/** A number or boolean as text. */
const LONGEST_NUMBER = 24;
/** How much longer than on the wire a value may be as JSON: a control character has six. */
const JSON_FACTOR = 6;

/** What is left for the ITEM at tape index `at`, of which `reserved` attributes are spoken for. */
export function roomOf(batch: Batch, at: number, limits: AttributeLimits, reserved: number): Room {
  const room = { count: limits.count - reserved, bytes: limits.totalBytes };
  if (!limits.isFlat) return room;
  const { tape } = batch;
  const group = tape[at + Item.group] ?? 0;
  take(
    room,
    batch,
    tape[group + Group.resourceEntries] ?? 0,
    tape[group + Group.resourceCount] ?? 0,
  );
  take(room, batch, tape[group + Group.scopeEntries] ?? 0, tape[group + Group.scopeCount] ?? 0);
  return room;
}

/** Whether the ITEM at tape index `at` may be over its limits: looks at lengths only, and errs to the safe side. */
export function mayBeOver<S extends Signal>(
  batch: Batch<S>,
  at: number,
  limits: AttributeLimits,
  reserved: number,
): boolean {
  const { tape } = batch;
  const first = at + ITEM_HEADER;
  const count = tape[at + Item.attributes] ?? 0;
  const room = roomOf(batch, at, limits, reserved);
  take(room, batch, first, count);
  if (room.count < 0 || room.bytes < 0) return true;
  const { keyBytes, valueBytes } = limits;
  if (keyBytes === Number.POSITIVE_INFINITY && valueBytes === Number.POSITIVE_INFINITY)
    return false;
  for (let entry = first; entry < first + count * ENTRY; entry += ENTRY) {
    const valueAt = tape[entry + Entry.valueAt] ?? 0;
    if (valueAt - (tape[entry + Entry.keyValueAt] ?? 0) > keyBytes) return true;
    if (mostText(tape, entry) > valueBytes) return true;
  }
  return false;
}

/** Takes entries out of the room, each with the most that it may need. */
function take(room: Room, { tape }: Batch, first: number, count: number): void {
  for (let entry = first; entry < first + count * ENTRY; entry += ENTRY) {
    const valueAt = tape[entry + Entry.valueAt] ?? 0;
    room.bytes -= valueAt - (tape[entry + Entry.keyValueAt] ?? 0) + mostText(tape, entry);
    const isMap = ((tape[entry] ?? 0) & 15) === Kind.map;
    const size = (tape[entry + Entry.valueEnd] ?? 0) - valueAt;
    room.count -= isMap ? Math.max(1, Math.floor(size / LEAST_MEMBER)) : 1;
  }
}

/** Bytes that the value of an entry has as text at most. */
function mostText(tape: Int32Array, entry: number): number {
  const kind = (tape[entry] ?? 0) & 15;
  if (kind > Kind.text && kind < Kind.bytes) return LONGEST_NUMBER;
  const size = (tape[entry + Entry.valueEnd] ?? 0) - (tape[entry + Entry.valueAt] ?? 0);
  return kind < Kind.bytes ? size : size * JSON_FACTOR;
}

/** Leaves out what is over the limits: attributes in their order as long as there is room. */
export function trim(
  item: ItemCursor,
  room: Room,
  limits: AttributeLimits,
  leftOut: LeftOut,
): void {
  const leaving: number[] = [];
  const leave = (slot: number, reason: LeftOutReason) => {
    leaving.push(slot);
    leftOut(reason, 1);
  };
  let { count, bytes } = room;
  for (const slot of Array.from({ length: item.count }, (_, i) => item.slotAt(i))) {
    const key = Buffer.byteLength(item.name(slot));
    if (key > limits.keyBytes) {
      leave(slot, "key_too_long");
      continue;
    }
    const text = item.text(slot);
    const kind = item.kind(slot);
    const size = Buffer.byteLength(text);
    if (size > limits.valueBytes && kind >= Kind.bytes) {
      leave(slot, "value_too_long");
      continue;
    }
    const members = limits.isFlat && kind === Kind.map ? membersOf(text) : 1;
    const kept = kind === Kind.text ? Math.min(size, limits.valueBytes) : size;
    if (members > count) leave(slot, "too_many");
    else if (key + kept > bytes) leave(slot, "too_large");
    else {
      count -= members;
      bytes -= key + kept;
      if (kept < size) {
        item.replace(slot, startOf(text, kept));
        leftOut("value_cut", 1);
      }
    }
  }
  for (const slot of leaving) item.delete(slot);
}

/** Members of a map of maps in JSON; what looks like one in a text counts too. */
function membersOf(json: string): number {
  return json.split('":').length - 1;
}

/** The first characters of a text, in so many bytes at most. */
function startOf(text: string, bytes: number): string {
  const all = Buffer.from(text);
  let end = bytes;
  while (end > 0 && ((all[end] ?? 0) & 0xc0) === 0x80) end--;
  return all.toString("utf8", 0, end);
}
