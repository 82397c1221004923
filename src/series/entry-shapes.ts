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
/** Ints per shape: those of the entries on the tape (-1: none yet), the parts, the version of the template, `undeclared`, `isOdd`, fills. */
const Of = { size: 0, parts: 1, version: 2, undeclared: 3, isOdd: 4, fills: 5 } as const;
/** Behind them: `wordOf` each entry, then place of the entry and of its slot for each one that has a slot. */
const WORDS = 6;
const FILLS = WORDS + ENTRIES_MAX;
const STRIDE = FILLS + 2 * ENTRIES_MAX;

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
  /** STRIDE ints of each shape. */
  readonly #known = new Int32Array(SHAPES * STRIDE);
  /** By shape: what `Gather` has found. Masks are copied by two. */
  readonly #masks: BigInt64Array;
  /** The shape of the last item that had a known one: the next is likely to have it too. */
  #last = 0;
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
    for (let shape = 0; shape < SHAPES; shape++) this.#known[shape * STRIDE + Of.size] = -1;
  }

  /** Looks for the shape; where it is known, fills the slots of the entries, the masks, `undeclared` and `isOdd`. */
  find(parts: number, version: number): boolean {
    const { entries, entriesEnd } = this.#gather;
    this.shape = -1;
    this.#free = -1;
    if (entriesEnd - entries > ENTRIES_MAX * ENTRY) return false;
    if (this.#rest > 0) {
      this.#rest--;
      return false;
    }
    let shape = this.#last;
    if (!this.#is(shape, parts, version)) {
      shape = this.#placeOf(parts, version);
      if (!this.#is(shape, parts, version)) return this.#miss(shape);
      this.#last = shape;
    }
    this.#inRow = 0;
    this.shape = shape;
    this.#fill(shape);
    this.#recall(shape);
    return true;
  }

  /** Where the shape of the item is kept, if it is. */
  #placeOf(parts: number, version: number): number {
    const { tape, entries, entriesEnd } = this.#gather;
    let hash = Math.imul(parts ^ (version << 24), 0x9e3779b1) ^ (entriesEnd - entries);
    for (let e = entries; e < entriesEnd; e += ENTRY)
      hash = Math.imul(hash ^ wordOf(tape, e), 0x9e3779b1);
    return (hash >>> 16) & (SHAPES - 1);
  }

  /** Whether the item has this shape. The loop has no way out before its end: so V8 looks at the arrays once, and not in each turn. */
  #is(shape: number, parts: number, version: number): boolean {
    const { tape, entries, entriesEnd } = this.#gather;
    const known = this.#known;
    const at = shape * STRIDE;
    let different =
      (known[at + Of.size]! ^ (entriesEnd - entries)) | (known[at + Of.parts]! ^ parts);
    different |= known[at + Of.version]! ^ version;
    if (different !== 0) return false;
    for (let e = entries, w = at + WORDS; e < entriesEnd; e += ENTRY, w++)
      different |= wordOf(tape, e) ^ known[w]!;
    return different === 0;
  }

  /** Fills the slots of the entries. */
  #fill(shape: number): void {
    const { tape, entries, slots } = this.#gather;
    const known = this.#known;
    const first = shape * STRIDE + FILLS;
    const stop = first + known[shape * STRIDE + Of.fills]!;
    for (let f = first; f < stop; f += 2) {
      const e = entries + known[f]!;
      const slot = known[f + 1]!;
      slots[slot] = tape[e]! & 15;
      slots[slot + 1] = tape[e + 2]!;
      slots[slot + 2] = tape[e + 3]!;
    }
  }

  #recall(shape: number): void {
    const gather = this.#gather;
    const masks = this.#masks;
    const words = gather.maskWords;
    const first = shape * words.length;
    for (let i = 0; i < words.length; i++) words[i] = masks[first + i]!;
    const at = shape * STRIDE;
    gather.undeclared = this.#known[at + Of.undeclared]!;
    if (this.#known[at + Of.isOdd] === 1) gather.isOdd = true;
  }

  #miss(shape: number): boolean {
    const isFree = this.#known[shape * STRIDE + Of.size]! < 0;
    if (isFree || (++this.#misses & LEARN_MASK) === 0) this.#free = shape;
    if (++this.#inRow >= MISSES_MAX) this.#rest = REST;
    return false;
  }

  /** After a miss: keeps what the gather has found in the entries. */
  learn(parts: number, version: number, isOdd: boolean): void {
    const shape = this.#free;
    if (shape < 0) return;
    const { tape, entries, entriesEnd, plan, undeclared, maskWords } = this.#gather;
    const { keys, noSlot } = this.#program;
    const known = this.#known;
    const at = shape * STRIDE;
    known[at + Of.size] = -1;
    let word = at + WORDS;
    let fill = at + FILLS;
    for (let e = entries; e < entriesEnd; e += ENTRY) {
      const key = tape[e]! >>> 4;
      // The name of a key without an id may be another next time; and an item with these is no item among many.
      if (key === 0 || key === plan.lineTags || key === plan.lineUint) return;
      known[word++] = wordOf(tape, e);
      const slot = keys[key * KEY + 1]!;
      if (slot === 0) continue;
      known[fill++] = e - entries;
      known[fill++] = slot + noSlot;
    }
    known[at + Of.size] = entriesEnd - entries;
    known[at + Of.parts] = parts;
    known[at + Of.version] = version;
    known[at + Of.undeclared] = undeclared;
    known[at + Of.isOdd] = isOdd ? 1 : 0;
    known[at + Of.fills] = fill - at - FILLS;
    this.#masks.set(maskWords, shape * maskWords.length);
    this.learnt[shape] = ++this.#learnt;
    this.shape = shape;
  }
}

/** Key id and kind of an entry, and in bit 0 whether its value is empty. */
function wordOf(tape: Int32Array, e: number): number {
  return (tape[e]! << 1) | ((tape[e + 3]! - tape[e + 2]! - 1) >>> 31);
}
