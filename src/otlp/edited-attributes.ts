import { FIELDS } from "./builtins.ts";
import type { Attributes, AttributeValue } from "./draft.ts";
import { DELETED, type Edits } from "./edits.ts";
import type { KeyId } from "./keys.ts";
import { ENTRY, Kind } from "./tape.ts";
import { describe, payloadAt, valueAt, wrapAnyValue, writeAnyValue } from "./values.ts";

/** Slots: a tape index for entries on the tape; these plus a row or a field number for the others. */
export const ADDED = 0x4000_0000;
export const BUILTIN = 0x2000_0000;
/** Places in the memo, a power of two; keys that share one are looked for each time. */
const MEMO = 256;
/** Ints of a place in the memo: see `#memo`. */
const PLACE = 3;
const NO_MEMO = new Int32Array(0);
/** Stamps are multiples of this, so that stamp + key tells both. Above the largest key id. */
const GENERATION = 8192;
const LAST_GENERATION = 0x7fff_0000;

/** A value by position: its payload in some memory. */
export interface Located {
  readonly kind: Kind;
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
}

const NONE: Located = { kind: Kind.none, bytes: new Uint8Array(0), at: 0, end: 0 };

/** The attributes of the owner that a cursor stands on, an item or a resource, with their edits. */
export abstract class EditedAttributes implements Attributes {
  protected readonly edits: Edits;
  /** Tape index of the owner's first entry, and how many the tape has. */
  protected from = 0;
  protected total = 0;
  /** See Edits.touch. */
  protected owner = 0;
  /** A bit per key id modulo 32: keys that were perhaps edited here. */
  protected changed = -1;
  /** Nothing was looked up or edited here yet, neither now nor when the cursor stood here before. */
  protected isNew = false;
  /** Counts the owners whose shape was compared; 0 while the memo is not about the owner. */
  #visit = 0;
  #visits = 0;
  /**
   * Where keys are, for owners whose keys are those of the entries at `shape`, in their order: stamp + key; offset from the owner's
   * first entry, or below 0 when it has none; and the last visit that edited a key of this place, so that the memo does not tell where
   * it is. Most items have the keys of the item before.
   */
  #memo = NO_MEMO;
  #stamp = GENERATION;
  #shape = -1;
  #shapeTotal = -1;
  /** Where `slotAt` was last: index → entry. Reset by every move and edit. */
  #index = -1;
  #slot = -1;

  constructor(edits: Edits) {
    this.edits = edits;
  }

  /** To another owner. */
  protected moved(isNew: boolean): void {
    this.#index = -1;
    this.#visit = 0;
    this.changed = -1;
    this.isNew = isNew;
  }

  attribute(key: KeyId): number {
    if (((this.changed >>> (key & 31)) & 1) !== 0) return this.#search(key);
    return this.#recall(key);
  }

  /** By the memo. */
  #recall(key: KeyId): number {
    const at = (key & (MEMO - 1)) * PLACE;
    const memo = this.#memo;
    if (memo[at] !== this.#stamp + key) return this.#learn(key, at);
    const offset = memo[at + 1]!;
    return offset < 0 ? -1 : this.from + offset;
  }

  #search(key: KeyId): number {
    if (this.isNew) {
      this.isNew = false;
      this.changed = 0;
      this.#compareShapes();
      this.#visit = ++this.#visits;
    } else if (this.#visit === 0 || this.#memo[(key & (MEMO - 1)) * PLACE + 2] === this.#visit)
      return this.find(key, this.from, this.total, this.owner);
    return this.#recall(key);
  }

  /** A key was added, taken away or given to another entry. */
  #change(key: number): void {
    this.changed |= 1 << (key & 31);
    if (this.#visit !== 0) this.#memo[(key & (MEMO - 1)) * PLACE + 2] = this.#visit;
  }

  /** Whether the owner has the same keys in the same order as the one that the memo is about; else the memo starts anew. */
  #compareShapes(): void {
    const { tape } = this.edits;
    const { from, total } = this;
    const was = this.#shape;
    let isSame = this.#shapeTotal === total;
    for (let i = (total - 1) * ENTRY; isSame && i >= 0; i -= ENTRY)
      isSame = (tape[was + i]! ^ tape[from + i]!) >>> 4 === 0;
    if (was < 0) this.#memo = new Int32Array(PLACE * MEMO);
    this.#shape = from;
    this.#shapeTotal = total;
    if (isSame) return;
    this.#stamp += GENERATION;
    if (this.#stamp < LAST_GENERATION) return;
    this.#memo.fill(0);
    this.#stamp = GENERATION;
  }

  /** Finds a key that was not edited here, and puts what it finds into the memo. */
  #learn(key: KeyId, at: number): number {
    const { tape } = this.edits;
    const { from } = this;
    let offset = (this.total - 1) * ENTRY;
    for (; offset >= 0; offset -= ENTRY) {
      const id = tape[from + offset]! >>> 4;
      if (id === key) break;
      if (id === 0) return this.find(key, from, this.total, this.owner);
    }
    this.#memo[at] = this.#stamp + key;
    this.#memo[at + 1] = offset;
    return offset < 0 ? -1 : from + offset;
  }

  protected find(key: KeyId, from: number, total: number, owner: number): number {
    const { edits } = this;
    let found = -1;
    for (let row = edits.firstRow(owner); row !== 0; row = edits.rows[row]!) {
      const head = edits.rows[row + 1]!;
      if (head !== DELETED && head >>> 4 === key) found = ADDED + row;
    }
    if (found >= 0) return found;
    for (let e = from + (total - 1) * ENTRY; e >= from; e -= ENTRY) {
      const head = edits.headOf(e);
      if (head === DELETED) continue;
      if (head >>> 4 === key || (head >>> 4 === 0 && edits.isNamed(e, key))) return e;
    }
    return -1;
  }

  get count(): number {
    let count = 0;
    for (let slot = this.#after(-1); slot >= 0; slot = this.#after(slot)) count++;
    return count;
  }

  slotAt(index: number): number {
    if (this.#index < 0 || index < this.#index) {
      this.#index = 0;
      this.#slot = this.#after(-1);
    }
    for (; this.#index < index && this.#slot >= 0; this.#index++)
      this.#slot = this.#after(this.#slot);
    return this.#slot;
  }

  /** The slot behind `slot` (−1: the first), deleted ones excluded; −1 at the end. */
  #after(slot: number): number {
    const { edits } = this;
    const end = this.from + this.total * ENTRY;
    if (slot < ADDED) {
      for (let e = slot < 0 ? this.from : slot + ENTRY; e < end; e += ENTRY)
        if (edits.headOf(e) !== DELETED) return e;
    }
    let row = slot < ADDED ? edits.firstRow(this.owner) : edits.rows[slot - ADDED]!;
    while (row !== 0 && edits.rows[row + 1] === DELETED) row = edits.rows[row]!;
    return row === 0 ? -1 : ADDED + row;
  }

  name(slot: number): string {
    if (slot < 0) return "";
    if (slot >= ADDED)
      return this.edits.keys.name((this.edits.rows[slot - ADDED + 1]! >>> 4) as KeyId);
    if (slot >= BUILTIN) return FIELDS[slot - BUILTIN] ?? "";
    return this.edits.nameOf(slot);
  }

  kind(slot: number): Kind {
    return this.locate(slot).kind;
  }

  text(slot: number): string {
    const { kind, bytes, at, end } = this.locate(slot);
    return describe(kind, bytes, at, end);
  }

  value(slot: number): AttributeValue | undefined {
    const { kind, bytes, at, end } = this.locate(slot);
    return valueAt(kind, bytes, at, end);
  }

  protected locate(slot: number): Located {
    if (slot < 0) return NONE;
    const { edits } = this;
    const { tape, rows, batch } = edits;
    if (slot >= ADDED) {
      const row = slot - ADDED;
      return this.#inArena(rows[row + 1]!, rows[row + 2]!, rows[row + 3]!);
    }
    const row = edits.rowOf(slot);
    if (row !== 0) return this.#inArena(rows[row + 1]!, rows[row + 2]!, rows[row + 3]!);
    const head = edits.headOf(slot);
    if (head === DELETED) return NONE;
    return {
      kind: (head & 15) as Kind,
      bytes: batch.bytes,
      at: tape[slot + 2]!,
      end: tape[slot + 3]!,
    };
  }

  #inArena(head: number, from: number, end: number): Located {
    if (head === DELETED) return NONE;
    const { bytes } = this.edits.arena;
    return { kind: (head & 15) as Kind, bytes, at: payloadAt(bytes, from, end), end };
  }

  set(key: KeyId, value: AttributeValue): void {
    const { arena } = this.edits;
    const from = arena.length;
    const kind = writeAnyValue(arena, value);
    this.#put(this.attribute(key), key, kind, from);
  }

  replace(slot: number, value: AttributeValue): void {
    if (slot < 0 || isBuiltin(slot) || this.#headOf(slot) === DELETED) return;
    const { arena } = this.edits;
    const from = arena.length;
    const kind = writeAnyValue(arena, value);
    this.#put(slot, (this.#headOf(slot) >>> 4) as KeyId, kind, from);
  }

  copy(slot: number, key: KeyId): void {
    if (slot < 0) return;
    const { kind, bytes, at, end } = this.locate(slot);
    const { arena } = this.edits;
    const from = arena.length;
    wrapAnyValue(arena, kind, bytes, at, end);
    this.#put(this.attribute(key), key, kind, from);
  }

  #headOf(slot: number): number {
    const { edits } = this;
    return slot >= ADDED ? edits.rows[slot - ADDED + 1]! : edits.headOf(slot);
  }

  /** The AnyValue that the arena holds from `from` on becomes the value of `slot`, or of a new attribute. */
  #put(slot: number, key: KeyId, kind: Kind, from: number): void {
    const { edits } = this;
    const head = (key << 4) | kind;
    const to = edits.arena.length;
    this.#index = -1;
    if (slot < 0) {
      this.#change(key);
      edits.add(this.owner, head, from, to);
      return;
    }
    edits.touch(this.owner);
    if (slot < ADDED) {
      edits.put(slot, (edits.headOf(slot) & ~15) | kind, from, to);
      return;
    }
    edits.putRow(slot - ADDED, head, from, to);
  }

  rename(slot: number, to: KeyId): void {
    if (slot < 0 || isBuiltin(slot)) return;
    const other = this.attribute(to);
    if (other >= 0 && !this.#makeWay(other, slot, to)) return;
    const { edits } = this;
    this.#index = -1;
    edits.touch(this.owner);
    this.#change(slot >= ADDED ? edits.rekey(slot - ADDED, to) : edits.rename(slot, to));
    this.#change(to);
  }

  /** Deletes the others that have the name that `slot` is to get; false when it has it already, or is gone. */
  #makeWay(other: number, slot: number, to: KeyId): boolean {
    if (this.#headOf(slot) === DELETED) return false;
    for (; other >= 0; other = this.attribute(to)) {
      if (other === slot) return false;
      this.delete(other);
    }
    return true;
  }

  delete(slot: number): void {
    if (slot < 0 || isBuiltin(slot)) return;
    const { edits } = this;
    const old = this.#headOf(slot);
    if (old === DELETED) return;
    this.#index = -1;
    this.isNew = false; // else the look-up that comes next would forget this edit
    this.#change(old >>> 4);
    edits.touch(this.owner);
    if (slot >= ADDED) edits.rows[slot - ADDED + 1] = DELETED;
    else edits.remove(slot);
  }
}

function isBuiltin(slot: number): boolean {
  return slot >= BUILTIN && slot < ADDED;
}
