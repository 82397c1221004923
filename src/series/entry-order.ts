import { ENTRY } from "../otlp/tape.ts";
import type { Gather } from "./gather.ts";

/** Shapes that are remembered, a power of two, and entries of one at most. */
export const SHAPES = 64;
export const ENTRIES_MAX = 32;

/**
 * The attribute entries of the present item in the order of their keys' bytes, of equal keys the last. Items repeat the names of their
 * attributes, and names that have an id sort alike each time: the order of such a shape is remembered.
 */
export class EntryOrder {
  /** The first `count` are tape indices. */
  list = new Int32Array(2 * ENTRIES_MAX);
  count = 0;
  /** The remembered shape of the item, -1 where it is not remembered, and how many shapes were learnt when this one was. */
  shape = -1;
  readonly learnt = new Int32Array(SHAPES);
  #learnt = 0;
  readonly #gather: Gather;
  /** By shape: number of entries (-1: none kept), number in order; then the heads' key ids; then places in order. */
  readonly #sizes = new Int32Array(SHAPES).fill(-1);
  readonly #counts = new Int32Array(SHAPES);
  readonly #keys = new Int32Array(SHAPES * ENTRIES_MAX);
  readonly #places = new Int32Array(SHAPES * ENTRIES_MAX);

  constructor(gather: Gather) {
    this.#gather = gather;
  }

  sort(): void {
    const { tape, entries, entriesEnd } = this.#gather;
    const size = (entriesEnd - entries) / ENTRY;
    let hash = size;
    let isKnown = size <= ENTRIES_MAX;
    for (let e = entries; e < entriesEnd; e += ENTRY) {
      const key = tape[e]! >>> 4;
      if (key === 0) isKnown = false;
      hash = Math.imul(hash ^ key, 0x9e3779b1);
    }
    const shape = (hash >>> 16) & (SHAPES - 1);
    this.shape = isKnown ? shape : -1;
    if (isKnown && this.#find(shape, size)) return;
    this.#sort(size);
    if (isKnown) this.#keep(shape, size);
  }

  #find(shape: number, size: number): boolean {
    if (this.#sizes[shape] !== size) return false;
    const { tape, entries } = this.#gather;
    const first = shape * ENTRIES_MAX;
    const keys = this.#keys;
    for (let i = 0; i < size; i++)
      if (tape[entries + i * ENTRY]! >>> 4 !== keys[first + i]) return false;
    const { list } = this;
    const places = this.#places;
    const count = this.#counts[shape]!;
    for (let i = 0; i < count; i++) list[i] = entries + places[first + i]!;
    this.count = count;
    return true;
  }

  #sort(size: number): void {
    const { order, entries } = this.#gather;
    const list = order.begin(size);
    for (let i = 0; i < size; i++) list[i] = entries + i * ENTRY;
    order.count = size;
    order.sort();
    if (order.count > this.list.length) this.list = new Int32Array(2 * order.count);
    for (let i = 0; i < order.count; i++) this.list[i] = list[i]!;
    this.count = order.count;
  }

  #keep(shape: number, size: number): void {
    const { tape, entries } = this.#gather;
    const first = shape * ENTRIES_MAX;
    this.learnt[shape] = ++this.#learnt;
    this.#sizes[shape] = size;
    this.#counts[shape] = this.count;
    for (let i = 0; i < size; i++) this.#keys[first + i] = tape[entries + i * ENTRY]! >>> 4;
    for (let i = 0; i < this.count; i++) this.#places[first + i] = this.list[i]! - entries;
  }
}
