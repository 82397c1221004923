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
  /** Of few: the first bytes of the key as a number in the order of bytes, where it is, its place in order, its entry. */
  readonly #prefix = new Int32Array(FEW);
  readonly #from = new Int32Array(FEW);
  readonly #end = new Int32Array(FEW);
  readonly #rank = new Int32Array(FEW);
  readonly #entries = new Int32Array(FEW);
  readonly #compare = (a: number, b: number) => this.compare(a, b);

  reset(bytes: Uint8Array, view: DataView, tape: Int32Array): void {
    this.bytes = bytes;
    this.view = view;
    this.tape = tape;
    this.count = 0;
  }

  /** The list, emptied, with room for `count` entries: the caller fills it and sets `count`. */
  begin(count: number): Int32Array {
    if (count > this.list.length) this.list = new Int32Array(2 * count);
    this.count = 0;
    return this.list;
  }

  /** Sorts the list by key bytes, and keeps of equal keys the last. */
  sort(): void {
    if (this.count < 2) return;
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
    const froms = this.#from;
    const ends = this.#end;
    let repeats = false;
    for (let i = 0; i < count; i++) {
      const entry = list[i]!;
      const from = this.keyFrom(entry);
      const end = this.keyEnd(entry);
      const own = this.#prefixOf(from, end);
      let smaller = 0;
      for (let j = 0; j < i; j++) {
        let difference = prefix[j]! - own;
        if (difference === 0) {
          difference = this.#compareTexts(froms[j]!, ends[j]!, from, end);
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
      froms[i] = from;
      ends[i] = end;
      rank[i] = smaller;
      entries[i] = entry;
    }
    for (let i = 0; i < count; i++) list[rank[i]!] = entries[i]!;
    return repeats;
  }

  /** 31 bits, so that differences fit an int32. Of a key shorter than four bytes, what stands behind it is left out. */
  #prefixOf(from: number, end: number): number {
    const missing = 4 - (end - from);
    const word = this.view.getUint32(from);
    if (missing <= 0) return word >>> 1;
    return missing === 4 ? 0 : ((word >>> (8 * missing)) << (8 * missing)) >>> 1;
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
          if (this.#isSame(from + i * ENTRY, from + j * ENTRY)) dead[i] = 1;
      return;
    }
    dead.fill(1, 0, n);
    const list = this.begin(n);
    for (let i = 0; i < n; i++) list[i] = from + i * ENTRY;
    this.count = n;
    this.sort();
    for (let i = 0; i < this.count; i++) dead[(this.list[i]! - from) / ENTRY] = 0;
  }

  /** Whether two entries have one key. Two ids decide alone: a name has one. */
  #isSame(a: number, b: number): boolean {
    const key = this.tape[a]! >>> 4;
    const other = this.tape[b]! >>> 4;
    return key !== 0 && other !== 0 ? key === other : this.compare(a, b) === 0;
  }

  /** Byte order of two entries' keys. */
  compare(a: number, b: number): number {
    const tape = this.tape;
    const key = tape[a]! >>> 4;
    if (key !== 0 && key === tape[b]! >>> 4) return 0;
    return this.#compareTexts(this.keyFrom(a), this.keyEnd(a), this.keyFrom(b), this.keyEnd(b));
  }

  /** Reads up to 3 bytes behind a text, see SLACK. */
  #compareTexts(p: number, pEnd: number, q: number, qEnd: number): number {
    const view = this.view;
    const shorter = Math.min(pEnd - p, qEnd - q);
    for (let i = 0; i < shorter; i += 4) {
      const unused = i + 4 > shorter ? 8 * (i + 4 - shorter) : 0;
      const x = view.getUint32(p + i) >>> unused;
      const y = view.getUint32(q + i) >>> unused;
      if (x !== y) return (x >>> 1) - (y >>> 1) || (x & 1) - (y & 1);
    }
    return pEnd - p - (qEnd - q);
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
