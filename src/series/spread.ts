/**
 * `identity: spread` (mapping §1.7): the time of a row moves by a hash of its content when the time is coarse, and by +1 ns until free where
 * measurement, tags and time are taken by an earlier row of the same frame. A pure function of the frame's content and order.
 *
 * While times rise from row to row nothing can collide and nothing is remembered but the last. The first row that does not rise asks for
 * a set of all rows so far (`wants`); the writer then walks the frame again from its start.
 */
const BILLION = 1_000_000_000;
const MILLION = 1_000_000;
const TWO_32 = 4_294_967_296;
const FNV_START = 0x811c9dc5;
const FNV_OTHER = 0x9e3779b9;
const FNV_PRIME = 0x01000193;
const FIRST_ROWS = 256;

/** FNV-1a, 32 bits. */
export function hashBytes(memory: DataView, from: number, end: number, start = FNV_START): number {
  let hash = start;
  for (let p = from; p < end; p++) hash = Math.imul(hash ^ memory.getUint8(p), FNV_PRIME);
  return hash >>> 0;
}

/** The largest of 1 s, 1 ms and 1 µs (in ns) that divides a time given in halves, or 1. */
export function resolutionOf(low: number, high: number): number {
  if ((low & 7) !== 0) return 1; // 1000 = 8 × 125
  const unsigned = low >>> 0;
  if (((high % 1000) * 296 + (unsigned % 1000)) % 1000 !== 0) return 1; // 2^32 mod 1000 = 296
  if (((high % MILLION) * 967_296 + (unsigned % MILLION)) % MILLION !== 0) return 1000;
  // 2^32 mod 10^9 = 294,967,296: too large a product for a double, so in two steps of 2^16.
  const upper = ((((high % BILLION) * 65_536) % BILLION) * 65_536) % BILLION;
  return (upper + unsigned) % BILLION === 0 ? BILLION : MILLION;
}

/** Rows of one table in one frame. */
export class SpreadTable {
  /** The time of the row: given, then moved. */
  low = 0;
  high = 0;
  /** The row was not placed: a set is needed from the frame's start. */
  wants = false;
  #keepsSet = false;
  #hasLast = false;
  #lastLow = 0;
  #lastHigh = 0;
  #rows = 0;
  #slots = new Int32Array(0);
  #a = new Int32Array(0);
  #b = new Int32Array(0);
  #low = new Int32Array(0);
  #high = new Int32Array(0);
  /** Nanoseconds to the next row of the run of taken times: everything between is taken. */
  #skip = new Int32Array(0);
  #undoRows = 0;
  #undoSlot = -1;
  #undoHasLast = false;
  #undoLow = 0;
  #undoHigh = 0;
  /** Only where rows sit in memory depends on it, never a time. */
  readonly #seed = Math.floor(Math.random() * TWO_32) | 1;

  /** A new frame. */
  open(): void {
    this.#keepsSet = false;
    this.restart();
    if (this.#rowsCapacity > 1 << 16) this.#allocate(0);
  }

  get #rowsCapacity(): number {
    return this.#a.length;
  }

  /** The same frame from its start. */
  restart(): void {
    if (this.wants) this.#keepsSet = true;
    this.wants = false;
    this.#hasLast = false;
    if (this.#rows > 0) this.#slots.fill(0);
    this.#rows = 0;
    if (this.#keepsSet && this.#rowsCapacity === 0) this.#allocate(FIRST_ROWS);
  }

  /** Before each item: what `undo` goes back to. */
  mark(): void {
    this.#undoRows = this.#rows;
    this.#undoSlot = -1;
    this.#undoHasLast = this.#hasLast;
    this.#undoLow = this.#lastLow;
    this.#undoHigh = this.#lastHigh;
  }

  /** Forgets the row placed since `mark`. */
  undo(): void {
    if (this.#undoSlot >= 0) this.#slots[this.#undoSlot] = 0;
    this.#rows = this.#undoRows;
    this.#hasLast = this.#undoHasLast;
    this.#lastLow = this.#undoLow;
    this.#lastHigh = this.#undoHigh;
  }

  /** Moves `low` and `high` for the row in `memory[from, end)` whose measurement and tags end at `tagsEnd`; false: see `wants`. */
  place(memory: DataView, from: number, tagsEnd: number, end: number): boolean {
    const resolution = resolutionOf(this.low, this.high);
    if (resolution > 1) this.#add(hashBytes(memory, from, end) % resolution);
    const rises = !this.#hasLast || isLess(this.#lastLow, this.#lastHigh, this.low, this.high);
    if (!this.#keepsSet) {
      if (!rises) {
        this.wants = true;
        return false;
      }
    } else
      this.#insert(
        hashBytes(memory, from, tagsEnd) | 0,
        hashBytes(memory, from, tagsEnd, FNV_OTHER) | 0,
      );
    if (!this.#hasLast || isLess(this.#lastLow, this.#lastHigh, this.low, this.high)) {
      this.#hasLast = true;
      this.#lastLow = this.low;
      this.#lastHigh = this.high;
    }
    return true;
  }

  #add(nanos: number): void {
    const sum = (this.low >>> 0) + nanos;
    if (sum >= TWO_32) this.high = (this.high + 1) | 0;
    this.low = sum | 0;
  }

  /** Takes the first free time of the series (a, b), at or behind `low` and `high`. */
  #insert(a: number, b: number): void {
    if ((this.#rows + 1) * 2 > this.#slots.length) this.#grow();
    const startLow = this.low;
    const startHigh = this.high;
    let moved = 0;
    let row = this.#find(a, b);
    while (row > 0) {
      const skip = this.#skip[row - 1]!;
      moved += skip;
      this.#add(skip);
      row = this.#find(a, b);
    }
    const freeLow = this.low;
    const freeHigh = this.high;
    const slot = this.#slot;
    // Shorten the way for later rows: every row passed now points at the new one, which is never behind a free time.
    this.low = startLow;
    this.high = startHigh;
    for (let left = moved; left > 0; ) {
      const passed = this.#find(a, b) - 1;
      const skip = this.#skip[passed]!;
      this.#skip[passed] = left;
      left -= skip;
      this.#add(skip);
    }
    this.low = freeLow;
    this.high = freeHigh;
    const rows = this.#rows++;
    this.#a[rows] = a;
    this.#b[rows] = b;
    this.#low[rows] = freeLow;
    this.#high[rows] = freeHigh;
    this.#skip[rows] = 1;
    this.#slots[slot] = rows + 1;
    this.#undoSlot = slot;
  }

  #slot = 0;
  /** Row + 1 of (a, b, low, high), or 0 and the free slot in `#slot`. */
  #find(a: number, b: number): number {
    const mask = this.#slots.length - 1;
    let slot = this.#hash(a, b, this.low, this.high) & mask;
    for (;;) {
      const row = this.#slots[slot]!;
      if (row === 0) {
        this.#slot = slot;
        return 0;
      }
      const i = row - 1;
      if (
        this.#a[i] === a &&
        this.#b[i] === b &&
        this.#low[i] === this.low &&
        this.#high[i] === this.high
      )
        return row;
      slot = (slot + 1) & mask;
    }
  }

  #hash(a: number, b: number, low: number, high: number): number {
    let hash = Math.imul(a ^ this.#seed, 0x85ebca6b) ^ b;
    hash = Math.imul(hash ^ (hash >>> 15) ^ low, 0xc2b2ae35);
    hash = Math.imul(hash ^ (hash >>> 13) ^ high, 0x9e3779b1);
    return hash ^ (hash >>> 16);
  }

  #allocate(rows: number): void {
    const resized = (from: Int32Array) => {
      const to = new Int32Array(rows);
      to.set(from.subarray(0, Math.min(this.#rows, rows)));
      return to;
    };
    this.#a = resized(this.#a);
    this.#b = resized(this.#b);
    this.#low = resized(this.#low);
    this.#high = resized(this.#high);
    this.#skip = resized(this.#skip);
    this.#slots = new Int32Array(rows * 2);
  }

  #grow(): void {
    this.#allocate(Math.max(FIRST_ROWS, this.#rowsCapacity * 2));
    const low = this.low;
    const high = this.high;
    for (let i = 0; i < this.#rows; i++) {
      this.low = this.#low[i]!;
      this.high = this.#high[i]!;
      this.#find(this.#a[i]!, this.#b[i]!);
      this.#slots[this.#slot] = i + 1;
    }
    this.low = low;
    this.high = high;
  }
}

/** Signed 64-bit comparison of halves. */
function isLess(aLow: number, aHigh: number, bLow: number, bHigh: number): boolean {
  return aHigh === bHigh ? aLow >>> 0 < bLow >>> 0 : (aHigh | 0) < (bHigh | 0);
}
