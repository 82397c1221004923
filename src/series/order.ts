import { ENTRY } from "../otlp/tape.ts";

/** Above this many, pairwise work would cost too much. */
const FEW = 24;

/** Attribute entries by the bytes of their keys, without building the keys. */
export class KeyOrder {
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(this.bytes.buffer);
  tape: Int32Array = new Int32Array(0);
  /** The last `sort`: tape indices of entries. */
  list = new Int32Array(64);
  count = 0;
  /** Of few: the first bytes of the key as a number in the order of bytes, the place in order, the entry. */
  readonly #prefix = new Int32Array(FEW);
  readonly #rank = new Int32Array(FEW);
  readonly #entries = new Int32Array(FEW);
  readonly #compare = (a: number, b: number) => this.compare(a, b);

  reset(bytes: Uint8Array, view: DataView, tape: Int32Array): void {
    this.bytes = bytes;
    this.view = view;
    this.tape = tape;
    this.count = 0;
  }

  add(entry: number): void {
    if (this.count === this.list.length) {
      const larger = new Int32Array(this.count * 2);
      larger.set(this.list);
      this.list = larger;
    }
    this.list[this.count++] = entry;
  }

  /** Sorts what was added, by key bytes, and keeps of equal keys the last that was added. */
  sort(): void {
    if (this.count > FEW) {
      this.list.subarray(0, this.count).sort(this.#compare);
      this.#dropRepeated();
    } else if (this.#sortFew()) this.#dropRepeated();
  }

  /** Counts for each key the smaller ones, without a branch that depends on the keys; answers whether keys repeat. */
  #sortFew(): boolean {
    const { list, count } = this;
    const prefix = this.#prefix;
    const rank = this.#rank;
    const entries = this.#entries;
    let repeats = false;
    for (let i = 0; i < count; i++) {
      const entry = list[i]!;
      const own = this.#prefixOf(entry);
      let smaller = 0;
      for (let j = 0; j < i; j++) {
        let difference = prefix[j]! - own;
        if (difference === 0) {
          difference = this.compare(entries[j]!, entry);
          if (difference === 0) {
            repeats = true;
            difference = -1;
          }
        }
        const isSmaller = difference >>> 31;
        smaller += isSmaller;
        rank[j]! += 1 - isSmaller;
      }
      prefix[i] = own;
      rank[i] = smaller;
      entries[i] = entry;
    }
    for (let i = 0; i < count; i++) list[rank[i]!] = entries[i]!;
    return repeats;
  }

  /** 31 bits, so that differences fit an int32. Of a key shorter than four bytes, what stands behind it is left out. */
  #prefixOf(entry: number): number {
    const from = this.keyFrom(entry);
    const missing = 4 - (this.keyEnd(entry) - from);
    const word = this.view.getUint32(from) >>> 1;
    if (missing <= 0) return word;
    return missing === 4 ? 0 : (word >>> (8 * missing)) << (8 * missing);
  }

  #dropRepeated(): void {
    const list = this.list;
    let kept = 0;
    for (let i = 0; i < this.count; i++) {
      if (i + 1 < this.count && this.compare(list[i]!, list[i + 1]!) === 0) continue;
      list[kept++] = list[i]!;
    }
    this.count = kept;
  }

  /** Marks in `dead` (by position from `from`) the entries whose key stands again later. */
  markRepeated(from: number, end: number, dead: Uint8Array): void {
    const n = (end - from) / ENTRY;
    dead.fill(0, 0, n);
    if (n <= FEW) {
      for (let i = 0; i < n; i++)
        for (let j = i + 1; j < n && dead[i] === 0; j++)
          if (this.compare(from + i * ENTRY, from + j * ENTRY) === 0) dead[i] = 1;
      return;
    }
    dead.fill(1, 0, n);
    this.count = 0;
    for (let e = from; e < end; e += ENTRY) this.add(e);
    this.sort();
    for (let i = 0; i < this.count; i++) dead[(this.list[i]! - from) / ENTRY] = 0;
  }

  /** Byte order of two entries' keys. */
  compare(a: number, b: number): number {
    const tape = this.tape;
    const key = tape[a]! >>> 4;
    if (key !== 0 && key === tape[b]! >>> 4) return 0;
    const { bytes, view } = this;
    const p = this.keyFrom(a);
    const q = this.keyFrom(b);
    const pLength = this.keyEnd(a) - p;
    const qLength = this.keyEnd(b) - q;
    const shorter = Math.min(pLength, qLength);
    let i = 0;
    for (; i + 4 <= shorter; i += 4) {
      const x = view.getUint32(p + i);
      const y = view.getUint32(q + i);
      if (x !== y) return x < y ? -1 : 1;
    }
    for (; i < shorter; i++) {
      const difference = bytes[p + i]! - bytes[q + i]!;
      if (difference !== 0) return difference;
    }
    return pLength - qLength;
  }

  /** Start of the key's text: behind the tag and the length of KeyValue.key. */
  keyFrom(entry: number): number {
    let p = this.tape[entry + 1]! + 1;
    while (this.bytes[p]! > 127) p++;
    return p + 1;
  }

  keyEnd(entry: number): number {
    let p = this.tape[entry + 1]! + 1;
    let length = 0;
    let shift = 0;
    for (; this.bytes[p]! > 127; p++, shift += 7) length |= (this.bytes[p]! & 127) << shift;
    return p + 1 + (length | (this.bytes[p]! << shift));
  }
}
