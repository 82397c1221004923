import { idAt, nonZero } from "../../otlp/scan.ts";
import { Item, Point, PointFlags } from "../../otlp/tape.ts";
import type { JsonWriter } from "../../otlp/value-json.ts";
import { copy } from "../../wire/copy.ts";
import { writeHex } from "../../wire/hex.ts";
import { writeDouble } from "../../wire/numbers.ts";
import { type BatchMemory, NO_BATCH } from "../batch-memory.ts";
import type { RowNames } from "../row-names.ts";
import { Reason } from "../values.ts";
import { Field, type MetricPlan } from "./metric-plan.ts";
import { NumberNames } from "./number-names.ts";
import { FieldWalk } from "./point-walk.ts";

const QUOTE = 34;
const EQUALS = 61;
const TWO_32 = 4_294_967_296;
/** A field called like a tag gets an underscore for each tag that is called so. */
const UNDERSCORES_MAX = 512;
/** Quantiles of a summary that are looked at. */
const QUANTILES_MAX = 1_000;

/** A fixed64 that is not negative, as near as a double comes to it. */
export function countAt(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * TWO_32 + view.getUint32(at, true);
}

/** A sfixed64, as near as a double comes to it. */
export function intAt(view: DataView, at: number): number {
  return view.getInt32(at + 4, true) * TWO_32 + view.getUint32(at, true);
}

/** Writes fields whose values are floats, and what all kinds of data points have in common. */
export class PointFields {
  readonly walk: FieldWalk;
  /** `left` is told of what (a Field) is left out, and why. */
  readonly left: (field: number, reason: number) => void;
  bytes: Uint8Array = NO_BATCH.bytes;
  view: DataView = NO_BATCH.view;
  tape: Int32Array = NO_BATCH.tape;
  /** Columns that the row has left for bounds and quantiles. */
  room = 0;
  readonly #numbers = new NumberNames();
  /** Those of the row. */
  readonly #quantiles = new Float64Array(QUANTILES_MAX);
  readonly #plan: MetricPlan;
  readonly #tagNames: RowNames;

  /** `tagNames` has the names of the row's tags, or none where no field is called like one. */
  constructor(
    plan: MetricPlan,
    json: JsonWriter,
    tagNames: RowNames,
    left: (field: number, reason: number) => void,
  ) {
    this.#plan = plan;
    this.#tagNames = tagNames;
    this.walk = new FieldWalk(json);
    this.left = left;
  }

  open({ bytes, view, tape }: BatchMemory): void {
    this.bytes = bytes;
    this.view = view;
    this.tape = tape;
  }

  /** `,name=` of a Field. */
  head(out: DataView, at: number, field: number): number {
    const { constants, fields } = this.#plan;
    const text = fields[field]!;
    return this.#apart(out, at, copy(out, at, constants.view, text.at, text.length));
  }

  /** `,0.05=` */
  numberHead(out: DataView, at: number, name: number): number {
    return this.#apart(out, at, this.#numbers.write(out, at, name));
  }

  /** The end of a head, once its name is like none of the tags' (mapping §1.8). */
  #apart(out: DataView, at: number, end: number): number {
    if (this.#tagNames.count === 0) return end;
    const stop = this.#tagNames.free(out, at + 1, end - 1, UNDERSCORES_MAX);
    out.setUint8(stop, EQUALS);
    return stop + 1;
  }

  /** A field with a double's value, or nothing (and one drop told) where it is NaN or infinite. */
  float(out: DataView, at: number, field: number, value: number): number {
    if (Number.isFinite(value)) return writeDouble(out, this.head(out, at, field), value);
    this.left(field, Reason.not_finite);
    return at;
  }

  /** The value of a gauge's or sum's point: nothing where it has none. */
  number(out: DataView, at: number, item: number, field: number): number {
    const from = this.tape[item + Point.value]!;
    if (from < 0) return at;
    const isInt = (this.tape[item + Item.flags]! & PointFlags.valueIsInt) !== 0;
    return this.float(
      out,
      at,
      field,
      isInt ? intAt(this.view, from) : this.view.getFloat64(from, true),
    );
  }

  /** `count` and `sum` of the others. A count that is absent is 0; so is a sum with `isSumNeeded`: that of a summary is not optional in OTLP. */
  countAndSum(out: DataView, at: number, item: number, isSumNeeded = false): number {
    const o = this.float(out, at, Field.count, this.count(item));
    const from = this.tape[item + Point.sum]!;
    if (from >= 0) return this.float(out, o, Field.sum, this.view.getFloat64(from, true));
    return isSumNeeded ? this.float(out, o, Field.sum, 0) : o;
  }

  count(item: number): number {
    const from = this.tape[item + Point.value]!;
    return from < 0 ? 0 : countAt(this.view, from);
  }

  /** `min` and `max` at the given positions; -1 is none. */
  extremes(out: DataView, at: number, min: number, max: number): number {
    let o = at;
    if (min >= 0) o = this.float(out, o, Field.min, this.view.getFloat64(min, true));
    if (max >= 0) o = this.float(out, o, Field.max, this.view.getFloat64(max, true));
    return o;
  }

  /** A field for each quantile; of equal ones the first. */
  quantiles(out: DataView, at: number, item: number): number {
    const { walk, view } = this;
    const end = this.tape[item + Item.end]!;
    let o = at;
    let written = 0;
    let next = this.tape[item + Point.bucketsAt]!;
    for (let n = 0; next >= 0; n++) {
      if (n === QUANTILES_MAX) {
        this.left(Field.quantiles, Reason.over_limit);
        break;
      }
      const stop = walk.payloadEnd(next, end);
      let quantile = 0;
      let value = 0;
      walk.open(next, stop);
      while (walk.next()) {
        if (walk.tag === 0x09) quantile = view.getFloat64(walk.from, true);
        else if (walk.tag === 0x11) value = view.getFloat64(walk.from, true);
      }
      next = this.#nextQuantile(stop, end);
      if (!Number.isFinite(quantile) || !Number.isFinite(value))
        this.left(Field.quantiles, Reason.not_finite);
      else if (this.#isWritten(quantile, written)) this.left(Field.quantiles, Reason.repeated);
      else if (written === this.room) this.left(Field.quantiles, Reason.over_limit);
      else {
        o = writeDouble(out, this.numberHead(out, o, quantile), value);
        this.#quantiles[written++] = quantile;
      }
    }
    return o;
  }

  #isWritten(quantile: number, written: number): boolean {
    const quantiles = this.#quantiles;
    for (let i = 0; i < written; i++) if (quantiles[i] === quantile) return true;
    return false;
  }

  /** Content of the first ValueAtQuantile in the fields [from, end) of a summary's point, or -1. */
  #nextQuantile(from: number, end: number): number {
    this.walk.open(from, end);
    while (this.walk.next()) if (this.walk.tag === 0x32) return this.walk.from;
    return -1;
  }

  /** Value and ids of the last exemplar (never tags). */
  exemplar(out: DataView, at: number, item: number): number {
    const from = this.tape[item + Point.exemplar]!;
    if (from < 0) return at;
    const { walk, view } = this;
    let value = Number.NaN;
    let hasValue = false;
    let trace = -1;
    let span = -1;
    walk.open(from, walk.payloadEnd(from, this.tape[item + Item.end]!));
    while (walk.next()) {
      const { tag } = walk;
      if (tag === 0x19 || tag === 0x31) {
        hasValue = true; // Exemplar.as_double, as_int
        value = tag === 0x19 ? view.getFloat64(walk.from, true) : intAt(view, walk.from);
      } else if (tag === 0x2a) trace = walk.end === walk.from ? -1 : idAt(view, walk.from);
      else if (tag === 0x22) span = walk.end === walk.from ? -1 : nonZero(view, walk.from);
    }
    let o = hasValue ? this.float(out, at, Field.exemplar_value, value) : at;
    if (trace >= 0) o = this.#id(out, o, Field.exemplar_trace_id, trace, 16);
    if (span >= 0) o = this.#id(out, o, Field.exemplar_span_id, span, 8);
    return o;
  }

  #id(out: DataView, at: number, field: number, from: number, length: number): number {
    const o = this.head(out, at, field);
    out.setUint8(o, QUOTE);
    const end = writeHex(out, o + 1, this.view, from, length);
    out.setUint8(end, QUOTE);
    return end + 1;
  }
}
