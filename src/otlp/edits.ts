import type { Batch } from "./batch.ts";
import { ProtoWriter } from "./build.ts";
import type { KeyTable } from "./key-table.ts";
import { ENTRY, GROUP_HEADER, Group, ITEM_HEADER, Item, NodeType } from "./tape.ts";
import { textAt } from "./values.ts";

/** Head of an entry that was deleted. */
export const DELETED = -1;
/** Marks that are no key ids: the entry was deleted; it has a row with its head and its new value. */
export const Mark = { none: 0, row: 0xfffe, deleted: 0xffff } as const;
/** Ints of a row: next row of its owner (0: none), head, start and end of its AnyValue in the arena. */
export const ROW = 4;
/** Items by which the growth of a batch is judged. */
const SAMPLE = 64;
const DROPPED = 2;
const TOUCHED = 1;
const NO_MARKS = new Uint16Array(0);
const NO_ROWS = new Int32Array(0);

/**
 * What a draft has changed; the batch and its tape stay as they are. An entry at tape index e has the mark `marks[e >> 2]`: 0 (as
 * it was), its new head (another key), DELETED, or a row with its head and its new value. Added attributes are rows of their owner.
 */
export class Edits {
  readonly batch: Batch;
  readonly keys: KeyTable;
  readonly tape: Int32Array;
  #arena: ProtoWriter | undefined;
  readonly dropped = new Map<string, number>();
  isEdited = false;
  /** Empty until something is touched. */
  marks: Uint16Array = NO_MARKS;
  /** Row 0 is not used. */
  rows = new Int32Array(4 * ROW);
  rowsEnd = ROW;
  /** Rows of entries, by tape index >> 2; empty until one has a new value. */
  #rowOf: Int32Array = NO_ROWS;
  /** Items that were not dropped. */
  kept: number;
  readonly #states: Uint8Array;
  #firstRows: Int32Array | undefined;
  /** Of resources, by the tape index of the resource's first GROUP. */
  readonly #resourceRows = new Map<number, number>();
  readonly #resources = new Set<number>();

  constructor(keys: KeyTable, batch: Batch) {
    this.keys = keys;
    this.batch = batch;
    this.tape = batch.tape;
    this.kept = batch.items;
    this.#states = new Uint8Array(batch.items);
  }

  /** New values, as AnyValues. Made at the first, because most drafts have none. */
  get arena(): ProtoWriter {
    this.#arena ??= new ProtoWriter(256);
    return this.#arena;
  }
  get arenaLength(): number {
    return this.#arena?.length ?? 0;
  }

  isDropped(item: number): boolean {
    return this.#states[item] === DROPPED;
  }
  isTouched(item: number): boolean {
    return this.#states[item] === TOUCHED;
  }
  /** Not beyond the last item. */
  isUntouched(item: number): boolean {
    return this.#states[item] === 0;
  }
  /** Whether the edits of an item are marks: no attribute was added to it. */
  isOnlyMarked(item: number): boolean {
    return this.#states[item] === TOUCHED && this.firstRow(item) === 0;
  }
  isResourceTouched(group: number): boolean {
    return this.#resources.has(group);
  }

  /** `owner`: ordinal of an item, or −1 − tape index of a resource's first GROUP. To be called before its entries are marked. */
  touch(owner: number): void {
    if (owner < 0 || this.#states[owner] !== TOUCHED) this.#touch(owner);
  }

  #touch(owner: number): void {
    if (this.marks.length === 0) this.marks = new Uint16Array((this.tape.length >> 2) + 1);
    this.isEdited = true;
    if (owner < 0) this.#resources.add(-1 - owner);
    else if (this.#states[owner] !== DROPPED) this.#states[owner] = TOUCHED;
  }

  drop(item: number, reason: string): void {
    if (this.#states[item] === DROPPED) return;
    this.isEdited = true;
    this.kept--;
    this.#states[item] = DROPPED;
    this.dropped.set(reason, (this.dropped.get(reason) ?? 0) + 1);
  }

  /** Drops all items but [from, to) that are not dropped yet. */
  keepOnly(from: number, to: number, reason: string): void {
    const states = this.#states;
    const before = this.kept;
    const first = Math.min(Math.max(from, 0), states.length);
    const last = Math.max(first, Math.min(to, states.length));
    states.fill(DROPPED, 0, first).fill(DROPPED, last);
    this.kept = 0;
    for (let item = first; item < last; item++) if (states[item] !== DROPPED) this.kept++;
    if (this.kept === before) return;
    this.isEdited = true;
    this.dropped.set(reason, (this.dropped.get(reason) ?? 0) + before - this.kept);
  }

  firstRow(owner: number): number {
    if (owner < 0) return this.#resourceRows.get(-1 - owner) ?? 0;
    return this.#firstRows === undefined ? 0 : this.#firstRows[owner]!;
  }

  /** A row of nobody yet; returns it. */
  row(head: number, from: number, to: number): number {
    const row = this.rowsEnd;
    if (row + ROW > this.rows.length) {
      const larger = new Int32Array(this.rows.length * 2);
      larger.set(this.rows);
      this.rows = larger;
    }
    this.rows[row] = 0;
    this.putRow(row, head, from, to);
    this.rowsEnd = row + ROW;
    return row;
  }

  /** Adds an attribute behind the others of its owner. */
  add(owner: number, head: number, from: number, to: number): void {
    this.touch(owner);
    const row = this.row(head, from, to);
    const { rows } = this;
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
  }

  /** Row with the new value of an entry, or 0. */
  rowOf(entry: number): number {
    return this.marks.length !== 0 && this.marks[entry >> 2] === Mark.row
      ? this.#rowOf[entry >> 2]!
      : 0;
  }

  /** Key id and kind of an entry as they are now, or DELETED. */
  headOf(entry: number): number {
    const mark = this.marks.length === 0 ? Mark.none : this.marks[entry >> 2]!;
    if (mark === Mark.none) return this.tape[entry]!;
    if (mark < Mark.row) return (mark << 4) | (this.tape[entry]! & 15);
    return mark === Mark.deleted ? DELETED : this.rows[this.#rowOf[entry >> 2]! + 1]!;
  }

  /** Gives an entry another key, unless it was deleted; its owner was touched. Returns the id that it had. */
  rename(entry: number, to: number): number {
    const { marks } = this;
    const mark = marks[entry >> 2]!;
    if (mark < Mark.row) {
      marks[entry >> 2] = to;
      return mark === Mark.none ? this.tape[entry]! >>> 4 : mark;
    }
    if (mark === Mark.deleted) return 0;
    return this.rekey(this.#rowOf[entry >> 2]!, to);
  }

  /** Gives a row another key, unless it was deleted. Returns the id that it had. */
  rekey(row: number, to: number): number {
    const old = this.rows[row + 1]!;
    if (old === DELETED) return 0;
    this.rows[row + 1] = (to << 4) | (old & 15);
    return old >>> 4;
  }

  /** Deletes an entry; its owner was touched. */
  remove(entry: number): void {
    this.marks[entry >> 2] = Mark.deleted;
  }

  /** Gives an entry another value: the AnyValue [from, to) of the arena; its owner was touched. */
  put(entry: number, head: number, from: number, to: number): void {
    const row = this.rowOf(entry);
    if (row !== 0) {
      this.putRow(row, head, from, to);
      return;
    }
    if (this.#rowOf.length === 0) this.#rowOf = new Int32Array(this.marks.length);
    this.#rowOf[entry >> 2] = this.row(head, from, to);
    this.marks[entry >> 2] = Mark.row;
  }

  /** Gives a row another value. */
  putRow(row: number, head: number, from: number, to: number): void {
    const { rows } = this;
    rows[row + 1] = head;
    rows[row + 2] = from;
    rows[row + 3] = to;
  }

  /** Most ints that the new tape may have. */
  ints(): number {
    const { tape } = this;
    let ints = tape.length + this.rowsEnd;
    if (this.kept === this.batch.items) return ints;
    let item = 0;
    for (let at = nextItem(tape, 0); at < tape.length; at = nextItem(tape, at)) {
      const size = tape[at]! >>> 2;
      if (this.isDropped(item++)) ints -= size;
      at += size;
    }
    return ints;
  }

  /** By how many bytes the renames make the batch longer, judged by its first items; never below 0. */
  growth(): number {
    const { tape, marks, keys, batch } = this;
    let growth = 0;
    let seen = 0;
    if (marks.length === 0) return 0;
    for (let at = nextItem(tape, 0); at < tape.length && seen < SAMPLE; seen++) {
      const end = at + (tape[at]! >>> 2);
      for (let e = at + ITEM_HEADER; e < end; e += ENTRY) {
        const mark = marks[e >> 2]!;
        if (mark !== Mark.none && mark < Mark.row)
          growth += keys.length(mark) - lengthAt(batch.bytes, tape[e + 1]! + 1);
      }
      at = nextItem(tape, end);
    }
    return growth <= 0 ? 0 : Math.ceil((growth / seen) * batch.items);
  }

  /** Whether the name of an entry without an id (it was indexed while the table was full) is that of `key`. */
  isNamed(entry: number, key: number): boolean {
    return this.nameOf(entry) === this.keys.name(key as ReturnType<KeyTable["id"]>);
  }

  /** Name of an entry's key, from the table or from the wire. */
  nameOf(entry: number): string {
    const head = this.headOf(entry);
    if (head === DELETED) return "";
    const id = head >>> 4;
    if (id !== 0) return this.keys.name(id as ReturnType<KeyTable["id"]>);
    const { bytes } = this.batch;
    const at = keyAt(bytes, this.tape[entry + 1]!);
    return textAt(bytes, at, at + lengthAt(bytes, this.tape[entry + 1]! + 1));
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
  return entries - GROUP_HEADER;
}

/** Tape index of the GROUP of an ITEM. */
export function groupOf(tape: Int32Array, item: number): number {
  return tape[item + Item.group]!;
}
