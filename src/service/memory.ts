/** Bytes of request bodies between two collections of the young generation. */
const COLLECT_EVERY_BYTES = 16 << 20;
/** What one request leaves behind in external memory besides its body: the tape, read buffers. */
const REQUEST_BYTES = 16 << 10;

/** `globalThis.gc` as Node types it where --expose-gc is on. */
type Collect = typeof globalThis.gc;

/**
 * Keeps dead request bodies from piling up. V8 sees only the small objects that hold them: it would collect after 64 MB of such memory, then
 * walk the whole heap each time. A collection of the young generation by volume costs less than a millisecond, and the bodies die young.
 * Without --expose-gc (main.ts sets it) nothing happens here, and V8 does it its own way.
 */
export class MemoryKeeper {
  readonly #collect: Collect;
  #bytes = 0;
  constructor(collect: Collect = globalThis.gc) {
    this.#collect = collect;
  }

  /** A request of this size was admitted. */
  admitted(bytes: number): void {
    this.#bytes += bytes + REQUEST_BYTES;
    if (this.#bytes < COLLECT_EVERY_BYTES) return;
    this.#bytes = 0;
    this.#collect?.({ type: "minor", execution: "sync" });
  }

  /** After the start: what loading and compiling left behind goes back to the system. */
  settleDown(): void {
    this.#collect?.({ type: "major", execution: "sync", flavor: "last-resort" });
  }
}
