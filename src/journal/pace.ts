import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";

/** Most that a late timer pays in advance. */
const CREDIT_MS = 100;

/** Keeps background work below a rate and lets everybody else have their turn after each part. */
export class Pace {
  readonly #bytesPerMs: number;
  readonly #stop: AbortSignal;
  #debtMs = 0;

  /** Infinity: no limit, only turns. */
  constructor(bytesPerSecond: number, stop: AbortSignal) {
    this.#bytesPerMs = bytesPerSecond / 1_000;
    this.#stop = stop;
  }

  /** Waits as long as these bytes should have taken. Rejects when stopped. */
  async spent(bytes: number): Promise<void> {
    this.#stop.throwIfAborted();
    this.#debtMs += bytes / this.#bytesPerMs;
    if (this.#debtMs < 1) {
      await nextTurn();
    } else {
      const begun = performance.now();
      await sleep(this.#debtMs, undefined, { ref: false, signal: this.#stop });
      // A timer that came late has paid for the next parts, too.
      this.#debtMs = Math.max(-CREDIT_MS, this.#debtMs - (performance.now() - begun));
    }
    this.#stop.throwIfAborted();
  }
}
