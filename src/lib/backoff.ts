/** Shape of the pauses between attempts; milliseconds. */
export interface BackoffOptions {
  readonly initialMs: number;
  readonly maxMs: number;
  readonly multiplier: number;
  /** Jitter: each pause is multiplied by a random factor in 1 ± this. */
  readonly randomization: number;
}

/** Exponential pauses with jitter, so that many waiting lanes do not come back in step. */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: () => number;
  #nextMs: number;
  constructor(options: BackoffOptions, random: () => number = Math.random) {
    this.#options = options;
    this.#random = random;
    this.#nextMs = options.initialMs;
  }
  /** The pause before the next attempt. */
  next(): number {
    const { maxMs, multiplier, randomization } = this.#options;
    const base = Math.min(this.#nextMs, maxMs);
    this.#nextMs = Math.min(this.#nextMs * multiplier, maxMs);
    return base * (1 - randomization + 2 * randomization * this.#random());
  }
  /** After a success. */
  reset(): void {
    this.#nextMs = this.#options.initialMs;
  }
}
