import type { Batch } from "./batch.ts";
import type { Signal } from "./tape.ts";

/**
 * Number of a frame in its journal: starts at 1, grows by one per frame, is never reused. After a crash it jumps ahead, so that numbers
 * which were sent but are no longer known are not given again: a difference of two is not a count.
 */
export type Seq = number;

/** A frame as a reader sees it. */
export interface Stored<S extends Signal = Signal> {
  readonly seq: Seq;
  readonly batch: Batch<S>;
  /** Wall clock of the receipt, milliseconds. Journaled, so a retry after a restart sees the same value. */
  readonly arrivalMs: number;
  /** What the appender wished to keep beside the bytes (dead letters: route, item, reason). Empty when none. */
  readonly note: Uint8Array;
}

/** Consecutive frames of one route, whole. `first`…`last` may span frames of other routes. Items are numbered 0…items-1 across frames. */
export interface Range<S extends Signal = Signal> {
  readonly first: Seq;
  readonly last: Seq;
  readonly frames: readonly Stored<S>[];
  readonly items: number;
}
