const SECOND_MS = 1_000;

/** Lets the first so many sends of each second through, and then each so manieth, as the Collector's log does. */
export class Sampler {
  readonly #initial: number;
  readonly #thereafter: number;
  readonly #nowMs: () => number;
  #second = 0;
  #sends = 0;
  #held = 0;

  /** `thereafter`: 0 = none of the others. */
  constructor(initial: number, thereafter: number, nowMs: () => number) {
    this.#initial = initial;
    this.#thereafter = thereafter;
    this.#nowMs = nowMs;
  }

  /** How many items were held back since the last send that was shown; undefined when this one, of `items`, is held back as well. */
  take(items: number): number | undefined {
    const second = Math.floor(this.#nowMs() / SECOND_MS);
    if (second !== this.#second) this.#sends = 0;
    this.#second = second;
    const further = ++this.#sends - this.#initial;
    const isShown = further <= 0 || (this.#thereafter > 0 && further % this.#thereafter === 0);
    const held = isShown ? 0 : this.#held + items;
    const before = this.#held;
    this.#held = held;
    return isShown ? before : undefined;
  }
}
