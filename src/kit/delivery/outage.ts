import { sleep } from "../../lib/sleep.ts";

/** So many failures, and no success in between, are an outage and not bad luck. */
const FAILURES = 4;
/** Longest pause before a request that finds out whether it is over, where neither the destination nor the operator asks for more. */
const PROBE_MS = 10_000;
/** How much longer each pause between two such requests is than the one before. */
const GROWTH = 1.5;

interface Pause {
  /** By the part's own backoff. */
  readonly ms: number;
  /** Asked for by the destination. */
  readonly leastMs: number;
  /** When the part is given up. */
  readonly mostMs: number;
}

/**
 * Keeps a route quiet while its destination takes nothing: lanes that failed wait for their turn, one request at a time finds out
 * whether it is over, and then all go on at once. So a dead destination costs one request every few seconds, however many lanes it has.
 * And while the destination asks for quiet (Retry-After, RetryInfo): until then no lane sends anything.
 */
export class Outage {
  readonly #probeMs: number;
  readonly #onChange: () => void;
  readonly #waiting = new Set<() => void>();
  #failures = 0;
  #hasSecondOpinion = false;
  /** Monotonic; nobody tries before. */
  #nextProbeMs = 0;
  /** Between two tries; grows as the outage lasts. */
  #gapMs = 0;
  /** Monotonic; nobody sends before. */
  #heldUntilMs = 0;
  #heldTimer: NodeJS.Timeout | undefined;

  /** `initialMs`, `maxMs`: of the pauses, as the operator wants them. `onChange`: `admits` may say something else now. */
  constructor(initialMs: number, maxMs: number, onChange: () => void) {
    this.#probeMs = Math.max(initialMs, Math.min(PROBE_MS, maxMs));
    this.#onChange = onChange;
  }

  get isOn(): boolean {
    return this.#failures >= FAILURES;
  }

  /** The destination did not take a request, or is not there. */
  failed(): void {
    this.#failures += 1;
  }

  /** Whether the destination has asked for quiet. */
  get isHeld(): boolean {
    return this.#heldTimer !== undefined;
  }

  /** The destination asks for so much quiet. What it takes meanwhile was on its way before. */
  hold(ms: number): void {
    const untilMs = performance.now() + ms;
    if (untilMs <= this.#heldUntilMs) return;
    this.#heldUntilMs = untilMs;
    clearTimeout(this.#heldTimer);
    const over = () => {
      this.#heldTimer = undefined;
      this.#onChange();
    };
    this.#heldTimer = setTimeout(over, Math.ceil(ms)).unref();
  }

  /** Resolves when the destination wants no quiet (any more), or on stop. */
  async quiet(stop: AbortSignal): Promise<void> {
    while (this.isHeld && !stop.aborted)
      await sleep(Math.max(1, this.#heldUntilMs - performance.now()), stop);
  }

  /** The destination took or judged a request. */
  answered(): void {
    const wasOn = this.isOn;
    this.#failures = 0;
    if (!wasOn) return;
    this.#nextProbeMs = 0;
    this.#gapMs = 0;
    this.#hasSecondOpinion = false;
    for (const wake of [...this.#waiting]) wake();
    this.#onChange();
  }

  /**
   * Whether to try other items. In an outage only when one that failed has its turn: it may be that just these items are never taken, and
   * that everything else would be.
   */
  admits(): boolean {
    if (!this.isOn) return true;
    const admitted = this.#hasSecondOpinion;
    this.#hasSecondOpinion = false;
    return admitted;
  }

  /** The pause after a failure; in an outage, until it is the caller's turn to try, or the outage is over. */
  async pause({ ms, leastMs, mostMs }: Pause, stop: AbortSignal): Promise<void> {
    const begun = performance.now();
    const probeMs = Math.max(leastMs, Math.min(ms, this.#probeMs));
    for (;;) {
      const dueMs = this.isOn ? Math.max(begun + probeMs, this.#nextProbeMs) : begun + ms;
      const waitMs = Math.min(dueMs, begun + mostMs) - performance.now();
      if (waitMs <= 0 || stop.aborted) break;
      if (await this.#wait(waitMs, stop)) return;
    }
    if (!this.isOn) return;
    this.#gapMs = Math.min(this.#probeMs, Math.max(probeMs, this.#gapMs * GROWTH));
    this.#nextProbeMs = performance.now() + this.#gapMs;
    this.#hasSecondOpinion = true;
    this.#onChange();
  }

  /** True when the outage ended. */
  #wait(ms: number, stop: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const end = (isOver: boolean) => {
      clearTimeout(timer);
      stop.removeEventListener("abort", stopped);
      this.#waiting.delete(over);
      resolve(isOver);
    };
    const stopped = () => end(false);
    const over = () => end(true);
    const timer = setTimeout(stopped, Math.ceil(ms));
    stop.addEventListener("abort", stopped);
    this.#waiting.add(over);
    return promise;
  }
}
