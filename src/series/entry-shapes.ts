import { ENTRY as ImportedEntry } from "../otlp/tape.ts";
import type { Gather } from "./gather.ts";
import { KEY, type Program } from "./program.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const ENTRY = ImportedEntry;
/** Shapes that are remembered, a power of two, and entries of one at most. */
export const SHAPES = 64;
export const ENTRIES_MAX = 32;
/** Once a place is taken, one miss in so many (a power of two, less one) takes it: learning each would cost more than it saves. */
const LEARN_MASK = 15;
/** After so many misses in a row, as many items are not looked up: where no shape comes again, looking costs more than it saves. */
const MISSES_MAX = 8;
const REST = 15;

/**
 * Items repeat the names of their attributes. The shape of an item is the list of its key ids, kinds and which values are empty, the parts
 * that it has, and the masks that it starts from: all that its masks depend on, which are kept by shape.
 */
export class EntryShapes {
  /** Number of the shape, -1 where it is not remembered. */
  shape = -1;
  /** By shape: how many were learnt when it was. What is kept of a shape is of this one while the number is the same. */
  readonly learnt = new Int32Array(SHAPES);
  readonly #gather: Gather;
  readonly #program: Program;
  /** By shape: ints of its entries on the tape (-1: none yet), its parts, the version of the template. */
  readonly #sizes = new Int32Array(SHAPES).fill(-1);
  readonly #parts = new Int32Array(SHAPES);
  readonly #versions = new Int32Array(SHAPES);
  /** By shape and entry: `wordOf`, and the place of its slot. */
  readonly #words = new Int32Array(SHAPES * ENTRIES_MAX);
  readonly #slots = new Int32Array(SHAPES * ENTRIES_MAX);
  /** By shape: what `Gather` has found. Masks are copied by two. */
  readonly #masks: BigInt64Array;
  readonly #undeclared = new Int32Array(SHAPES);
  readonly #isOdd = new Uint8Array(SHAPES);
  /** Where the present item's shape would be kept; -1: nowhere. */
  #free = -1;
  #learnt = 0;
  #misses = 0;
  #inRow = 0;
  #rest = 0;

  constructor(gather: Gather, program: Program) {
    this.#gather = gather;
    this.#program = program;
    this.#masks = new BigInt64Array(SHAPES * gather.maskWords.length);
  }

  /** Looks for the shape; where it is known, fills the slots of the entries, the masks, `undeclared` and `isOdd`. */
  find(parts: number, version: number): boolean {
    const { tape, entries, entriesEnd, slots } = this.#gather;
    const size = entriesEnd - entries;
    this.shape = -1;
    this.#free = -1;
    if (size > ENTRIES_MAX * ENTRY) return false;
    if (this.#rest > 0) {
      this.#rest--;
      return false;
    }
    let hash = Math.imul(parts ^ (version << 24), 0x9e3779b1) ^ size;
    for (let e = entries; e < entriesEnd; e += ENTRY)
      hash = Math.imul(hash ^ wordOf(tape, e), 0x9e3779b1);
    const shape = (hash >>> 16) & (SHAPES - 1);
    if (
      this.#sizes[shape] !== size ||
      this.#parts[shape] !== parts ||
      this.#versions[shape] !== version
    )
      return this.#miss(shape);
    const words = this.#words;
    const places = this.#slots;
    let i = shape * ENTRIES_MAX;
    for (let e = entries; e < entriesEnd; e += ENTRY, i++) {
      // What a slot has is of no account unless a mask names it, so these may be filled before the shape is sure.
      const slot = places[i]!;
      slots[slot] = tape[e]! & 15;
      slots[slot + 1] = tape[e + 2]!;
      slots[slot + 2] = tape[e + 3]!;
      if (wordOf(tape, e) !== words[i]) return this.#miss(shape);
    }
    this.#inRow = 0;
    this.shape = shape;
    this.#recall(shape);
    return true;
  }

  #recall(shape: number): void {
    const gather = this.#gather;
    const masks = this.#masks;
    const words = gather.maskWords;
    const first = shape * words.length;
    for (let i = 0; i < words.length; i++) words[i] = masks[first + i]!;
    gather.undeclared = this.#undeclared[shape]!;
    if (this.#isOdd[shape] === 1) gather.isOdd = true;
  }

  #miss(shape: number): boolean {
    if (this.#sizes[shape]! < 0 || (++this.#misses & LEARN_MASK) === 0) this.#free = shape;
    if (++this.#inRow >= MISSES_MAX) this.#rest = REST;
    return false;
  }

  /** After a miss: keeps what the gather has found in the entries. */
  learn(parts: number, version: number, isOdd: boolean): void {
    const shape = this.#free;
    if (shape < 0) return;
    const { tape, entries, entriesEnd, plan, undeclared, maskWords } = this.#gather;
    const { keys, noSlot } = this.#program;
    this.#sizes[shape] = -1;
    let i = shape * ENTRIES_MAX;
    for (let e = entries; e < entriesEnd; e += ENTRY, i++) {
      const key = tape[e]! >>> 4;
      // The name of a key without an id may be another next time; and an item with these is no item among many.
      if (key === 0 || key === plan.lineTags || key === plan.lineUint) return;
      this.#words[i] = wordOf(tape, e);
      this.#slots[i] = keys[key * KEY + 1]! + noSlot;
    }
    this.#sizes[shape] = entriesEnd - entries;
    this.#parts[shape] = parts;
    this.#versions[shape] = version;
    this.#masks.set(maskWords, shape * maskWords.length);
    this.#undeclared[shape] = undeclared;
    this.#isOdd[shape] = isOdd ? 1 : 0;
    this.learnt[shape] = ++this.#learnt;
    this.shape = shape;
  }
}

/** Key id and kind of an entry, and in bit 0 whether its value is empty. */
function wordOf(tape: Int32Array, e: number): number {
  return (tape[e]! << 1) | ((tape[e + 3]! - tape[e + 2]! - 1) >>> 31);
}
