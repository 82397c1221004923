import { ENTRY } from "../otlp/tape.ts";
import type { Gather } from "./gather.ts";

/** Shapes that are remembered, a power of two, and entries of one at most. */
export const SHAPES = 64;
export const ENTRIES_MAX = 32;
/** Once a place is taken, one miss in so many (a power of two, less one) takes it: learning each would cost more than it saves. */
const LEARN_MASK = 15;

/** Items repeat the names of their attributes: tells the number of the present item's shape, which is the list of its key ids. */
export class EntryShapes {
  /** The shape, -1 where it is not remembered. */
  shape = -1;
  /** By shape: how many were learnt when it was. What is kept of a shape is of this one while the number is the same. */
  readonly learnt = new Int32Array(SHAPES);
  readonly #gather: Gather;
  readonly #sizes = new Int32Array(SHAPES).fill(-1);
  readonly #keys = new Int32Array(SHAPES * ENTRIES_MAX);
  #learnt = 0;
  #misses = 0;

  constructor(gather: Gather) {
    this.#gather = gather;
  }

  find(): void {
    const { tape, entries, entriesEnd } = this.#gather;
    const size = (entriesEnd - entries) / ENTRY;
    this.shape = -1;
    if (size > ENTRIES_MAX) return;
    let hash = size;
    for (let e = entries; e < entriesEnd; e += ENTRY)
      hash = Math.imul(hash ^ (tape[e]! >>> 4), 0x9e3779b1);
    const shape = (hash >>> 16) & (SHAPES - 1);
    const known = this.#sizes[shape]!;
    const first = shape * ENTRIES_MAX;
    const keys = this.#keys;
    let i = known === size ? 0 : size;
    while (i < size && tape[entries + i * ENTRY]! >>> 4 === keys[first + i]) i++;
    if (i === size && known === size) {
      this.shape = shape;
      return;
    }
    if (known < 0 || (++this.#misses & LEARN_MASK) === 0) this.#learn(shape, size);
  }

  #learn(shape: number, size: number): void {
    const { tape, entries } = this.#gather;
    for (let i = 0; i < size; i++) {
      const key = tape[entries + i * ENTRY]! >>> 4;
      // The name of a key without an id may be another next time.
      if (key === 0) return;
      this.#keys[shape * ENTRIES_MAX + i] = key;
    }
    this.#sizes[shape] = size;
    this.learnt[shape] = ++this.#learnt;
    this.shape = shape;
  }
}
