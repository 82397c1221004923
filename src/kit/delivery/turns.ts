/** Writing in one turn of the event loop goes on for so long (ms); a single request may take longer. */
const BUDGET_MS = 5;

/**
 * Turns of the event loop. Writing a request is synchronous: whoever waits for a turn before it leaves the loop to sockets and disk in
 * between. Small requests share a turn, so that many lanes whose answers come together are soon full again.
 */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #begunMs = 0;
  #isBegun = false;

  /** Resolves, in the order of the calls, in a later turn of the loop, in which others here have written for 5 ms at most. */
  next(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    setImmediate(this.#tick);
    return promise;
  }

  /** One for each who waits. What was resolved by the one before has run when the next comes. */
  readonly #tick = () => {
    const now = performance.now();
    if (!this.#isBegun) {
      this.#isBegun = true;
      this.#begunMs = now;
      setImmediate(() => {
        this.#isBegun = false;
      });
    }
    if (now - this.#begunMs < BUDGET_MS) this.#waiting.shift()?.();
    else setImmediate(this.#tick);
  };
}
