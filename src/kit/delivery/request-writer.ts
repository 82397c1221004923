import type { Batch } from "../../otlp/batch.ts";
import type { Indexer } from "../../otlp/indexer.ts";
import type { Range } from "../../otlp/range.ts";
import { Group, Item, NodeType, type Signal } from "../../otlp/tape.ts";
import type { Slab, Writer, Written } from "../../series/writer.ts";
import { SLACK } from "../../wire/slack.ts";

/** Cuts items [from, to) out of a batch, with their resource and scope. */
export type Pick = <T extends Signal>(
  indexer: Indexer,
  batch: Batch<T>,
  from: number,
  to: number,
) => Batch<T>;

/** Puts a batch behind what is in the slab; false when it does not fit, and then the slab is unchanged. */
export type Put<S extends Signal> = (batch: Batch<S>, out: Slab) => boolean;

/** A batch as bytes in memory that nobody changes; undefined when it has to be written. */
export type BytesOf<S extends Signal> = (batch: Batch<S>) => Uint8Array | undefined;

const NOTHING: ReadonlyMap<string, number> = new Map();
/**
 * Requests that are cut out of one stretch of a large batch. To cut looks at the whole batch: without stretches, a batch of many requests
 * would be looked at as many times.
 */
const STRETCH = 16;

/** Items [from, to) of a batch, cut out. */
interface Stretch<S extends Signal> {
  readonly from: number;
  readonly to: number;
  readonly batch: Batch<S>;
}

/** A writer of whole requests: one row per item, frames one after the other, cut only where a part of a frame is asked for or fits. */
export class RequestWriter<S extends Signal> implements Writer<S> {
  readonly #indexer: Indexer;
  readonly #pick: Pick;
  readonly #put: Put<S>;
  readonly #isShort: boolean;
  readonly #bytesOf: BytesOf<S> | undefined;
  /** The last stretch of each batch. */
  readonly #stretches = new WeakMap<Batch<S>, Stretch<S>>();

  /** `isShort`: what `put` writes of an item does not grow with the item. `bytesOf`: what `put` would write, where it lies in memory. */
  constructor(indexer: Indexer, pick: Pick, put: Put<S>, isShort = false, bytesOf?: BytesOf<S>) {
    this.#indexer = indexer;
    this.#pick = pick;
    this.#put = put;
    this.#isShort = isShort;
    this.#bytesOf = bytesOf;
  }

  /** The bytes of one whole frame, when that is all there is to send. */
  ready(range: Range<S>, from: number, to: number, most: number): Uint8Array | undefined {
    if (this.#bytesOf === undefined) return undefined;
    let first = 0;
    for (const { batch } of range.frames) {
      const end = first + batch.items;
      if (from < end) {
        const bytes = from === first && to === end ? this.#bytesOf(batch) : undefined;
        return bytes !== undefined && bytes.length <= most ? bytes : undefined;
      }
      first = end;
    }
    return undefined;
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

  /**
   * Items [from, …) of one frame; returns where it stopped. A frame is cut to make it fit only when the slab is empty; and what is
   * larger on the wire than the slab is taken not to fit, so that nothing huge is copied or written in vain.
   */
  #frame(batch: Batch<S>, from: number, to: number, behind: boolean, out: Slab): number {
    const room = out.bytes.length - SLACK - out.length;
    const first = this.#isShort ? to : firstBeyond(batch, from, to, room);
    if (behind && first < to) return from;
    for (let end = first; end > from; end = from + ((end - from) >>> 1)) {
      const whole = from === 0 && end === batch.items;
      const part = whole ? batch : this.#cut(batch, from, end);
      if (this.#put(part, out)) return end;
      if (behind) return from;
    }
    return from;
  }

  #cut(batch: Batch<S>, from: number, to: number): Batch<S> {
    const end = Math.min(batch.items, from + STRETCH * (to - from));
    let stretch = this.#stretches.get(batch);
    if (stretch === undefined || from < stretch.from || to > stretch.to) {
      if (end - from >= batch.items >>> 1) return this.#pick(this.#indexer, batch, from, to);
      stretch = { from, to: end, batch: this.#pick(this.#indexer, batch, from, end) };
      this.#stretches.set(batch, stretch);
    }
    return this.#pick(this.#indexer, stretch.batch, from - stretch.from, to - stretch.from);
  }
}

/** Lengths and tags around the first item of a request that was cut out. */
const FRAMING = 64;

/** The first of the items [from, to) that does not fit into `room` bytes together with those before it; `to` when all do. */
function firstBeyond(batch: Batch, from: number, to: number, room: number): number {
  if (batch.length <= room) return to;
  const { tape } = batch;
  const int = (at: number) => tape[at] ?? 0;
  let item = 0;
  let limit = -1;
  for (let at = 0; at < tape.length && item < to; at += int(at) >>> 2) {
    if ((int(at) & 3) !== NodeType.item) continue;
    if (item === from) {
      if (int(at + Item.end) - int(at + Item.at) > room) return from;
      const group = int(at + Item.group);
      const resource = int(group + Group.resourceEnd) - int(group + Group.resourceAt);
      const scope = int(group + Group.scopeEnd) - int(group + Group.scopeAt);
      limit = int(at + Item.at) + room - resource - scope - FRAMING;
    } else if (item > from && int(at + Item.end) > limit) return item;
    item++;
  }
  return to;
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

/** Puts batches as UTF-8 text. */
export function textPut<S extends Signal>(text: BatchText): Put<S> {
  const encoder = new TextEncoder();
  return (batch, slab) => {
    const bytes = encoder.encode(text(batch));
    return putBytes(bytes, bytes.length, slab);
  };
}

/** A writer of whole requests as UTF-8 text. `isShort`: see RequestWriter. */
export function textWriter<S extends Signal>(
  indexer: Indexer,
  pick: Pick,
  text: BatchText,
  isShort = false,
): RequestWriter<S> {
  return new RequestWriter<S>(indexer, pick, textPut<S>(text), isShort);
}
