import type { RangeFit } from "./range-fit.ts";
import { Turns } from "./turns.ts";

/** So many lanes take what there is, at once. Those beyond wait a little for a whole request, so that a slow destination gets large ones. */
const EAGER = 4;
const LINGER_MS = 50;
/**
 * Ranges in flight per route, in bytes of telemetry and its tapes, at which only the eager lanes go on: what a slow destination may cost in
 * memory, and a quick one, which needs few lanes.
 */
const HELD_BYTES = 96 << 20;
const QUICK_HELD_BYTES = 16 << 20;

/** Ranges that wait to be written are read before their time: so many keep the writer busy, more only take memory. */
const WAITING = 2;

/** The lanes of one route: each is a request that is made, sent or waits for its next attempt. */
export class Lanes {
  readonly most: number;
  readonly #fit: RangeFit;
  #taken = 0;
  #heldBytes = 0;
  readonly #turns = new Turns();
  #waiting = 0;
  #freed = Promise.withResolvers<void>();

  constructor(most: number, fit: RangeFit) {
    this.most = most;
    this.#fit = fit;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Takes a free lane for another request of a range that is out. */
  tryTake(): boolean {
    if (this.#taken >= this.most) return false;
    this.#taken += 1;
    return true;
  }

  /** Whether enough waits to be written. */
  get isBehind(): boolean {
    return this.#waiting >= WAITING;
  }

  /** Takes a lane for a new range when there is one, and memory for what it will hold. */
  tryTakeForRange(): boolean {
    const most = this.#fit.isQuick ? QUICK_HELD_BYTES : HELD_BYTES;
    const isFull = this.#heldBytes + this.#fit.bytes > most;
    return (!isFull || this.#taken < EAGER) && this.tryTake();
  }

  give(): void {
    this.#taken -= 1;
    this.wake();
  }

  /** Resolves when a lane or memory was given back, or a range that waited is written. */
  freed(): Promise<void> {
    return this.#freed.promise;
  }

  /** How long the lane taken last waits for a whole request, in milliseconds. */
  get lingerMs(): number {
    return this.#taken > EAGER ? LINGER_MS : 0;
  }

  /** A range's telemetry is held until it is settled. */
  hold(bytes: number): Disposable {
    this.#heldBytes += bytes;
    return {
      [Symbol.dispose]: () => {
        this.#heldBytes -= bytes;
        this.wake();
      },
    };
  }

  /** A turn of the event loop to write in: answers often come together. `others` are waited for as well. */
  async turn(others?: Turns): Promise<void> {
    this.#waiting += 1;
    await this.#turns.next();
    await others?.next();
    this.#waiting -= 1;
    this.wake();
  }

  /** Who waits for a lane looks again. */
  wake(): void {
    const freed = this.#freed;
    this.#freed = Promise.withResolvers<void>();
    freed.resolve();
  }
}
