import type { Batch } from "../otlp/batch.ts";
import type { Indexer } from "../otlp/indexer.ts";
import type { Range } from "../otlp/range.ts";
import type { Signal } from "../otlp/tape.ts";
import type { Slab, Writer, Written } from "../series/writer.ts";
import { SLACK } from "../wire/slack.ts";

/** Cuts items [from, to) out of a batch, with their resource and scope. */
export type Pick = <T extends Signal>(
  indexer: Indexer,
  batch: Batch<T>,
  from: number,
  to: number,
) => Batch<T>;

/** Puts a batch behind what is in the slab; false when it does not fit, and then the slab is unchanged. */
export type Put<S extends Signal> = (batch: Batch<S>, out: Slab) => boolean;

const NOTHING: ReadonlyMap<string, number> = new Map();

/** A writer of whole requests: one row per item, frames one after the other, cut only where a part of a frame is asked for or fits. */
export class RequestWriter<S extends Signal> implements Writer<S> {
  readonly #indexer: Indexer;
  readonly #pick: Pick;
  readonly #put: Put<S>;
  constructor(indexer: Indexer, pick: Pick, put: Put<S>) {
    this.#indexer = indexer;
    this.#pick = pick;
    this.#put = put;
  }

  write(range: Range<S>, from: number, to: number, out: Slab): Written {
    let first = 0;
    let done = from;
    for (const { batch } of range.frames) {
      const end = first + batch.items;
      if (end > done && done < to) {
        const wanted = Math.min(end, to);
        done = first + this.#frame(batch, done - first, wanted - first, done > from, out);
        if (done < wanted) break;
      }
      first = end;
    }
    return { to: done, rows: done - from, dropped: NOTHING };
  }

  itemOfRow(_range: Range<S>, from: number, row: number): number {
    return from + row;
  }

  /** Items [from, …) of one frame; returns where it stopped. A frame is cut to make it fit only when the slab is empty. */
  #frame(batch: Batch<S>, from: number, to: number, behind: boolean, out: Slab): number {
    for (let end = to; end > from; end = from + ((end - from) >>> 1)) {
      const whole = from === 0 && end === batch.items;
      const part = whole ? batch : this.#pick(this.#indexer, batch, from, end);
      if (this.#put(part, out)) return end;
      if (behind) return from;
    }
    return from;
  }
}

/** Appends bytes to a slab when they fit. */
export function putBytes(bytes: Uint8Array, length: number, out: Slab): boolean {
  if (out.length + length > out.bytes.length - SLACK) return false;
  out.bytes.set(bytes.subarray(0, length), out.length);
  out.length += length;
  return true;
}

/** What a batch reads as, for people or for a file. */
export type BatchText = <S extends Signal>(batch: Batch<S>) => string;

/** A writer of whole requests as UTF-8 text. */
export function textWriter<S extends Signal>(
  indexer: Indexer,
  pick: Pick,
  text: BatchText,
): RequestWriter<S> {
  const encoder = new TextEncoder();
  return new RequestWriter<S>(indexer, pick, (batch, slab) => {
    const bytes = encoder.encode(text(batch));
    return putBytes(bytes, bytes.length, slab);
  });
}
