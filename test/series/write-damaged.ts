import type { Signal } from "../../src/otlp/tape.ts";
import type { Writer } from "../../src/series/writer.ts";
import { withSlack } from "../../src/wire/slack.ts";
import { indexer, rangeOf, slabOf } from "../support/line-writing.ts";
import { damagedCopy, type Random } from "../support/seeded.ts";

/** What the indexer takes of a damaged request is written without an error, and never more than fits. */
export function writeDamaged<S extends Signal>(
  signal: S,
  bytes: Uint8Array,
  writer: Writer<S>,
  arrivalMs: number,
  random: Random,
): void {
  const broken = damagedCopy(bytes, random);
  const indexed = indexer.index(signal, withSlack(broken), broken.length);
  if ("refused" in indexed || indexed.batch.items === 0) return;
  const range = rangeOf([indexed.batch], arrivalMs);
  const slab = slabOf(300 + random(1 << 18));
  for (let item = 0; item < range.items; ) {
    slab.length = 0;
    const { to } = writer.write(range, item, range.items, slab);
    if (slab.length > slab.bytes.length) throw new Error("more was written than fits");
    if (to === item) break;
    item = to;
  }
}
