import type { KeyId, Keys } from "./keys.ts";

/** Names a process may know. Ids are 1 … CAPACITY; 0 means "not interned". */
export const KEY_CAPACITY = 4096;
/** Names met on the wire are interned up to here; the rest is kept for names that configuration asks for. */
const LEARN_UP_TO = (KEY_CAPACITY * 3) / 4;
/** Longer names met on the wire are never interned, so that the table's memory is bounded too (bytes). */
const LEARN_LENGTH = 256;
const SLOTS = KEY_CAPACITY * 4;
/** A name from the wire that finds no free slot this near is not interned: colliding names cannot make look-ups slow. */
const REACH = 8;
/** Bytes of a name's prefix that never matches: names that cannot be predicted. */
const NEVER = 1 << 20;
/** Longest name of which `find` need not be asked (bytes); a prefix takes three more. */
export const SHORT_NAME = 37;
/**
 * A row of the table for readers, ROW bytes: the id that is expected behind this one (0: a name that is not interned), the id that
 * surprised there last time, the bytes of this name's prefix (NEVER: do not predict it), and the prefix itself: its words at 0, 8, 16
 * and 24, then its last eight bytes. A prefix is what a KeyValue has in front of its value's length: `0a length name 12`; shorter
 * ones than eight bytes have their first and last four in the first word.
 */
export const ROW_SHIFT = 6;
export const Row = { after: 0, doubt: 4, length: 8, prefix: 16, tail: 48 } as const;

/** Where a message's first attribute is predicted from, by the kind of message: rows of `after` behind those of the names. */
export const FIRST = {
  item: KEY_CAPACITY + 1,
  resource: KEY_CAPACITY + 2,
  scope: KEY_CAPACITY + 3,
};
const ROWS = KEY_CAPACITY + 4;

/**
 * Names ↔ ids over wire bytes. Attributes most often stand in the order they stood in last time, so a reader first compares with the
 * name that followed the name before (`after`), together with the bytes around it, and calls `find`, which hashes, only when they
 * differ. No string is built.
 */
export class KeyTable implements Keys {
  /** ROWS rows, by id, and by `FIRST`. */
  readonly rows = new DataView(new ArrayBuffer(ROWS << ROW_SHIFT));
  /** Open addressing by `hashName`. */
  readonly slots = new Int32Array(SLOTS);
  readonly #at = new Int32Array(KEY_CAPACITY + 1);
  readonly #length = new Int32Array(KEY_CAPACITY + 1);
  /** 1: see `mayOccur`. Other names are found through `find` alone, so that it sees the first that comes. */
  readonly #occurs = new Uint8Array(KEY_CAPACITY + 1);
  readonly #names: string[] = [""];
  readonly seed: number;
  #pool = new Uint8Array(1 << 16);
  #view = new DataView(this.#pool.buffer);
  #end = 0;
  #reach = REACH;

  /** Any seed gives the same ids in the same order; a random one keeps senders from choosing colliding names. */
  constructor(seed: number = Math.floor(Math.random() * 0x7fffffff)) {
    this.seed = seed | 1;
    this.rows.setInt32(Row.length, NEVER, true);
  }

  /** How many names are known. */
  get size(): number {
    return this.#names.length - 1;
  }

  id(name: string): KeyId {
    const id = this.seek(name);
    if (this.#occurs[id] === 0) this.#expectOf(id);
    return id;
  }

  mayOccur(id: KeyId): boolean {
    return this.#occurs[id] === 1;
  }

  seek(name: string): KeyId {
    const bytes = new TextEncoder().encode(name);
    const view = new DataView(bytes.buffer);
    const known = this.#lookup(bytes, view, 0, bytes.length, SLOTS);
    if (known > 0) return known as KeyId;
    const id = this.#add(bytes, view, 0, bytes.length, SLOTS);
    if (id > 0) return id as KeyId;
    throw new RangeError(
      `cannot name the attribute "${name.slice(0, 80)}": this process already knows ${KEY_CAPACITY} names; configure fewer, or restart`,
    );
  }

  name(id: KeyId): string {
    return this.#names[id] ?? "";
  }

  /** Memory that holds the names' bytes: valid until the next `id` or `find`. */
  get view(): DataView {
    return this.#view;
  }
  /** Where the bytes of a name start in `view`. */
  at(id: number): number {
    return this.#at[id]!;
  }
  /** Bytes of a name. */
  length(id: number): number {
    return this.#length[id]!;
  }

  /** Id of the key at `bytes[at, at + length)`, which stands behind the key `before`; 0 when the table does not take it. */
  find(bytes: Uint8Array, view: DataView, at: number, length: number, before: number): number {
    let id = this.#lookup(bytes, view, at, length, this.#reach);
    if (id === 0) {
      if (length > LEARN_LENGTH || this.#names.length > LEARN_UP_TO) return 0;
      id = this.#add(bytes, view, at, length, REACH);
    }
    if (this.#occurs[id] === 0) this.#expectOf(id);
    expect(this.rows, before << ROW_SHIFT, id);
    return id;
  }

  /** Compares whole words; the last one overlaps. `length` ≥ 4. */
  #isEqual(id: number, view: DataView, at: number, length: number): boolean {
    const own = this.#view;
    const away = this.#at[id]! - at;
    const last = at + length - 4;
    for (let p = at; p < last; p += 4)
      if (own.getInt32(p + away, true) !== view.getInt32(p, true)) return false;
    return own.getInt32(last + away, true) === view.getInt32(last, true);
  }

  #isSame(id: number, bytes: Uint8Array, view: DataView, at: number, length: number): boolean {
    if (this.#length[id] !== length) return false;
    if (length >= 4) return this.#isEqual(id, view, at, length);
    const own = this.#at[id]!;
    for (let i = 0; i < length; i++) if (this.#pool[own + i] !== bytes[at + i]) return false;
    return true;
  }

  #lookup(bytes: Uint8Array, view: DataView, at: number, length: number, reach: number): number {
    let slot = hashName(this.seed, bytes, view, at, length);
    for (let step = 0; step < reach; step++) {
      const id = this.slots[slot]!;
      if (id === 0) return 0;
      if (this.#isSame(id, bytes, view, at, length)) return id;
      slot = (slot + 1) & (SLOTS - 1);
    }
    return 0;
  }

  #add(bytes: Uint8Array, view: DataView, at: number, length: number, reach: number): number {
    if (this.#names.length > KEY_CAPACITY) return 0;
    let slot = hashName(this.seed, bytes, view, at, length);
    let step = 1;
    for (; this.slots[slot] !== 0; step++) {
      if (step >= reach) return 0;
      slot = (slot + 1) & (SLOTS - 1);
    }
    if (step > this.#reach) this.#reach = step;
    const id = this.#names.length;
    const end = this.#reserve(length);
    const key = bytes.subarray(at, at + length);
    this.#pool.set(key, end);
    this.#names.push(new TextDecoder().decode(key));
    this.#at[id] = end;
    this.#length[id] = length;
    this.rows.setInt32((id << ROW_SHIFT) + Row.length, NEVER, true);
    this.slots[slot] = id;
    return id;
  }

  /** From now on the name may occur: readers find it without asking, where it is short enough. */
  #expectOf(id: number): void {
    this.#occurs[id] = 1;
    const at = this.#at[id]!;
    const key = this.#pool.subarray(at, at + this.#length[id]!);
    // Words are compared as floating point numbers, where only those of seven zeros could be taken for others.
    if (key.length > 0 && key.length <= SHORT_NAME && !key.includes(0)) this.#predict(id, key);
  }

  #predict(id: number, name: Uint8Array): void {
    const length = name.length + 3;
    const prefix = new Uint8Array(48);
    prefix.set([0x0a, name.length, ...name, 0x12]);
    const view = new DataView(prefix.buffer);
    const row = id << ROW_SHIFT;
    this.rows.setInt32(row + Row.length, length, true);
    for (let i = 0; i < 32; i += 4)
      this.rows.setInt32(row + Row.prefix + i, view.getInt32(i, true), true);
    const tail = length < 8 ? Row.prefix + 4 : Row.tail;
    this.rows.setInt32(
      row + tail,
      view.getInt32(Math.max(length - 8, length < 8 ? length - 4 : 0), true),
      true,
    );
    if (length >= 8) this.rows.setInt32(row + tail + 4, view.getInt32(length - 4, true), true);
  }

  /** Room for a name and the overshoot of a word copy; returns where. */
  #reserve(length: number): number {
    const at = this.#end;
    this.#end = (at + length + 23) & ~7;
    if (this.#end > this.#pool.length) {
      const larger = new Uint8Array(Math.max(this.#pool.length * 2, this.#end));
      larger.set(this.#pool);
      this.#pool = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

/** Slot of a name. Words that overlap; no loop for names of usual lengths, because the loops that call this must be innermost. */
export function hashName(
  seed: number,
  bytes: Uint8Array,
  view: DataView,
  at: number,
  length: number,
): number {
  let hash = seed ^ length;
  if (length < 8) {
    if (length > 3) hash = mix(hash, view.getInt32(at, true), view.getInt32(at + length - 4, true));
    else if (length > 0)
      hash ^= bytes[at]! | (bytes[at + (length >> 1)]! << 8) | (bytes[at + length - 1]! << 16);
  } else {
    hash = mix(hash, view.getInt32(at, true), view.getInt32(at + 4, true));
    if (length > 16) hash = mix(hash, view.getInt32(at + 8, true), view.getInt32(at + 12, true));
    if (length > 24) hash = mix(hash, view.getInt32(at + 16, true), view.getInt32(at + 20, true));
    if (length > 32) hash = mixMiddle(hash, view, at + 24, at + length - 8);
    const last = at + length - 8;
    hash = mix(hash, view.getInt32(last, true), view.getInt32(last + 4, true));
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
  return (hash >>> 16) & (SLOTS - 1);
}

function mixMiddle(hash: number, view: DataView, at: number, end: number): number {
  for (let p = at; p < end; p += 8)
    hash = mix(hash, view.getInt32(p, true), view.getInt32(p + 4, true));
  return hash;
}

function mix(hash: number, low: number, high: number): number {
  const first = Math.imul(hash ^ low, 0x9e3779b1);
  return ((first << 15) | (first >>> 17)) ^ Math.imul(high, 0x85ebca6b);
}

/** `id` stands where the row at `row` expected another: the second equal surprise in a row changes the expectation. */
export function expect(rows: DataView, row: number, id: number): void {
  if (rows.getInt32(row + 4, true) === id || rows.getInt32(row, true) === 0)
    rows.setInt32(row, id, true);
  rows.setInt32(row + 4, id, true);
}

/** Whether the prefix of the row at `row`, which has `length` bytes, is at `at`. */
export function isPrefix(
  rows: DataView,
  row: number,
  view: DataView,
  at: number,
  length: number,
): boolean {
  if (length < 8)
    return (
      rows.getInt32(row + 16, true) === view.getInt32(at, true) &&
      rows.getInt32(row + 20, true) === view.getInt32(at + length - 4, true)
    );
  return (
    rows.getFloat64(row + 16, true) === view.getFloat64(at, true) &&
    rows.getFloat64(row + 48, true) === view.getFloat64(at + length - 8, true) &&
    (length <= 16 ||
      (rows.getFloat64(row + 24, true) === view.getFloat64(at + 8, true) &&
        (length <= 24 ||
          (rows.getFloat64(row + 32, true) === view.getFloat64(at + 16, true) &&
            (length <= 32 || rows.getFloat64(row + 40, true) === view.getFloat64(at + 24, true))))))
  );
}

/** An empty table. */
export function createKeys(): KeyTable {
  return new KeyTable();
}
