import { Item, Point, PointFlags } from "../../otlp/tape.ts";
import { writeDouble, writeUnder20000 } from "../../wire/numbers.ts";
import { Reason } from "../values.ts";
import { Field } from "./metric-plan.ts";
import { countAt, type PointFields } from "./point-fields.ts";

/** A count that is small more often than not. */
export function writeCount(out: DataView, at: number, count: number): number {
  return count < 20_000 ? writeUnder20000(out, at, count) : writeDouble(out, at, count);
}

/** The fields of a histogram's point: count, sum, min, max, then how many values there are up to each bound, then `+Inf`. */
export function writeHistogram(
  fields: PointFields,
  out: DataView,
  at: number,
  item: number,
): number {
  const { tape, walk } = fields;
  let min = -1;
  let max = -1;
  if ((tape[item + Item.flags]! & (PointFlags.hasMin | PointFlags.hasMax)) !== 0) {
    walk.open(tape[item + Item.at]!, tape[item + Item.end]!);
    while (walk.next()) {
      if (walk.tag === 0x59) min = walk.from;
      else if (walk.tag === 0x61) max = walk.from;
    }
  }
  const o = fields.countAndSum(out, at, item);
  return writeBounds(fields, out, fields.extremes(out, o, min, max), item);
}

/** The bounds of a histogram. One that does not rise above those before it is left out: its values count for the next. */
function writeBounds(fields: PointFields, out: DataView, at: number, item: number): number {
  const { tape, view, walk } = fields;
  const end = tape[item + Item.end]!;
  const countsAt = tape[item + Point.bucketsAt]!;
  const boundsAt = tape[item + Point.boundsAt]!;
  const counts = countsAt < 0 ? 0 : (walk.payloadEnd(countsAt, end) - countsAt) >>> 3;
  if (counts === 0) return at;
  const bounds = boundsAt < 0 ? 0 : (walk.payloadEnd(boundsAt, end) - boundsAt) >>> 3;
  // Some senders leave out the last bucket, which `count` tells anyway.
  if (bounds !== counts && bounds !== counts - 1) {
    fields.left(Field.bounds, Reason.malformed);
    return at;
  }
  const step = bounds > fields.room ? Math.ceil(bounds / fields.room) : 1;
  let o = at;
  let sum = 0;
  let before = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < bounds; i++) {
    sum += countAt(view, countsAt + 8 * i);
    const bound = view.getFloat64(boundsAt + 8 * i, true);
    if (!(bound > before)) fields.left(Field.bounds, Reason.malformed);
    else if (step > 1 && (i + 1) % step !== 0) fields.left(Field.bounds, Reason.over_limit);
    else {
      before = bound;
      if (bound === Number.POSITIVE_INFINITY) break;
      o = writeCount(out, fields.numberHead(out, o, bound), sum);
    }
  }
  return writeCount(out, fields.head(out, o, Field.infinity), fields.count(item));
}
