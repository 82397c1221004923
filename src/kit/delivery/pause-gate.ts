import { sleep } from "../../lib/sleep.ts";

/**
 * Holds back a whole route while its destination refuses our credentials. Everything stays queued; one request at a time, at
 * most every `probeMs`, finds out whether it works again.
 */
export class PauseGate {
  readonly #probeMs: number;
  readonly #nowMs: () => number;
  #paused = false;
  #probing = false;
  #nextProbeMs = 0;
  #changed = Promise.withResolvers<void>();
  constructor(probeMs: number, nowMs: () => number) {
    this.#probeMs = probeMs;
    this.#nowMs = nowMs;
  }
  get paused(): boolean {
    return this.#paused;
  }
  /** Resolves when the caller may send: at once while open, else when it is its turn to probe (or on stop). */
  async pass(stop: AbortSignal): Promise<void> {
    while (this.#paused && !stop.aborted) {
      const waitMs = this.#nextProbeMs - this.#nowMs();
      if (!this.#probing && waitMs <= 0) {
        this.#probing = true;
        return;
      }
      const changed = this.#changed.promise;
      if (this.#probing) await Promise.race([changed, sleep(this.#probeMs, stop)]);
      else await Promise.race([changed, sleep(Math.min(waitMs, this.#probeMs), stop)]);
    }
  }
  /** The destination refused. True when the route was open until now. */
  pause(): boolean {
    const first = !this.#paused;
    this.#paused = true;
    this.#endProbe();
    return first;
  }
  /** The destination took or judged a request. True when the route was paused until now. */
  resume(): boolean {
    const was = this.#paused;
    this.#paused = false;
    if (was) this.#endProbe();
    return was;
  }
  /** The attempt told nothing about the credentials (a timeout, an overload). */
  undecided(): void {
    if (this.#paused) this.#endProbe();
  }
  #endProbe(): void {
    this.#probing = false;
    this.#nextProbeMs = this.#nowMs() + this.#probeMs;
    const changed = this.#changed;
    this.#changed = Promise.withResolvers<void>();
    changed.resolve();
  }
}
