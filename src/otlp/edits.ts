import type { Batch } from "./batch.ts";
import { ProtoWriter } from "./build.ts";
import type { KeyTable } from "./key-table.ts";
import { Group, Item, type Kind, NodeType } from "./tape.ts";
import { textAt } from "./values.ts";

/** Head of an entry that was deleted. */
export const DELETED = -1;
/** Ints of an added attribute: next row of its owner (0: none), head, start and end of its AnyValue in the arena. */
export const ROW = 4;
const DROPPED = 2;
const TOUCHED = 1;

/**
 * What a draft has changed. The tape is a copy with the same layout as the batch's, so an entry is edited where the two differ:
 * another key id (renamed), DELETED, or `valueAt` below 0 (−1 − its start in the arena; `valueEnd` is its end there).
 */
export class Edits {
  readonly batch: Batch;
  readonly keys: KeyTable;
  readonly tape: Int32Array;
  readonly arena = new ProtoWriter(256);
  readonly dropped = new Map<string, number>();
  isEdited = false;
  /** Rows of added attributes; row 0 is not used. */
  rows = new Int32Array(64);
  rowsEnd = ROW;
  readonly #states: Uint8Array;
  #firstRows: Int32Array | undefined;
  /** Of resources, by the tape index of the resource's first GROUP. */
  readonly #resourceRows = new Map<number, number>();
  readonly #resources = new Set<number>();

  constructor(keys: KeyTable, batch: Batch) {
    this.keys = keys;
    this.batch = batch;
    this.tape = batch.tape.slice();
    this.#states = new Uint8Array(batch.items);
  }

  isDropped(item: number): boolean {
    return this.#states[item] === DROPPED;
  }
  isTouched(item: number): boolean {
    return this.#states[item] === TOUCHED;
  }
  isResourceTouched(group: number): boolean {
    return this.#resources.has(group);
  }

  /** `owner`: ordinal of an item, or −1 − tape index of a resource's first GROUP. */
  touch(owner: number): void {
    this.isEdited = true;
    if (owner < 0) this.#resources.add(-1 - owner);
    else if (this.#states[owner] !== DROPPED) this.#states[owner] = TOUCHED;
  }

  drop(item: number, reason: string): void {
    if (this.#states[item] === DROPPED) return;
    this.isEdited = true;
    this.#states[item] = DROPPED;
    this.dropped.set(reason, (this.dropped.get(reason) ?? 0) + 1);
  }

  firstRow(owner: number): number {
    if (owner < 0) return this.#resourceRows.get(-1 - owner) ?? 0;
    return this.#firstRows === undefined ? 0 : this.#firstRows[owner]!;
  }

  /** Adds an attribute behind the others of its owner; returns its row. */
  add(owner: number, head: number, from: number, to: number): number {
    const row = this.rowsEnd;
    if (row + ROW > this.rows.length) {
      const larger = new Int32Array(this.rows.length * 2);
      larger.set(this.rows);
      this.rows = larger;
    }
    const { rows } = this;
    rows[row] = 0;
    rows[row + 1] = head;
    rows[row + 2] = from;
    rows[row + 3] = to;
    this.rowsEnd = row + ROW;
    let last = this.firstRow(owner);
    if (last === 0) {
      if (owner < 0) this.#resourceRows.set(-1 - owner, row);
      else {
        this.#firstRows ??= new Int32Array(this.batch.items);
        this.#firstRows[owner] = row;
      }
    } else {
      while (rows[last] !== 0) last = rows[last]!;
      rows[last] = row;
    }
    this.touch(owner);
    return row;
  }

  /** Whether the entry's key is `key`: entries indexed while the table was full have id 0, and are compared by name. */
  hasKey(entry: number, key: number): boolean {
    const head = this.tape[entry]!;
    if (head < 0) return false;
    if (head >>> 4 !== 0) return head >>> 4 === key;
    return this.nameOf(entry) === this.keys.name(key as ReturnType<KeyTable["id"]>);
  }

  /** Name of an entry's key, from the table or from the wire. */
  nameOf(entry: number): string {
    const id = this.tape[entry]! >>> 4;
    if (id !== 0) return this.keys.name(id as ReturnType<KeyTable["id"]>);
    const { bytes } = this.batch;
    const at = keyAt(bytes, this.tape[entry + 1]!);
    return textAt(bytes, at, at + lengthAt(bytes, this.tape[entry + 1]! + 1));
  }

  kindOf(entry: number): Kind {
    return (this.tape[entry]! & 15) as Kind;
  }
}

/** The length whose varint starts at `at`; valid wire only. */
export function lengthAt(bytes: Uint8Array, at: number): number {
  let byte = bytes[at]!;
  if (byte < 128) return byte;
  let value = byte & 127;
  for (let shift = 7; byte > 127; shift += 7) {
    byte = bytes[++at]!;
    value |= (byte & 127) << shift;
  }
  return value;
}

/** Start of the key's text, for a KeyValue content at `at`. */
export function keyAt(bytes: Uint8Array, at: number): number {
  let p = at + 1;
  while (bytes[p]! > 127) p++;
  return p + 1;
}

/** Start of the field (its one-byte tag) whose payload starts at `at`. */
export function fieldStart(bytes: Uint8Array, at: number): number {
  let p = at - 1;
  while (bytes[p - 1]! > 127) p--;
  return p - 1;
}

/** Tape index of the next ITEM from `at` on, or the tape's length. */
export function nextItem(tape: Int32Array, at: number): number {
  while (at < tape.length && (tape[at]! & 3) !== NodeType.item) at += tape[at]! >>> 2;
  return at;
}

/** Tape index of the first GROUP of the resource that the GROUP at `group` belongs to. */
export function firstGroup(tape: Int32Array, group: number): number {
  const entries = tape[group + Group.resourceEntries]!;
  return entries - GROUP_INTS;
}
const GROUP_INTS = 18;

/** Tape index of the GROUP of an ITEM. */
export function groupOf(tape: Int32Array, item: number): number {
  return tape[item + Item.group]!;
}
