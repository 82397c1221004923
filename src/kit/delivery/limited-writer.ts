import type { Batch } from "../../otlp/batch.ts";
import type { Indexer } from "../../otlp/indexer.ts";
import type { Range } from "../../otlp/range.ts";
import { Item, NodeType, type Signal } from "../../otlp/tape.ts";
import type { Slab, Writer, Written } from "../../series/writer.ts";
import { SLACK, withSlack } from "../../wire/slack.ts";
import {
  type AttributeLimits,
  type LeftOut,
  type LeftOutReason,
  mayBeOver,
  roomOf,
  trim,
} from "./attribute-limits.ts";
import { lineShapeRemover } from "./line-shape.ts";
import { putProtobuf } from "./otlp-writer.ts";
import { type Pick, type Put, RequestWriter } from "./request-writer.ts";
import { type BodyParts, hasLongBody, withSplitBodies } from "./split-bodies.ts";

/** What a destination takes of OTLP. */
export interface ItemLimits {
  /** Milliseconds before and after now; 0: no limit. */
  readonly maxAgeMs: number;
  readonly maxAheadMs: number;
  /** Of log records. */
  readonly body?: BodyParts;
  readonly attributes?: AttributeLimits;
}

interface Options<S extends Signal> {
  readonly indexer: Indexer;
  readonly pick: Pick;
  readonly put: Put<S>;
  readonly limits: ItemLimits;
  readonly nowMs: () => number;
  readonly leftOut: LeftOut;
}

const NOTHING: ReadonlyMap<string, number> = new Map();
const REASONS = ["too_old", "too_new"] as const;

/**
 * Writes OTLP requests with nothing in them that the destination would refuse, cut or drop without a word. What is too old depends on
 * the clock, so a retry may leave out more than the attempt before; each says so in `dropped`. What is within the limits keeps its bytes.
 */
export class LimitedOtlpWriter<S extends Signal> implements Writer<S> {
  readonly #options: Options<S>;
  readonly #requests: RequestWriter<S>;
  /** Of the call that runs. */
  #oldest = 0;
  #newest = 0;
  readonly #dropped = new Map<string, number>();

  constructor(options: Options<S>) {
    const { indexer, pick } = options;
    const strip = lineShapeRemover(indexer.keys);
    const bytesOf = (batch: Batch<S>) => {
      const stripped = strip(batch);
      const { bytes, length } = stripped;
      return this.#isWithin(stripped) ? bytes.subarray(0, length) : undefined;
    };
    this.#options = options;
    this.#requests = new RequestWriter<S>(
      indexer,
      pick,
      (batch, out) => this.#put(strip(batch), out),
      false,
      options.put === putProtobuf<S> ? bytesOf : undefined,
    );
  }

  /** The bytes of one whole frame, when all in it is within the limits. */
  ready(range: Range<S>, from: number, to: number, most: number): Uint8Array | undefined {
    this.#begin();
    return this.#requests.ready(range, from, to, most);
  }

  write(range: Range<S>, from: number, to: number, out: Slab): Written {
    this.#begin();
    const written = this.#requests.write(range, from, to, out);
    if (this.#dropped.size === 0) return { ...written, dropped: NOTHING };
    let { rows } = written;
    for (const n of this.#dropped.values()) rows -= n;
    return { ...written, rows, dropped: new Map(this.#dropped) };
  }

  itemOfRow(): number {
    return -1;
  }

  #begin(): void {
    const { limits, nowMs } = this.#options;
    const now = nowMs();
    this.#oldest = limits.maxAgeMs > 0 ? now - limits.maxAgeMs : Number.NEGATIVE_INFINITY;
    this.#newest = limits.maxAheadMs > 0 ? now + limits.maxAheadMs : Number.POSITIVE_INFINITY;
    this.#dropped.clear();
  }

  /** Whether `write` would change nothing. */
  #isWithin(batch: Batch<S>): boolean {
    const { attributes, body } = this.#options.limits;
    const longest = batch.signal === "logs" && body !== undefined ? body : undefined;
    const { tape } = batch;
    for (let at = 0; at < tape.length; at += (tape[at] ?? 0) >>> 2) {
      if (((tape[at] ?? 0) & 3) !== NodeType.item) continue;
      if (this.#fate(batch, at) !== undefined) return false;
      if (attributes !== undefined && mayBeOver(batch, at, attributes, 0)) return false;
      if (longest !== undefined && hasLongBody(batch, at, longest)) return false;
    }
    return true;
  }

  #put(batch: Batch<S>, out: Slab): boolean {
    const left = new Map<LeftOutReason, number>();
    const { kept, dropped } = this.#within(batch, (reason, n) =>
      left.set(reason, (left.get(reason) ?? 0) + n),
    );
    if (kept !== undefined && !this.#whole(kept, out)) return false;
    for (const [reason, n] of dropped)
      this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + n);
    for (const [reason, n] of left) this.#options.leftOut(reason, n);
    return true;
  }

  /** Puts a batch, with long bodies in parts. */
  #whole(batch: Batch<S>, out: Slab): boolean {
    const { limits, put, indexer } = this.#options;
    const { body } = limits;
    if (body === undefined || batch.signal !== "logs" || batch.length <= body.bytes)
      return put(batch, out);
    if (!itemsOf(batch).some((at) => hasLongBody(batch, at, body))) return put(batch, out);
    const split = withSplitBodies(batch, out.bytes.length - SLACK - out.length, body);
    if (split === undefined) return false;
    const bytes = split.bytes.subarray(0, split.length);
    const indexed = indexer.index(batch.signal, withSlack(bytes), split.length);
    if ("refused" in indexed) throw new Error(`a body in parts: ${indexed.why}`);
    return put(indexed.batch, out);
  }

  /** The batch without what is beyond the limits; `kept` is undefined when nothing is left. */
  #within(
    batch: Batch<S>,
    leftOut: LeftOut,
  ): { readonly kept: Batch<S> | undefined; readonly dropped: ReadonlyMap<string, number> } {
    const { attributes, body } = this.#options.limits;
    const items = itemsOf(batch);
    const fates = items.map((at) => this.#fate(batch, at));
    const reserved = (at: number) =>
      body !== undefined && batch.signal === "logs" && hasLongBody(batch, at, body)
        ? body.marks
        : 0;
    const isOver = (at: number) =>
      attributes !== undefined && mayBeOver(batch, at, attributes, reserved(at));
    const over = items.map((at, i) => fates[i] === undefined && isOver(at));
    if (!over.includes(true) && fates.every((fate) => fate === undefined))
      return { kept: batch, dropped: NOTHING };
    const draft = batch.draft();
    let item = 0;
    for (let more = draft.items.first(); more; more = draft.items.next(), item++) {
      const at = items[item] ?? 0;
      const fate = fates[item];
      if (fate !== undefined) draft.items.drop(fate);
      else if (attributes !== undefined && over[item])
        trim(draft.items, roomOf(batch, at, attributes, reserved(at)), attributes, leftOut);
    }
    const { dropped } = draft;
    const isEmpty = fates.every((fate) => fate !== undefined);
    return { kept: isEmpty ? undefined : draft.seal(), dropped };
  }

  #fate(batch: Batch, at: number): (typeof REASONS)[number] | undefined {
    const ms = timeMs(batch, at);
    if (ms < this.#oldest) return "too_old";
    return ms > this.#newest ? "too_new" : undefined;
  }
}

/** An item without a time is of now: NaN is neither too old nor too new. */
function timeMs({ tape, view }: Batch, at: number): number {
  const time = tape[at + Item.time] ?? -1;
  if (time < 0) return Number.NaN;
  return (view.getUint32(time + 4, true) * 2 ** 32 + view.getUint32(time, true)) / 1e6;
}

/** Tape indexes of the items. */
function itemsOf({ tape }: Batch): number[] {
  const items: number[] = [];
  for (let at = 0; at < tape.length; at += (tape[at] ?? 0) >>> 2)
    if (((tape[at] ?? 0) & 3) === NodeType.item) items.push(at);
  return items;
}
