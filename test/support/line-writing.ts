import type { Batch } from "../../src/otlp/batch.ts";
import type { Indexer } from "../../src/otlp/indexer.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import type { Range } from "../../src/otlp/range.ts";
import type { Signal } from "../../src/otlp/tape.ts";
import type { Slab, Writer } from "../../src/series/writer.ts";
import { SLACK, withSlack } from "../../src/wire/slack.ts";

/** One indexer for the tests of a file. */
export const indexer: Indexer = createIndexer();

export function batchOf(bytes: Uint8Array): Batch<"logs"> {
  return batchOfSignal("logs", bytes);
}

export function batchOfSignal<S extends Signal>(signal: S, bytes: Uint8Array): Batch<S> {
  const indexed = indexer.index(signal, withSlack(bytes), bytes.length);
  if (!("batch" in indexed)) throw new Error(indexed.why);
  return indexed.batch;
}

export function rangeOf<S extends Signal>(
  batches: readonly Batch<S>[],
  arrivalMs: number,
): Range<S> {
  return {
    first: 1,
    last: batches.length,
    frames: batches.map((batch, i) => ({ seq: i + 1, batch, arrivalMs, note: new Uint8Array(0) })),
    items: batches.reduce((sum, batch) => sum + batch.items, 0),
  };
}

/** A slab for `length` bytes, its memory at an odd offset. */
export function slabOf(length: number): Slab {
  const memory = new Uint8Array(length + SLACK + 8);
  const bytes = memory.subarray(3, 3 + length + SLACK);
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), length: 0 };
}

export function textOf(slab: Slab): string {
  return Buffer.from(slab.bytes.subarray(0, slab.length)).toString("utf8");
}

/** Everything in slabs of this size, one after the other; with the numbers of rows and of items without one. */
export function writeAll<S extends Signal>(
  writer: Writer<S>,
  range: Range<S>,
  slabLength = 1 << 22,
): { text: string; rows: number; dropped: number } {
  let text = "";
  let rows = 0;
  let dropped = 0;
  for (let from = 0; from < range.items; ) {
    const slab = slabOf(slabLength);
    const written = writer.write(range, from, range.items, slab);
    if (written.to === from) throw new Error(`item ${from} does not fit ${slabLength} bytes`);
    from = written.to;
    rows += written.rows;
    for (const n of written.dropped.values()) dropped += n;
    text += textOf(slab);
  }
  return { text, rows, dropped };
}
