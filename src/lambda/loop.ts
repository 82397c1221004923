import { sleep } from "../lib/sleep.ts";
import type { Buffering, LambdaEvent } from "./extensions-api.ts";

/** What the loop asks of the service that delivers. */
export interface Delivery {
  /** Items that wait to be delivered. */
  waiting(): number;
  /** Delivers what it can, then lets go of everything. */
  stop(): Promise<void>;
}

/** What the loop asks of Lambda. */
export interface Events {
  next(): Promise<LambdaEvent>;
}

export interface LoopOptions {
  readonly buffering: Buffering;
  /** DISPATCH_MIN_BATCH_SIZE: fewer items may wait when an invocation is over. */
  readonly minBatch: number;
  /** How long an invocation may be held up by its delivery. */
  readonly flushMs: number;
  readonly nowMs: () => number;
  /** Called before the next event is asked for: what is done now holds nobody up. */
  readonly rest?: () => void;
}

/** Lambda's own limit for a shutdown. */
const SHUTDOWN_MS = 2_000;
/** What is left of it for the end of the process itself. */
const EXIT_MS = 200;
/** Beyond the buffer's own time, for the post of the last events. */
const LATE_MS = 75;
const LOOK_MS = 2;
/** How often the clock is looked at while a function runs: in a small sandbox, most of the processor is what that must not take from it. */
const RUN_LOOK_MS = 1_000;
const REMEMBERED = 64;
const NEVER = new AbortController().signal;

/**
 * From one `next` to another: a sandbox sleeps when all its extensions have asked for the next event, so this one asks only when the
 * invocation is over and its telemetry is delivered, or the time for that is.
 */
export class ExtensionLoop {
  readonly #events: Events;
  readonly #delivery: Delivery;
  readonly #options: LoopOptions;
  #done: readonly string[] = [];
  /** Aborts when the runtime is done with some invocation. */
  #news = new AbortController();

  constructor(events: Events, delivery: Delivery, options: LoopOptions) {
    this.#events = events;
    this.#delivery = delivery;
    this.#options = options;
  }

  /** The runtime is done with an invocation, and all its lines until then are in the queue. */
  done(requestId: string): void {
    this.#done = [...this.#done, requestId].slice(-REMEMBERED);
    this.#news.abort();
  }

  /** Until Lambda shuts the sandbox down. Resolves with the items that could not be delivered in time. */
  async run(): Promise<number> {
    for (;;) {
      const event = await this.#events.next();
      if (event.type === "shutdown") return this.#shutDown(event.deadlineMs);
      await this.#invocation(event.requestId, event.deadlineMs);
    }
  }

  async #invocation(requestId: string, deadlineMs: number): Promise<void> {
    const isOver = () => this.#done.includes(requestId);
    await this.#ran(isOver, deadlineMs);
    if (!isOver()) return;
    const { minBatch, flushMs, nowMs, rest } = this.#options;
    const isDelivered = () => this.#delivery.waiting() < minBatch;
    await this.#until(isDelivered, nowMs() + flushMs);
    rest?.();
  }

  async #shutDown(deadlineMs: number): Promise<number> {
    const { buffering, nowMs } = this.#options;
    const begin = nowMs();
    const most = begin + SHUTDOWN_MS;
    const end = (deadlineMs > begin ? Math.min(deadlineMs, most) : most) - EXIT_MS;
    const quarter = (end - begin) / 4;
    // What Lambda still holds comes within the time of its buffer.
    await sleep(Math.min(buffering.timeoutMs + LATE_MS, Math.max(0, quarter)), NEVER);
    const over = new AbortController();
    const stopped = this.#delivery.stop().finally(() => over.abort());
    await Promise.race([stopped, sleep(Math.max(0, end - nowMs()), over.signal)]);
    return this.#delivery.waiting();
  }

  async #ran(isOver: () => boolean, endMs: number): Promise<void> {
    const { nowMs } = this.#options;
    for (let leftMs = endMs - nowMs(); !isOver() && leftMs > 0; leftMs = endMs - nowMs()) {
      this.#news = new AbortController();
      await sleep(Math.min(leftMs, RUN_LOOK_MS), this.#news.signal);
    }
  }

  async #until(isTrue: () => boolean, endMs: number): Promise<void> {
    while (!isTrue() && this.#options.nowMs() < endMs) await sleep(LOOK_MS, NEVER);
  }
}
