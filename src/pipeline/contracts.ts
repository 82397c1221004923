import type { Memo } from "../journal/journal.ts";
import type { Batch } from "../otlp/batch.ts";
import type { Draft } from "../otlp/draft.ts";
import type { Range, Seq } from "../otlp/range.ts";
import type { Refusal } from "../otlp/status.ts";
import type { Signal } from "../otlp/tape.ts";

/** Anything with a lifetime: started once, stopped once. */
export interface Component {
  /** Acquires sockets, files, timers; resolves when ready. Rejecting aborts the whole start. */
  start(): Promise<void>;
  /** Stops accepting, hands on what is in flight, lets go of everything. `deadline` aborts when time is up. Safe without start, and twice. */
  stop(deadline: AbortSignal): Promise<void>;
}

/** What a request said beside its items, for processors that ask for it: headers by lower-case name. */
export type RequestMetadata = ReadonlyMap<string, string>;

/** Bytes taken from the process-wide budget for one request: from admission until the answer. */
export interface Lease extends Disposable {
  readonly bytes: number;
  /** Takes more; false when the budget has no more, and then nothing was taken. */
  grow(bytes: number): boolean;
  /** Whether the last `grow` failed although the whole budget would not have been enough: sending it again cannot help. */
  readonly isBeyondBudget: boolean;
  /** Set by receivers with `include_metadata`, before the submit. */
  metadata?: RequestMetadata | undefined;
  /** Set by the intake: what it was admitted as. */
  transport?: string;
}

/** Small texts that a receiver keeps beside its items, such as how far it has read. They outlive the process. */
export interface Memory {
  /** Id of the storage that keeps them. */
  readonly storage: string;
  /** Whether items and memos of a submit are kept together or not at all. Otherwise the memos come last: a kill may repeat items. */
  readonly isAtomic: boolean;
  /** The latest text of each key, of this run and the ones before. */
  read(): ReadonlyMap<string, string>;
}

/** A receiver's only way in. */
export interface Intake {
  /** Signals that some pipeline of this receiver takes. */
  readonly signals: ReadonlySet<Signal>;
  /** After auth, before the body is read; knows full routes, the byte budget and the stop. */
  /** `transport` ("http", "grpc", "udp", "tcp") labels what is counted for this lease. */
  admit(signal: Signal, bytes: number, transport?: string): Lease | Refusal;
  /** Runs every pipeline and appends all frames as one group. Resolves = durable; rejects (PipelineError) = written nowhere. */
  /** `memos` are kept with them, where there is a `memory`; also without any batch. */
  submit(batches: readonly Batch[], lease: Lease, memos?: readonly Memo[]): Promise<void>;
  /** Absent where nothing outlives the process. */
  readonly memory?: Memory | undefined;
  /** Items that the receiver cut out of a request and reported (partial success): a term of the law. */
  rejected(signal: Signal, items: number, why: string, transport?: string): void;
}

/** Inline processor: synchronous, before the acknowledgement, keeps nothing between calls but caches. */
export interface Transform<S extends Signal = Signal> {
  /** `metadata`: of the request, where its receiver includes it. */
  apply(draft: Draft<S>, metadata?: RequestMetadata): void;
}

/**
 * Holding processor or aggregating connector: a journal reader that emits. Always after the acknowledgement.
 * @public No component is one yet; the contract is here so that the journal keeps room for it.
 */
export interface Holder<S extends Signal = Signal> extends Component {
  take(range: Range<S>, emit: (batch: Batch) => void): void;
  tick(nowMs: number, emit: (batch: Batch) => void): void;
  readonly oldest: Seq | undefined; // emitted frames and the cursor up to here are committed in one group
}
