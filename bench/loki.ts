import type { Range } from "../src/otlp/range.ts";
import { LokiWriter } from "../src/series/loki/writer.ts";
import { shippedTables } from "../src/series/tables/load.ts";
import { indexer, indexOf, type Job, makeSlab } from "./cases.ts";

/** Wire bytes → Loki's push request before snappy: index and write, as the service does for each frame. */
export function lokiJob(payloads: readonly Uint8Array[]): Job {
  const writer = new LokiWriter({
    tables: shippedTables(),
    keys: indexer.keys,
    labels: [],
    limits: { lineBytes: 1 << 18, bytes: 1 << 16, pairs: 128, maxAgeMs: 0, maxAheadMs: 0 },
    nowMs: Date.now,
    onLeftOut: () => {},
    onSplit: () => {},
  });
  const slab = makeSlab(2 << 20);
  const note = new Uint8Array(0);
  let turn = 0;
  return () => {
    const batch = indexOf("logs", payloads[turn++ % payloads.length] as Uint8Array);
    const frames = [{ seq: 1, batch, arrivalMs: 0, note }];
    const range: Range<"logs"> = { first: 1, last: 1, frames, items: batch.items };
    for (let from = 0; from < batch.items; ) {
      slab.length = 0;
      from = writer.write(range, from, batch.items, slab).to;
    }
    return batch.items;
  };
}
