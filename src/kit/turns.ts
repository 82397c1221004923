/**
 * Turns of the event loop, one to each who asks. Writing a request is synchronous: whoever waits for a turn before it leaves the loop to
 * sockets and disk in between.
 */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /** Resolves in a turn of the event loop that is given to nobody else here. */
  next(): Promise<void> {
    this.#last = this.#last.then(() => new Promise<void>((resolve) => setImmediate(resolve)));
    return this.#last;
  }
}
