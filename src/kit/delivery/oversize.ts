import type { Range } from "../../otlp/range.ts";
import { Item, NodeType } from "../../otlp/tape.ts";

/** Largest item that is written as lines, bytes on the wire: a row of so much takes some 50 ms, and databases take far smaller ones. */
export const LARGEST_LINE_ITEM = 2 << 20;

/** The first of the items [from, to) of a range that has more than `most` bytes on the wire; `to` when none has. */
export function firstOversize(range: Range, from: number, to: number, most: number): number {
  let first = 0;
  for (const { batch } of range.frames) {
    const { tape, items } = batch;
    // Only large requests have large items: all others are passed over at once.
    if (batch.length > most && first < to && first + items > from) {
      let item = first;
      for (let at = 0; at < tape.length && item < to; at += (tape[at] ?? 0) >>> 2) {
        if (((tape[at] ?? 0) & 3) !== NodeType.item) continue;
        if (item >= from && (tape[at + Item.end] ?? 0) - (tape[at + Item.at] ?? 0) > most)
          return item;
        item++;
      }
    }
    first += items;
  }
  return to;
}
