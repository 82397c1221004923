import type { Reader, ReadLimits, RouteCounts, Tally } from "../journal/journal.ts";
import type { Batch } from "../otlp/batch.ts";
import type { Range, Seq } from "../otlp/range.ts";
import { PipelineError } from "../otlp/status.ts";
import type { Signal } from "../otlp/tape.ts";

/** Reasons of drops that another try may spare: the sender still has the items. */
const GIVEN_UP = ["retry_disabled", "max_elapsed_time"] as const;
const TRY_AGAIN_MS = 1_000;

/** Told once what became of a frame. */
type Told = (loss: PipelineError | undefined) => void;

/**
 * A reader whose appender waits for the destination's answer (`wait_for_result: true`, or a queue that is off): the acknowledgement
 * goes out when the frame is settled, and says no when the destination did not take it. Only for memory journals, which hold nothing
 * at the start: all frames of the route are waited for, and are read in the order of their appends.
 */
export class AwaitedReader<S extends Signal = Signal> implements Reader<S> {
  readonly #reader: Reader<S>;
  /** Appended and not read yet, in order. */
  readonly #appended: { readonly batch: Batch; readonly tell: Told }[] = [];
  /** Read and not settled. Without the batches, which the outgrown tables of a Map would keep in memory (see FrameCache). */
  readonly #read = new Map<Seq, Told>();

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

  /** Resolves when the batch is settled; rejects when it was given up, or refused as a whole. Call in the same turn as the append. */
  result(batch: Batch): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#appended.push({
      batch,
      tell: (loss) => (loss === undefined ? resolve() : reject(loss)),
    });
    promise.catch(() => {}); // it may settle before the append of another journal, which is waited for first
    return promise;
  }

  /** The append failed: nobody waits any more. */
  forget(batch: Batch): void {
    const at = this.#appended.findIndex((one) => one.batch === batch);
    if (at >= 0) this.#appended.splice(at, 1);
  }

  async read(limits: ReadLimits, stop: AbortSignal): Promise<Range<S>> {
    const range = await this.#reader.read(limits, stop);
    for (const { seq, batch } of range.frames) {
      const next = this.#next(batch);
      if (next !== undefined) this.#read.set(seq, next);
    }
    return range;
  }

  /** A frame that has left the cache comes back as another batch: then it is the oldest that was not read. */
  #next(batch: Batch): Told | undefined {
    const at = this.#appended.findIndex((one) => one.batch === batch);
    const [next] = this.#appended.splice(Math.max(0, at), 1);
    return next?.tell;
  }

  settle(range: Range<S>, tally: Tally): void {
    this.#reader.settle(range, tally);
    const loss = lossOf(range, tally);
    for (const { seq } of range.frames) {
      this.#read.get(seq)?.(loss);
      this.#read.delete(seq);
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
