import type { Batch } from "../otlp/batch.ts";
import type { Range, Seq, Stored } from "../otlp/range.ts";
import type { Refusal } from "../otlp/status.ts";
import type { Signal } from "../otlp/tape.ts";

/** Bit set of route numbers. A number belongs to one exporter-and-signal for ever within its journal. */
export type Routes = Uint32Array;

export interface Frame {
  readonly batch: Batch;
  readonly routes: Routes;
  /** Wall clock of the receipt, milliseconds. */
  readonly arrivalMs: number;
  /** Opaque bytes kept beside the batch (dead letters). */
  readonly note?: Uint8Array;
}

/** In items, never rows. The four sum to the settled range's items; `settle` asserts it. */
export interface Tally {
  readonly delivered: number;
  readonly unconfirmed: number;
  readonly deadLettered: number;
  readonly dropped: ReadonlyMap<string, number>;
}

/** The terms of the law: appended = delivered + unconfirmed + dropped + deadLettered + queued. */
export interface RouteCounts extends Tally {
  readonly appended: number;
  readonly queuedItems: number;
  readonly queuedBytes: number;
  readonly queuedFrames: number;
  /** Milliseconds since the arrival of the oldest queued frame; 0 when empty. */
  readonly oldestAgeMs: number;
}

export interface ReadLimits {
  readonly bytes: number;
  readonly items: number;
  /** Waits up to `waitMs` after the first queued item for `minItems` or `minBytes`, what comes first (queue batching); default: no wait. */
  readonly minItems?: number;
  readonly minBytes?: number;
  readonly waitMs?: number;
}

export interface Reader<S extends Signal = Signal> {
  readonly name: string;
  /** Journal-local number: bit of `Routes`. */
  readonly route: number;
  readonly signal: S;
  /**
   * The route's next frames, at least one. Waits while there is none; rejects with `stop.reason` when stopped. Fresh frames come
   * from memory with their tape; old ones are read and indexed again.
   */
  read(limits: ReadLimits, stop: AbortSignal): Promise<Range<S>>;
  /** Whether nobody will read for a while: then nothing fresh is kept in memory for this route. */
  rest?(isResting: boolean): void;
  /** In any order; the cursor is the low watermark. Written with the next group, at the latest after a second. */
  settle(range: Range<S>, tally: Tally): void;
  /** `queued*` from frame headers, never from tallies; the rest from journaled tallies. */
  counts(): RouteCounts;
}

export interface Settlement {
  readonly reader: Reader;
  readonly range: Range;
  readonly tally: Tally;
}

/** Single frames that wait for a route which nobody reads (dead letters), settled out of turn. */
export interface Removal {
  readonly reader: Reader;
  /** Ascending. */
  readonly seqs: readonly Seq[];
  /** Of all of them together. */
  readonly tally: Tally;
}

/** A route as the journal knows it, read by somebody or not. */
export interface KnownRoute {
  readonly name: string;
  /** Bit of `Routes`. */
  readonly number: number;
  readonly signal: Signal;
  readonly queuedItems: number;
  readonly queuedBytes: number;
  /** Bytes of segment files that only this route still holds: they go when it is through. */
  readonly heldBytes: number;
  /** What still fits; below 0 where the limits became smaller. */
  readonly room: { readonly bytes: number; readonly items: number; readonly frames: number };
  /** Items that were dropped, unconfirmed or dead-lettered, ever. */
  readonly notDelivered: number;
}

/** A small text that a journal keeps beside its frames, such as how far a file was read: the latest of its key, until it is removed. */
export interface Memo {
  readonly key: string;
  /** Undefined removes the key. */
  readonly text: string | undefined;
}

/** Where a frame is, and which routes it was meant for. */
export interface FramePlace {
  /** Name of the segment's file. */
  readonly segment: string;
  /** Of the record in it. */
  readonly offset: number;
  readonly routes: readonly {
    readonly name: string;
    /** waiting: not read yet. sending: in somebody's hands. settled: delivered, dropped with a count, or a dead letter. */
    readonly state: "waiting" | "sending" | "settled";
  }[];
}

/** What copying has done since the start. */
export interface CopyCounts {
  readonly segments: number;
  /** Bytes that copying gave back. */
  readonly freedBytes: number;
  /** Times it gave up, by reason; the old segments stayed. */
  readonly failures: ReadonlyMap<CopyFailure, number>;
}

/** disk_full, io: tried again later. unreadable: the segment is left alone until the next start. */
export type CopyFailure = "disk_full" | "unreadable" | "io";

export interface JournalStats {
  readonly bytes: number;
  readonly segments: number;
  readonly frames: number;
  /** Number of the newest frame that may have been written; 0 when there was none. */
  readonly newest: Seq;
  /** Damaged parts set aside, by reason, since the directory was created. */
  readonly quarantined: ReadonlyMap<string, number>;
  readonly fsyncFailures: number;
  readonly fsyncs: number;
  /** Sparse segments whose frames were copied, since the start. */
  readonly copied: CopyCounts;
}

export interface Journal {
  /** Random name of this journal, for ever: the first part of X-Weir-Range. */
  readonly id: string;
  /** Opens the directory and recovers. Any content starts; only a lock held by another process rejects. */
  start(): Promise<void>;
  stop(deadline: AbortSignal): Promise<void>;
  /** Only between start() and the first append. A new route begins at `start`; a known one at its cursor. */
  route<S extends Signal>(
    name: string,
    signal: S,
    start: "oldest" | "end",
    limits: RouteLimits,
  ): Reader<S>;
  /** All routes that the journal knows, also those that nobody reads any more, with the items that wait for each. */
  routes(): readonly KnownRoute[];
  /** Why `reserve` would refuse now; takes nothing, drops nothing. */
  refuses(routes: Routes, bytes: number, items: number): Refusal | undefined;
  /** Whether one of them that is being read has so much waiting that who appends should leave time to its reader. */
  isBehind(routes: Routes): boolean;
  /** All routes or none. Dispose after append (or instead of it). */
  reserve(routes: Routes, bytes: number, items: number): Disposable | Refusal;
  /** One atomic group; resolves after its fdatasync, rejects with a PipelineError when nothing of it was kept. */
  append(
    frames: readonly Frame[],
    settles?: readonly Settlement[],
    removals?: readonly Removal[],
    memos?: readonly Memo[],
  ): Promise<void>;
  /** The latest durable memos whose keys begin so, by key. */
  memos(prefix: string): ReadonlyMap<string, string>;
  stats(): JournalStats;
  /** Bytes of segment files that only this route still holds. */
  heldBytes(route: number): number;
  /** Undefined when the frame is not retained. */
  place(seq: Seq): FramePlace | undefined;
  /**
   * All retained frames from `from` (default: the oldest) to the newest, settled or not; settles nothing. Unreadable ones are left out.
   * With `waitingFor`, only those that one of these routes has not settled.
   */
  frames(from?: Seq, waitingFor?: readonly Reader[]): AsyncIterable<Stored>;
}

/** A full route refuses: its queue in bytes, items and frames (the Collector's `queue_size` in requests). Infinity = no limit. */
export interface RouteLimits {
  readonly bytes: number;
  readonly items: number;
  readonly frames: number;
  readonly onFull: "refuse" | "drop_oldest" | "skip";
}

export type { Batch, Range, Seq };
