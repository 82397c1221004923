const FIRST_POINTS = 256;

/** Points that share rows: each row is that of its first point, which leads the others to a list. Numbers are in the order of points. */
export class SharedRows {
  count = 0;
  /** Tape index of the point. */
  item = new Int32Array(FIRST_POINTS);
  /** The point whose row it is. */
  leader = new Int32Array(FIRST_POINTS);
  /** The next point of the row, or -1; and of leaders, the last. */
  next = new Int32Array(FIRST_POINTS);
  last = new Int32Array(FIRST_POINTS);
  #hash = new Int32Array(FIRST_POINTS);
  /** Number of a leader + 1; 0 is free. */
  #slots = new Int32Array(2 * FIRST_POINTS);

  clear(): void {
    if (this.count > 0) this.#slots.fill(0);
    this.count = 0;
  }

  /** Adds a point that leads a row of its own. */
  add(item: number, hash: number): number {
    if (this.count === this.item.length) this.#grow();
    const n = this.count++;
    this.item[n] = item;
    this.leader[n] = n;
    this.next[n] = -1;
    this.last[n] = n;
    this.#hash[n] = hash;
    this.#put(n);
    return n;
  }

  /** Adds a point to the row of another. */
  join(item: number, leader: number): void {
    if (this.count === this.item.length) this.#grow();
    const n = this.count++;
    this.item[n] = item;
    this.leader[n] = leader;
    this.next[n] = -1;
    this.next[this.last[leader]!] = n;
    this.last[leader] = n;
  }

  /** The first leader of this hash, or the one behind `before`; -1 when there are no more. */
  leaderOf(hash: number, before = -1): number {
    const mask = this.#slots.length - 1;
    let isBehind = before < 0;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const n = this.#slots[slot]! - 1;
      if (n < 0) return -1;
      if (isBehind && this.#hash[n] === hash) return n;
      if (n === before) isBehind = true;
    }
  }

  /** The number of the point at a tape index, or -1. */
  find(item: number): number {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.item[middle]! <= item) low = middle;
      else high = middle - 1;
    }
    return low === high && this.item[low] === item ? low : -1;
  }

  #put(n: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#hash[n]! & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = n + 1;
  }

  #grow(): void {
    const larger = (from: Int32Array<ArrayBuffer>) => {
      const to = new Int32Array(2 * from.length);
      to.set(from);
      return to;
    };
    this.item = larger(this.item);
    this.leader = larger(this.leader);
    this.next = larger(this.next);
    this.last = larger(this.last);
    this.#hash = larger(this.#hash);
    this.#slots = new Int32Array(2 * this.item.length);
    for (let n = 0; n < this.count; n++) if (this.leader[n] === n) this.#put(n);
  }
}
