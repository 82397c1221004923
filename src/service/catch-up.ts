/** Each turn lets this part of those who wait go on. */
const PART = 1 / 16;

/**
 * Lets export catch up with intake. Both share one core: clients that are answered as soon as their items are queued keep it busy with
 * the next ones, until the queue is longer than what is kept in memory and export, which then reads and indexes everything again, falls
 * behind for good. So answers wait for a turn of the event loop of their own. Where export waits for a destination, a turn takes no time.
 */
export class CatchUp {
  readonly #waiting: (() => void)[] = [];

  /** Resolves in a later turn of the event loop, in the order of the calls: one a turn, more where many wait. */
  turn(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#waiting.push(resolve) === 1) setImmediate(this.#tick);
    return promise;
  }

  readonly #tick = (): void => {
    const due = Math.ceil(this.#waiting.length * PART);
    for (const resolve of this.#waiting.splice(0, due)) resolve();
    if (this.#waiting.length > 0) setImmediate(this.#tick);
  };
}
