/** Share of the longest call below which there is room for more items. */
const SHORT = 0.3;
/** Fewer would make requests of a few rows only. */
const FEWEST = 128;
/** A call with half of the items that takes more than this share of the time: fewer do not help. */
const IN_VAIN = 0.75;
/** The first call: nothing is known yet. */
const FIRST = 8_192;

/**
 * How many items one call of a writer gets. Writers are synchronous, and what an item costs them depends on what senders put into it:
 * so the number follows from how long the calls before took, in CPU time: a busy machine is not their fault.
 */
export class WritePace {
  readonly #most: number;
  readonly #longMs: number;
  #items: number;
  /** The last call that took too long. */
  #longItems = 0;
  #longTookMs = 0;
  /** A call that takes longer than `longMs` keeps the event loop too long. */
  constructor(most: number, longMs: number) {
    this.#most = most;
    this.#longMs = longMs;
    this.#items = Math.min(FIRST, most);
  }

  get items(): number {
    return this.#items;
  }

  /** A call wrote `items` in `ms` of this thread's CPU time. */
  took(items: number, ms: number): void {
    if (ms > this.#longMs) {
      const fewest = Math.min(FEWEST, this.#most);
      const isInVain = items <= this.#longItems >>> 1 && ms > this.#longTookMs * IN_VAIN;
      const next = isInVain ? items * 2 : items >>> 1;
      this.#items = Math.max(fewest, Math.min(this.#most, next));
      this.#longItems = items;
      this.#longTookMs = ms;
    } else if (ms < this.#longMs * SHORT) this.#items = Math.min(this.#most, this.#items * 2);
  }
}
