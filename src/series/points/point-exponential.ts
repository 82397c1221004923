import { Item, Point } from "../../otlp/tape.ts";
import type { JsonWriter } from "../../otlp/value-json.ts";
import { Reason } from "../values.ts";
import { Field } from "./metric-plan.ts";
import { writeCount } from "./point-buckets.ts";
import { countAt, type PointFields } from "./point-fields.ts";

const TWO_32 = 4_294_967_296;
/** Bounds of one row, zero included (mapping §5). */
const BOUNDS_MAX = 160;
/** Two buckets on either side of zero are left however far buckets are merged, and zero itself. */
const BOUNDS_LEAST = 5;

/** The buckets of one sign: those of `[offset, offset + length)`, their counts as varints. */
class Buckets {
  offset = 0;
  length = 0;
  from = 0;
  end = 0;

  clear(): void {
    this.offset = 0;
    this.length = 0;
    this.from = 0;
    this.end = 0;
  }

  /** How many there are once `step` of them are one. */
  merged(step: number): number {
    if (this.length === 0) return 0;
    const last = this.offset + this.length - 1;
    return Math.floor(last / step) - Math.floor(this.offset / step) + 1;
  }
}

/**
 * Exponential histograms: a field for the upper bound of each bucket, from the lowest negative one through `0` to the highest. Where
 * there are too many, as many neighbours as needed become one bucket, as if the scale were smaller.
 */
export class ExponentialFields {
  readonly #fields: PointFields;
  readonly #json: JsonWriter;
  readonly #negative = new Buckets();
  readonly #positive = new Buckets();
  #scale = 0;
  #step = 1;
  /** Values up to the latest bound. */
  #sum = 0;
  /** The latest bound, and where its field starts: one that is equal, as a double is, takes its place. */
  #bound = Number.NaN;
  #boundAt = 0;

  constructor(fields: PointFields, json: JsonWriter) {
    this.#fields = fields;
    this.#json = json;
  }

  write(out: DataView, at: number, item: number): number {
    const fields = this.#fields;
    const { tape, view, walk } = fields;
    let min = -1;
    let max = -1;
    let zeros = 0;
    this.#scale = 0;
    walk.open(tape[item + Item.at]!, tape[item + Item.end]!);
    while (walk.next()) {
      if (walk.tag === 0x30) this.#scale = this.#zigzag(walk.from);
      else if (walk.tag === 0x39) zeros = countAt(view, walk.from);
      else if (walk.tag === 0x61) min = walk.from;
      else if (walk.tag === 0x69) max = walk.from;
    }
    const limit = tape[item + Item.end]!;
    this.#read(this.#positive, tape[item + Point.bucketsAt]!, limit);
    this.#read(this.#negative, tape[item + Point.boundsAt]!, limit);
    const o = fields.extremes(out, fields.countAndSum(out, at, item), min, max);
    if (fields.room < BOUNDS_LEAST) {
      fields.left(Field.bounds, Reason.over_limit);
      return o;
    }
    this.#step = 1;
    const most = Math.min(BOUNDS_MAX, fields.room) - 1;
    while (this.#positive.merged(this.#step) + this.#negative.merged(this.#step) > most)
      this.#step *= 2;
    return this.#bounds(out, o, zeros, fields.count(item));
  }

  #bounds(out: DataView, at: number, zeros: number, count: number): number {
    this.#sum = 0;
    this.#bound = Number.NaN;
    let o = this.#below(out, at);
    this.#sum += zeros;
    o = this.#field(out, o, 0);
    o = this.#above(out, o);
    const fields = this.#fields;
    return writeCount(out, fields.head(out, o, Field.infinity), count);
  }

  /** Bucket i holds [-base^(i + 1), -base^i): from the highest i on, by the end of each varint. */
  #below(out: DataView, at: number): number {
    const { bytes } = this.#fields;
    const { offset, length, from } = this.#negative;
    const step = this.#step;
    let o = at;
    let p = this.#negative.end;
    for (let i = offset + length - 1; i >= offset; i--) {
      do p--;
      while (p > from && bytes[p - 1]! > 127);
      this.#add(p);
      if (i === offset || i % step === 0)
        o = this.#field(out, o, -this.#power(Math.floor(i / step) * step));
    }
    return o;
  }

  /** Bucket i holds (base^i, base^(i + 1)]. */
  #above(out: DataView, at: number): number {
    const { offset, length, from } = this.#positive;
    const step = this.#step;
    let o = at;
    let p = from;
    for (let i = offset; i < offset + length; i++) {
      p = this.#add(p);
      if (i === offset + length - 1 || (i + 1) % step === 0)
        o = this.#field(out, o, this.#power(Math.ceil((i + 1) / step) * step));
    }
    return o;
  }

  /** How many values there are up to a bound. One that no double holds is not written: `+Inf` tells it. */
  #field(out: DataView, at: number, bound: number): number {
    if (!Number.isFinite(bound)) return at;
    if (bound !== this.#bound) this.#boundAt = at;
    this.#bound = bound;
    const o = this.#fields.numberHead(out, this.#boundAt, bound);
    return writeCount(out, o, this.#sum);
  }

  /** base^index, where base = 2^(2^-scale). */
  #power(index: number): number {
    return index === 0 ? 1 : 2 ** (index * 2 ** -this.#scale);
  }

  #add(p: number): number {
    const next = this.#json.varint(p);
    this.#sum += (this.#json.high >>> 0) * TWO_32 + (this.#json.low >>> 0);
    return next;
  }

  /** Buckets: the message whose content is at `at`; -1 is none. */
  #read(buckets: Buckets, at: number, limit: number): void {
    buckets.clear();
    if (at < 0) return;
    const { walk, bytes } = this.#fields;
    walk.open(at, walk.payloadEnd(at, limit));
    while (walk.next()) {
      if (walk.tag === 0x08) buckets.offset = this.#zigzag(walk.from);
      else if (walk.tag === 0x12) {
        buckets.from = walk.from;
        buckets.end = walk.end;
      }
    }
    for (let p = buckets.from; p < buckets.end; p++) if (bytes[p]! < 128) buckets.length++;
  }

  /** A sint32. */
  #zigzag(p: number): number {
    this.#json.varint(p);
    return (this.#json.low >>> 1) ^ -(this.#json.low & 1);
  }
}
