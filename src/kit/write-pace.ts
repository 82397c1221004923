/** A write that takes longer keeps the event loop too long (ms); one that takes less leaves room for more items. */
const LONG_MS = 40;
const SHORT_MS = 12;
/** Fewer would make requests of a few rows only, on a machine that is merely busy. */
const FEWEST = 128;
/** The first call: nothing is known yet. */
const FIRST = 8_192;

/**
 * How many items one call of a writer gets. Writers are synchronous, and what an item costs them depends on what senders put into it:
 * so the number follows from how long the calls before took.
 */
export class WritePace {
  readonly #most: number;
  #items: number;
  constructor(most: number) {
    this.#most = most;
    this.#items = Math.min(FIRST, most);
  }

  get items(): number {
    return this.#items;
  }

  /** A call wrote `items` in `ms`. */
  took(items: number, ms: number): void {
    if (ms > LONG_MS) this.#items = Math.max(Math.min(FEWEST, this.#most), items >>> 1);
    else if (ms < SHORT_MS) this.#items = Math.min(this.#most, this.#items * 2);
  }
}
