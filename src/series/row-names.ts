/** Names of one row, and where they are told apart. */
const FIRST_SLOTS = 1 << 10;
const UNDERSCORE = 95;

/** The names that a row has so far, by their bytes in the memory that the row is written to. */
export class RowNames {
  /** Names, or 0 where the row's names cannot clash and are not remembered. */
  count = 0;
  readonly #from: Int32Array;
  readonly #end: Int32Array;
  /** Index of a name + 1; 0 is free. */
  readonly #slots = new Int32Array(FIRST_SLOTS);
  #slot = 0;

  /** For rows of at most `most` names. */
  constructor(most: number) {
    if (2 * most > FIRST_SLOTS) throw new RangeError(`${most} names in a row are too many`);
    this.#from = new Int32Array(most);
    this.#end = new Int32Array(most);
  }

  clear(): void {
    if (this.count > 0) this.#slots.fill(0);
    this.count = 0;
  }

  has(memory: DataView, from: number, end: number): boolean {
    const mask = this.#slots.length - 1;
    let hash = end - from;
    for (let p = from; p < end; p++) hash = Math.imul(hash ^ memory.getUint8(p), 0x01000193);
    for (let slot = (hash ^ (hash >>> 15)) & mask; ; slot = (slot + 1) & mask) {
      const name = this.#slots[slot]!;
      if (name === 0) {
        this.#slot = slot;
        return false;
      }
      if (this.#isSame(name - 1, memory, from, end)) return true;
    }
  }

  #isSame(name: number, memory: DataView, from: number, end: number): boolean {
    const start = this.#from[name]!;
    if (this.#end[name]! - start !== end - from) return false;
    for (let i = 0; i < end - from; i++)
      if (memory.getUint8(start + i) !== memory.getUint8(from + i)) return false;
    return true;
  }

  /** Adds a name that the row does not have; `has` was called for it last. */
  add(from: number, end: number): void {
    const name = this.count++;
    this.#from[name] = from;
    this.#end[name] = end;
    this.#slots[this.#slot] = name + 1;
  }

  /** End of the name `[from, end)` once it has got underscores, at most `most`, until the row does not have it; -1: it always has. */
  free(memory: DataView, from: number, end: number, most: number): number {
    for (let stop = end; stop - end <= most; stop++) {
      if (!this.has(memory, from, stop)) return stop;
      memory.setUint8(stop, UNDERSCORE);
    }
    return -1;
  }
}
