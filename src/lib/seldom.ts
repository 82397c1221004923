/** Keys remembered at most; further ones share one. */
const MOST_KEYS = 100;

/** Lets a log line through once per interval and key, and says how much was held back in between. */
export class Seldom {
  readonly #everyMs: number;
  readonly #nowMs: () => number;
  readonly #keys = new Map<string, { nextMs: number; held: number }>();
  constructor(everyMs: number, nowMs: () => number) {
    this.#everyMs = everyMs;
    this.#nowMs = nowMs;
  }
  /** The count since the last line when it is time for one, else undefined. */
  count(key: string, n = 1): number | undefined {
    const now = this.#nowMs();
    const state = this.#state(key);
    state.held += n;
    if (now < state.nextMs && state.nextMs - now <= this.#everyMs) return undefined;
    const total = state.held;
    state.held = 0;
    state.nextMs = now + this.#everyMs;
    return total;
  }
  #state(key: string): { nextMs: number; held: number } {
    const known = this.#keys.has(key) || this.#keys.size < MOST_KEYS ? key : "";
    let state = this.#keys.get(known);
    if (state === undefined) {
      state = { nextMs: Number.NEGATIVE_INFINITY, held: 0 };
      this.#keys.set(known, state);
    }
    return state;
  }
}
