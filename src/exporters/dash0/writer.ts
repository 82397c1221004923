import { lineShapeRemover } from "../../kit/line-shape.ts";
import type { Pick } from "../../kit/request-writer.ts";
import { putBytes, RequestWriter } from "../../kit/request-writer.ts";
import type { Batch } from "../../otlp/batch.ts";
import type { Indexer } from "../../otlp/indexer.ts";
import type { Range } from "../../otlp/range.ts";
import { Item, Log, NodeType, type Signal } from "../../otlp/tape.ts";
import type { Slab, Writer, Written } from "../../series/writer.ts";
import { SLACK } from "../../wire/slack.ts";
import { LONGEST_BODY, withSplitBodies } from "./split-bodies.ts";

const TOO_OLD = "too_old";

/**
 * Writes what Dash0 takes: nothing that is too old, and no log body that it would cut. What is too old depends on the clock, so a
 * retry may leave out more than the attempt before; each says so in `dropped`.
 */
export class Dash0Writer<S extends Signal> implements Writer<S> {
  readonly #requests: RequestWriter<S>;
  readonly #maxAgeMs: number;
  readonly #nowMs: () => number;
  /** Of the call that runs. */
  #oldest = 0;
  #dropped = 0;

  /** `maxAgeMs`: 0 = no limit. */
  constructor(indexer: Indexer, pick: Pick, maxAgeMs: number, nowMs: () => number) {
    const strip = lineShapeRemover(indexer.keys);
    this.#maxAgeMs = maxAgeMs;
    this.#nowMs = nowMs;
    this.#requests = new RequestWriter<S>(indexer, pick, (batch, out) =>
      this.#put(strip(batch), out),
    );
  }

  write(range: Range<S>, from: number, to: number, out: Slab): Written {
    this.#oldest = this.#maxAgeMs > 0 ? this.#nowMs() - this.#maxAgeMs : Number.NEGATIVE_INFINITY;
    this.#dropped = 0;
    const written = this.#requests.write(range, from, to, out);
    const dropped = this.#dropped;
    if (dropped === 0) return written;
    return { ...written, rows: written.rows - dropped, dropped: new Map([[TOO_OLD, dropped]]) };
  }

  itemOfRow(): number {
    return -1;
  }

  #put(batch: Batch<S>, out: Slab): boolean {
    const kept = withoutOld(batch, this.#oldest);
    const dropped = batch.items - (kept?.items ?? 0);
    if (kept !== undefined && !put(kept, out)) return false;
    this.#dropped += dropped;
    return true;
  }
}

function put(batch: Batch, out: Slab): boolean {
  if (!hasLongBody(batch)) return putBytes(batch.bytes, batch.length, out);
  const split = withSplitBodies(batch, out.bytes.length - SLACK - out.length);
  return split !== undefined && putBytes(split.bytes, split.length, out);
}

/** Undefined when nothing is left. */
function withoutOld<S extends Signal>(batch: Batch<S>, oldestMs: number): Batch<S> | undefined {
  const isOld = itemsOf(batch).map((at) => timeMs(batch, at) < oldestMs);
  if (!isOld.includes(true)) return batch;
  if (!isOld.includes(false)) return undefined;
  const draft = batch.draft();
  let item = 0;
  for (let more = draft.items.first(); more; more = draft.items.next())
    if (isOld[item++]) draft.items.drop(TOO_OLD);
  return draft.seal();
}

function hasLongBody(batch: Batch): boolean {
  const { tape } = batch;
  return (
    batch.signal === "logs" &&
    batch.length > LONGEST_BODY &&
    itemsOf(batch).some(
      (at) => (tape[at + Log.bodyEnd] ?? 0) - (tape[at + Log.bodyAt] ?? 0) > LONGEST_BODY,
    )
  );
}

/** An item without a time is as young as can be. */
function timeMs({ tape, view }: Batch, at: number): number {
  const time = tape[at + Item.time] ?? -1;
  if (time < 0) return Number.POSITIVE_INFINITY;
  return (view.getUint32(time + 4, true) * 2 ** 32 + view.getUint32(time, true)) / 1e6;
}

/** Tape indexes of the items. */
function itemsOf({ tape }: Batch): number[] {
  const items: number[] = [];
  for (let at = 0; at < tape.length; at += (tape[at] ?? 0) >>> 2)
    if (((tape[at] ?? 0) & 3) === NodeType.item) items.push(at);
  return items;
}
