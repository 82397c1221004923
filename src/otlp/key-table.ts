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
const POSITIONS = 64;

/**
 * Names ↔ ids over wire bytes. The i-th attribute of a record most often has the key of the i-th attribute of the record before, so
 * `find` first verifies that guess word by word, and hashes only when it fails. No string is built.
 */
export class KeyTable implements Keys {
  readonly #guess = new Int32Array(POSITIONS);
  readonly #slots = new Int32Array(SLOTS);
  readonly #at = new Int32Array(KEY_CAPACITY + 1);
  readonly #length = new Int32Array(KEY_CAPACITY + 1);
  readonly #names: string[] = [""];
  readonly #seed: number;
  #pool = new Uint8Array(1 << 16);
  #view = new DataView(this.#pool.buffer);
  #end = 0;
  #reach = REACH;

  /** Any seed gives the same ids in the same order; a random one keeps senders from choosing colliding names. */
  constructor(seed: number = Math.floor(Math.random() * 0x7fffffff)) {
    this.#seed = seed | 1;
  }

  /** How many names are known. */
  get size(): number {
    return this.#names.length - 1;
  }

  id(name: string): KeyId {
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

  /** Id of the key at `bytes[at, at + length)`, the `position`-th of its message; 0 when the table does not take it. */
  find(bytes: Uint8Array, view: DataView, at: number, length: number, position: number): number {
    const guess = this.#guess[position & (POSITIONS - 1)]!;
    if (length >= 4 && this.#length[guess] === length && this.#isEqual(guess, view, at, length))
      return guess;
    let id = this.#lookup(bytes, view, at, length, this.#reach);
    if (id === 0) {
      if (length > LEARN_LENGTH || this.#names.length > LEARN_UP_TO) return 0;
      id = this.#add(bytes, view, at, length, REACH);
    }
    this.#guess[position & (POSITIONS - 1)] = id;
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
    let slot = this.#hash(bytes, view, at, length);
    for (let step = 0; step < reach; step++) {
      const id = this.#slots[slot]!;
      if (id === 0) return 0;
      if (this.#isSame(id, bytes, view, at, length)) return id;
      slot = (slot + 1) & (SLOTS - 1);
    }
    return 0;
  }

  #hash(bytes: Uint8Array, view: DataView, at: number, length: number): number {
    let hash = this.#seed ^ length;
    if (length >= 4) {
      const last = at + length - 4;
      for (let p = at; p < last; p += 4) {
        hash = Math.imul(hash ^ view.getInt32(p, true), 0x9e3779b1);
        hash ^= hash >>> 15;
      }
      hash = Math.imul(hash ^ view.getInt32(last, true), 0x85ebca6b);
    } else for (let i = 0; i < length; i++) hash = Math.imul(hash ^ bytes[at + i]!, 0x9e3779b1);
    hash ^= hash >>> 13;
    return (Math.imul(hash, 0xc2b2ae35) >>> 16) & (SLOTS - 1);
  }

  #add(bytes: Uint8Array, view: DataView, at: number, length: number, reach: number): number {
    if (this.#names.length > KEY_CAPACITY) return 0;
    let slot = this.#hash(bytes, view, at, length);
    let step = 1;
    for (; this.#slots[slot] !== 0; step++) {
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
    this.#slots[slot] = id;
    return id;
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

/** An empty table. */
export function createKeys(): KeyTable {
  return new KeyTable();
}
