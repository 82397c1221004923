const REASONS_MAX = 20;

/** Counts of items by reason, said in the log now and then: at once for the first, and together what comes in the time after it. */
export class RareLog {
  readonly #everyMs: number;
  readonly #unsaid = new Map<string, number>();
  #saidMs = Number.NEGATIVE_INFINITY;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  say(items: number, why: string, nowMs: number, write: (items: Record<string, number>) => void) {
    // Reasons hold line numbers: bounded, so that odd input cannot fill the memory.
    const key = this.#unsaid.size < REASONS_MAX ? why : "other reasons";
    this.#unsaid.set(key, (this.#unsaid.get(key) ?? 0) + items);
    if (nowMs - this.#saidMs < this.#everyMs) return;
    this.#saidMs = nowMs;
    write(Object.fromEntries(this.#unsaid));
    this.#unsaid.clear();
  }
}
