import type { Reader, ReadLimits, RouteCounts, Tally } from "../journal/journal.ts";
import type { Batch } from "../otlp/batch.ts";
import type { Range } from "../otlp/range.ts";
import { PipelineError } from "../otlp/status.ts";
import type { Signal } from "../otlp/tape.ts";

/** Reasons of drops that another try may spare: the sender still has the items. */
const GIVEN_UP = ["retry_disabled", "max_elapsed_time"] as const;
const TRY_AGAIN_MS = 1_000;

/**
 * A reader whose appender waits for the destination's answer (`wait_for_result: true`, or a queue that is off): the acknowledgement
 * goes out when the frame is settled, and says no when the destination did not take it. Only for memory journals, where a frame comes
 * back as the very batch that was appended.
 */
export class AwaitedReader<S extends Signal = Signal> implements Reader<S> {
  readonly #reader: Reader<S>;
  /** Weak, because the outgrown tables of a Map would keep batches in memory (see FrameCache). */
  readonly #waiting = new WeakMap<Batch, (loss: PipelineError | undefined) => void>();

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

  /** Resolves when the batch is settled; rejects when it was given up, or refused as a whole. Call before the append. */
  result(batch: Batch): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.set(batch, (loss) => (loss === undefined ? resolve() : reject(loss)));
    promise.catch(() => {}); // it may settle before the append of another journal, which is waited for first
    return promise;
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
    const loss = lossOf(range, tally);
    for (const { batch } of range.frames) {
      this.#waiting.get(batch)?.(loss);
      this.#waiting.delete(batch);
    }
  }

  counts(): RouteCounts {
    return this.#reader.counts();
  }
}

/** What its senders are told of a range. A tally does not say which items it means: where others were given up, all may come again. */
function lossOf({ items }: Range, { dropped, deadLettered }: Tally): PipelineError | undefined {
  const reason = GIVEN_UP.find((one) => (dropped.get(one) ?? 0) > 0);
  if (reason !== undefined)
    return new PipelineError({
      kind: "unavailable",
      retryAfterMs: TRY_AGAIN_MS,
      why: `the destination did not take it (${reason}); send again in a moment`,
    });
  if (items === 0 || deadLettered < items) return undefined;
  return new PipelineError({
    kind: "invalid",
    retryAfterMs: 0,
    why: "the destination will never take it; weir's log says why",
  });
}
