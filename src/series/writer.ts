import type { Range } from "../otlp/range.ts";
import type { Signal } from "../otlp/tape.ts";

/** Output memory: pooled, owned by the lane that took it, given back when the socket has the bytes. */
export interface Slab {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Bytes written. Writers append at `length`; the last SLACK bytes of the memory are never counted. */
  length: number;
}

export interface Written {
  /** Items [from, to) are in the slab. `to === from` means that not even one item fits. */
  readonly to: number;
  readonly rows: number;
  /** Items of [from, to) that made no row on purpose, by reason. Settled as dropped{reason}. */
  readonly dropped: ReadonlyMap<string, number>;
}

/** Compiled once from configuration. Pure: the same items give the same bytes in every retry and every split. */
export interface Writer<S extends Signal = Signal> {
  /** Writes items [from, to) until the slab is full; never half of an item's rows. */
  write(range: Range<S>, from: number, to: number, out: Slab): Written;
  /**
   * A request of the items [from, to) that stands ready in memory, of at most `most` bytes and one row per item: then it is sent as it
   * lies there, and nothing is written. Nobody may change it. Default: there is none.
   */
  ready?(range: Range<S>, from: number, to: number, most: number): Uint8Array | undefined;
  /**
   * Item of the 0-based `row` written by `write(range, from, …)`. Walks again: only after a rejection. -1: the row has values of several
   * items, so that only writing fewer of them tells which is meant.
   */
  itemOfRow(range: Range<S>, from: number, row: number): number;
  /** The same for many rows, in ascending order, in one walk. */
  itemsOfRows?(range: Range<S>, from: number, rows: readonly number[]): readonly number[];
}
