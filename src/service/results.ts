import type { Reader, ReadLimits, RouteCounts, Tally } from "../journal/journal.ts";
import type { Batch } from "../otlp/batch.ts";
import type { Range } from "../otlp/range.ts";
import type { Signal } from "../otlp/tape.ts";

/**
 * A reader whose appender waits for the destination's answer (`wait_for_result: true`, or a queue that is off): the acknowledgement
 * goes out when the frame is settled. Only for memory journals, where a frame comes back as the very batch that was appended.
 */
export class AwaitedReader<S extends Signal = Signal> implements Reader<S> {
  readonly #reader: Reader<S>;
  /** Weak, because the outgrown tables of a Map would keep batches in memory (see FrameCache). */
  readonly #waiting = new WeakMap<Batch, () => void>();

  constructor(reader: Reader<S>) {
    this.#reader = reader;
  }

  get name(): string {
    return this.#reader.name;
  }
  get route(): number {
    return this.#reader.route;
  }
  get signal(): S {
    return this.#reader.signal;
  }

  /** Resolves when the batch is settled. Call before the append. */
  result(batch: Batch): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(batch, resolve));
  }

  /** The append failed: nobody waits any more. */
  forget(batch: Batch): void {
    this.#waiting.delete(batch);
  }

  read(limits: ReadLimits, stop: AbortSignal): Promise<Range<S>> {
    return this.#reader.read(limits, stop);
  }

  settle(range: Range<S>, tally: Tally): void {
    this.#reader.settle(range, tally);
    for (const { batch } of range.frames) {
      this.#waiting.get(batch)?.();
      this.#waiting.delete(batch);
    }
  }

  counts(): RouteCounts {
    return this.#reader.counts();
  }
}
