import type { Range } from "../../src/otlp/range.ts";
import type { Writer } from "../../src/series/writer.ts";
import { slabOf, textOf } from "../support/line-writing.ts";

/** What became of data points. */
export interface Points {
  text: string;
  rows: number;
  dropped: Record<string, number>;
}

/** Everything in slabs of this size, one after the other. */
export function writePoints(
  writer: Writer<"metrics">,
  range: Range<"metrics">,
  slabLength = 1 << 22,
): Points {
  const points: Points = { text: "", rows: 0, dropped: {} };
  for (let from = 0; from < range.items; ) {
    const slab = slabOf(slabLength);
    const written = writer.write(range, from, range.items, slab);
    if (written.to === from) throw new Error(`item ${from} does not fit ${slabLength} bytes`);
    from = written.to;
    points.rows += written.rows;
    for (const [reason, n] of written.dropped)
      points.dropped[reason] = (points.dropped[reason] ?? 0) + n;
    points.text += textOf(slab);
  }
  return points;
}
