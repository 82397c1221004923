import { sleep } from "../../lib/sleep.ts";
import type { Range } from "../../otlp/range.ts";

/** So long a range waits that is too far ahead. Some must go on: only beside requests that are taken is a range found out that never is. */
const WAIT_MS = 10_000;

/**
 * Keeps ranges in flight close together in time, for a destination that takes nothing which is too far behind what it has: while one is
 * tried again, the others do not run away from it.
 */
export class FlightSpan {
  readonly #mostMs: number;
  /** When the oldest frame of each range in flight arrived. */
  readonly #arrivals: number[] = [];
  #waiting: AbortController | undefined;

  /** `mostMs`: between the arrival of the oldest frame in flight and that of the newest one. */
  constructor(mostMs = Number.POSITIVE_INFINITY) {
    this.#mostMs = mostMs;
  }

  /** Whether the parts of this range are too far apart to be in flight together. */
  isWide(range: Range): boolean {
    return newestOf(range) - oldestOf(range) > this.#mostMs;
  }

  /** Resolves when the range may go out, or on stop. One caller at a time. */
  async near(range: Range, stop: AbortSignal): Promise<void> {
    const newestMs = newestOf(range);
    const endsAt = performance.now() + WAIT_MS;
    while (newestMs - Math.min(...this.#arrivals) > this.#mostMs && !stop.aborted) {
      const leftMs = endsAt - performance.now();
      if (leftMs <= 0) return;
      this.#waiting = new AbortController();
      await sleep(leftMs, AbortSignal.any([stop, this.#waiting.signal]));
    }
  }

  /** The range is in flight until it is disposed of. */
  enter(range: Range): Disposable {
    const arrivalMs = oldestOf(range);
    this.#arrivals.push(arrivalMs);
    return {
      [Symbol.dispose]: () => {
        this.#arrivals.splice(this.#arrivals.indexOf(arrivalMs), 1);
        this.#waiting?.abort();
      },
    };
  }
}

function oldestOf({ frames }: Range): number {
  return frames.reduce((least, { arrivalMs }) => Math.min(least, arrivalMs), Infinity);
}

function newestOf({ frames }: Range): number {
  return frames.reduce((most, { arrivalMs }) => Math.max(most, arrivalMs), -Infinity);
}
