/** Requests in a row that must be taken before a larger one is tried. */
const TRY_LARGER_AFTER = 64;
const SMALLEST = 1 << 10;

/**
 * How large a destination lets a request be. A proxy in front of it often allows less than our own limit (1 MiB is a common
 * default); without a memory of its 413s, every range would be sent several times over.
 */
export class BodyLimit {
  readonly #most: number;
  #bytes: number;
  #taken = 0;
  constructor(most: number) {
    this.#most = most;
    this.#bytes = most;
  }
  get bytes(): number {
    return this.#bytes;
  }
  /** A request of several items and `length` bytes was too large. */
  tooLarge(length: number): void {
    this.#taken = 0;
    this.#bytes = Math.max(Math.min(SMALLEST, this.#most), Math.min(this.#bytes, length >>> 1));
  }
  /** A request was taken. */
  taken(): void {
    if (this.#bytes === this.#most || ++this.#taken < TRY_LARGER_AFTER) return;
    this.#taken = 0;
    this.#bytes = Math.min(this.#most, this.#bytes * 2);
  }
}
