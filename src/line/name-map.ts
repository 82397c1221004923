/** Text → small number, looked up by its bytes: for names in a line, without making a string of them. Built once. */
export class NameMap {
  readonly #bytes: Uint8Array;
  readonly #starts: Int32Array;
  readonly #values: Int32Array;
  /** Index of an entry + 1; 0 is free. */
  readonly #slots: Int32Array;

  constructor(entries: ReadonlyMap<string, number>) {
    const names = [...entries.keys()].map((name) => Buffer.from(name));
    this.#bytes = Buffer.concat(names);
    this.#starts = new Int32Array(names.length + 1);
    this.#values = Int32Array.from(entries.values());
    this.#slots = new Int32Array(1 << (34 - Math.clz32(names.length + 1)));
    for (const [i, name] of names.entries()) {
      this.#starts[i + 1] = this.#starts[i]! + name.length;
      let slot = this.#slotOf(name, 0, name.length);
      while (this.#slots[slot] !== 0) slot = (slot + 1) & (this.#slots.length - 1);
      this.#slots[slot] = i + 1;
    }
  }

  /** The number of the name `bytes[from, end)`, or -1. */
  get(bytes: Uint8Array, from: number, end: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = this.#slotOf(bytes, from, end); ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot]!;
      if (entry === 0) return -1;
      if (this.#isName(entry - 1, bytes, from, end)) return this.#values[entry - 1]!;
    }
  }

  #slotOf(bytes: Uint8Array, from: number, end: number): number {
    let hash = end - from;
    for (let p = from; p < end; p++) hash = Math.imul(hash ^ bytes[p]!, 0x01000193);
    return (hash ^ (hash >>> 15)) & (this.#slots.length - 1);
  }

  #isName(entry: number, bytes: Uint8Array, from: number, end: number): boolean {
    const start = this.#starts[entry]!;
    const length = end - from;
    if (this.#starts[entry + 1]! - start !== length) return false;
    for (let i = 0; i < length; i++) if (this.#bytes[start + i] !== bytes[from + i]) return false;
    return true;
  }
}
