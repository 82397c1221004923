import type { Range, Seq } from "../../otlp/range.ts";

/** Frame and item within it of an item of the range. */
export function placeOf(range: Range, item: number): readonly [Seq, number] {
  let first = 0;
  for (const { seq, batch } of range.frames) {
    if (item < first + batch.items) return [seq, item - first];
    first += batch.items;
  }
  return [range.last, 0];
}
