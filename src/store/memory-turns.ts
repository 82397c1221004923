import { textOf } from "./duck.ts";

/** Longest wait for those that work at the moment: a query may have a slow reader. */
const WAIT_MAX_MS = 10_000;

interface Stay {
  readonly left: Promise<void>;
  readonly leave: () => void;
  hadCompany: boolean;
}

/**
 * Queries and writes share the engine's memory, and the engine fails whoever asks last. So work that finds no memory beside others is
 * done once more after those have ended, one such work at a time; what finds none by itself has its answer.
 */
export class MemoryTurns {
  readonly #inside = new Set<Stay>();
  #last: Promise<void> = Promise.resolve();

  /** Does the work, which calls `leave` when it holds no memory any more, or rejects. */
  async run<T>(work: (leave: () => void) => Promise<T>): Promise<T> {
    const stay = this.#enter();
    try {
      return await work(stay.leave);
    } catch (error) {
      stay.leave();
      if (!isOutOfMemory(error) || !stay.hadCompany) throw error;
    }
    return await this.#again(work);
  }

  async #again<T>(work: (leave: () => void) => Promise<T>): Promise<T> {
    const before = this.#last;
    const turn = Promise.withResolvers<void>();
    this.#last = turn.promise;
    await before;
    await this.#othersLeft();
    const stay = this.#enter();
    void stay.left.then(turn.resolve);
    try {
      return await work(stay.leave);
    } catch (error) {
      stay.leave();
      throw error;
    }
  }

  async #othersLeft(): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, WAIT_MAX_MS);
    const left = Promise.all(Array.from(this.#inside, (stay) => stay.left));
    await Promise.race([left, late]);
    clearTimeout(timer);
  }

  #enter(): Stay {
    const { promise: left, resolve } = Promise.withResolvers<void>();
    const leave = () => {
      this.#inside.delete(stay);
      resolve();
    };
    const stay: Stay = { left, leave, hadCompany: this.#inside.size > 0 };
    for (const other of this.#inside) other.hadCompany = true;
    this.#inside.add(stay);
    return stay;
  }
}

/** Whether the engine failed for want of memory. */
export function isOutOfMemory(error: unknown): boolean {
  return textOf(error).startsWith("Out of Memory Error");
}
