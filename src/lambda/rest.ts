/** Memory beyond that after the last collection which is worth one, of some 10 ms. */
const WORTH_BYTES = 5 << 20;

/** What is known of the heap and of the bytes that it holds outside, and how it is collected; tests have their own. */
export interface Heap {
  usedBytes(): number;
  collect(): void;
}

/**
 * Collects garbage where nobody waits. Left alone, V8 lets the heap of an extension become three times as large before it begins, and
 * needs still more while it moves what lives: a quarter of all the memory that the extension has.
 */
export class Rest {
  readonly #heap: Heap;
  #settledBytes: number;

  constructor(heap: Heap = ownHeap()) {
    this.#heap = heap;
    this.#settledBytes = heap.usedBytes();
  }

  /** Work is done, and no other has begun. */
  take(): void {
    const heap = this.#heap;
    if (heap.usedBytes() - this.#settledBytes < WORTH_BYTES) return;
    heap.collect();
    this.#settledBytes = heap.usedBytes();
  }
}

/** Without --expose-gc (the layer's wrapper sets it) V8 does it in its own time. */
function ownHeap(): Heap {
  return {
    usedBytes() {
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    },
    collect: () => globalThis.gc?.({ type: "major", execution: "sync" }),
  };
}
