import type { Batch } from "./batch.ts";
import type { Keys } from "./keys.ts";
import type { Room } from "./room.ts";
import type { Signal } from "./tape.ts";

export type Indexed<S extends Signal> =
  | { readonly batch: Batch<S>; readonly rejected: number; readonly why: string }
  | { readonly refused: "malformed" | "too_large" | "exhausted"; readonly why: string };

/** Requests of more bytes are to be indexed in slices: this much of tiny items that are not canonical would take some 50 ms at once. */
export const SLICED_BYTES = 1 << 20;

/** Validates and indexes OTLP request bytes. One per process: it owns the key table. */
export interface Indexer {
  readonly keys: Keys;
  /**
   * One bounds-checked pass over `bytes[0, length)`. The memory must have SLACK bytes behind `length` (see `withSlack`) and is owned by
   * the batch from now on. Non-canonical wire (key after value, split sub-messages, resource after scopes) is first re-encoded, so
   * writers see one shape. Bad items are cut out and counted (`rejected`, first reason in `why`). Refuses nesting > 64 in a place that
   * cannot be cut out, and a tape > 4 × length or 16 MiB, whichever is more.
   */
  index<S extends Signal>(signal: S, bytes: Uint8Array, length: number): Indexed<S>;
  /**
   * The same for large requests, in slices of some 10 ms, so that the event loop stays free; other requests may be indexed meanwhile.
   * Takes the memory of tape and copies from `room` before it is used ("exhausted" when there is none); without one, it is not bounded.
   */
  indexSlowly<S extends Signal>(
    signal: S,
    bytes: Uint8Array,
    length: number,
    room?: Room,
  ): Promise<Indexed<S>>;
}
