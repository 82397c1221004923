import { type Dialect, LineText } from "../../line/writer.ts";
import type { Range, Stored } from "../../otlp/range.ts";
import {
  ENTRY,
  ITEM_HEADER,
  Item,
  MetricType,
  NodeType,
  Point,
  PointFlags,
} from "../../otlp/tape.ts";
import { JsonWriter } from "../../otlp/value-json.ts";
import { NanosWriter } from "../../wire/numbers.ts";
import { SLACK } from "../../wire/slack.ts";
import { type BatchMemory, NO_BATCH } from "../batch-memory.ts";
import { Drops } from "../drops.ts";
import { ItemTime } from "../item-time.ts";
import { KeyOrder } from "../order.ts";
import { FIELD_GROWTH, RowTypes } from "../row-types.ts";
import { COLUMNS_MAX } from "../tables/tables.ts";
import type { TypeRegistry } from "../type-registry.ts";
import { Reason, Scratch, Values } from "../values.ts";
import type { Slab, Writer, Written } from "../writer.ts";
import { COLUMN_BITS, type MetricPlan } from "./metric-plan.ts";
import { writeHistogram } from "./point-buckets.ts";
import { DROPPED, PointDrops } from "./point-drops.ts";
import { ExponentialFields } from "./point-exponential.ts";
import { PointFields } from "./point-fields.ts";
import { JSON_FACTOR, PointHead, TEXT_FACTOR } from "./point-head.ts";
import { PointTableRows } from "./point-table-rows.ts";
import { PointTags } from "./point-tags.ts";
import { ThoroughTags } from "./point-tags-thorough.ts";

const SPACE = 32;
const NEWLINE = 10;
/** count, sum, min, max, +Inf and the three of an exemplar. */
const OTHER_FIELDS = 8;
/** Bytes that a row takes beside what stands in its item: those fields, the time, names made longer. */
const FIXED_ROOM = 2_048;
/** Bytes by which the fields of a row can grow. */
const GROWTH = COLUMNS_MAX * FIELD_GROWTH;
/** Bytes that the bounds of an exponential histogram may take. */
const EXPONENTIAL_ROOM = 160 * 64;
/** What drops are told of (columns are counted from 0) and why. */
type Left = (column: number, reason: number) => void;

/** Data points → lines, by a compiled plan. One caller at a time; a call leaves nothing behind but caches. */
export class PointLineWriter implements Writer<"metrics"> {
  readonly #head: PointHead;
  readonly #tags: PointTags;
  readonly #thorough: ThoroughTags;
  readonly #fields: PointFields;
  readonly #exponential: ExponentialFields;
  readonly #tables: PointTableRows;
  readonly #drops: Drops;
  readonly #types: RowTypes | undefined;
  readonly #dropped = new PointDrops();
  readonly #json = new JsonWriter();
  readonly #order = new KeyOrder();
  readonly #time = new ItemTime();
  readonly #nanos = new NanosWriter();
  readonly #scratch = new Scratch();
  readonly #ownTable: number;
  readonly #tell: ((table: string, column: string, reason: string, n: number) => void) | undefined;
  #tape: Int32Array = new Int32Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  /** Why the item last passed made no row; 0: it made one. */
  #why = 0;
  #isPlain = false;
  /** The item is a point of a declared table. */
  #isTable = false;

  constructor(
    plan: MetricPlan,
    dialect: Dialect,
    tell?: (table: string, column: string, reason: string, n: number) => void,
    types?: TypeRegistry,
  ) {
    this.#types = types && new RowTypes(types, [], dialect);
    const lines = new LineText(dialect);
    const values = new Values(lines, this.#json);
    this.#drops = new Drops(plan.names, lines);
    this.#ownTable = plan.ownTable;
    this.#tell = tell;
    const left: Left = (column, reason) => this.#drops.column(column, reason);
    const leftTag = (reason: number) => this.#drops.other(this.#table(), reason);
    this.#head = new PointHead(plan, lines, values, left);
    this.#tags = new PointTags(plan, lines, values, this.#order, leftTag);
    this.#thorough = new ThoroughTags(plan, lines, values, this.#order, leftTag);
    this.#fields = new PointFields(plan, this.#json, this.#thorough.names, left);
    this.#exponential = new ExponentialFields(this.#fields, this.#json);
    this.#tables = new PointTableRows(
      plan,
      lines,
      values,
      this.#thorough,
      this.#order,
      this.#time,
      left,
    );
  }

  write(range: Range<"metrics">, from: number, to: number, out: Slab): Written {
    this.#types?.refresh();
    let base = 0;
    let done = from;
    let rows = 0;
    for (const frame of range.frames) {
      const { items, tape } = frame.batch;
      if (base + items <= from) {
        base += items;
        continue;
      }
      if (base >= to) break;
      const stop = Math.min(to - base, items);
      this.#open(frame);
      let item = 0;
      for (let at = 0; at < tape.length && item < stop; at += tape[at]! >>> 2) {
        if ((tape[at]! & 3) !== NodeType.item) continue;
        if (base + item >= from) {
          if (!this.#fits(at, stop - item, out)) return this.#written(done, rows);
          if (this.#why === DROPPED.none) rows++;
          else this.#dropped.add(this.#why);
          done++;
        }
        item++;
      }
      base += items;
    }
    return this.#written(done, rows);
  }

  itemOfRow(range: Range<"metrics">, from: number, row: number): number {
    return this.itemsOfRows(range, from, [row])[0]!;
  }

  itemsOfRows(range: Range<"metrics">, from: number, rows: readonly number[]): readonly number[] {
    this.#types?.refresh();
    const found: number[] = [];
    let base = 0;
    let seen = 0;
    for (const frame of range.frames) {
      this.#open(frame);
      const { tape } = frame.batch;
      let item = base;
      for (let at = 0; at < tape.length; at += tape[at]! >>> 2) {
        if ((tape[at]! & 3) !== NodeType.item) continue;
        if (item >= from) {
          this.#enter(at, base + frame.batch.items - item);
          this.#scratch.need(this.#room(at));
          this.#item(at, this.#scratch.view, 0);
          this.#drops.forget();
          if (this.#why === DROPPED.none && seen++ === rows[found.length]) {
            found.push(this.#isTable && this.#tables.isShared(at) ? -1 : item);
            if (found.length === rows.length) return found;
          }
        }
        item++;
      }
      base += frame.batch.items;
    }
    throw new RangeError(
      `row ${rows[found.length]} was not written: items from ${from} on make ${seen} rows`,
    );
  }

  #open({ batch, arrivalMs }: Stored<"metrics">): void {
    this.#time.open(arrivalMs);
    this.#use(batch);
  }

  #use(batch: BatchMemory): void {
    this.#tape = batch.tape;
    this.#view = batch.view;
    this.#json.reset(batch.bytes, batch.view);
    this.#order.reset(batch.bytes, batch.view, batch.tape);
    this.#head.open(batch);
    this.#tags.open(batch);
    this.#fields.open(batch);
    this.#tables.open(batch);
  }

  #written(to: number, rows: number): Written {
    this.#use(NO_BATCH);
    if (this.#tell !== undefined) this.#drops.report(this.#tell);
    return { to, rows, dropped: this.#dropped.take() };
  }

  /** Looks at an item, the first of the `left` that are to be written: before `#room` and `#item`. */
  #enter(at: number, left: number): void {
    const tape = this.#tape;
    const metric = tape[at + Point.metric]!;
    if (metric !== this.#head.metric) this.#head.enter(metric);
    this.#why = this.#head.dropped;
    if ((tape[at + Item.flags]! & PointFlags.noRecordedValue) !== 0)
      this.#why = DROPPED.no_recorded_value;
    this.#isTable = this.#head.column >= 0;
    if (this.#isTable) {
      if (this.#why !== DROPPED.none) return;
      this.#tables.prepare(at, left);
      this.#drops.forget();
      this.#why = this.#tables.reason(at);
      return;
    }
    const first = at + ITEM_HEADER;
    this.#isPlain = this.#tags.look(first, first + ENTRY * tape[at + Item.attributes]!);
  }

  /** Most bytes the row of the item can take. */
  #room(at: number): number {
    const room = this.#types?.isActive === true ? GROWTH : 0;
    return room + (this.#isTable ? this.#tables.room(at) : this.#ownRoom(at));
  }

  #ownRoom(at: number): number {
    const length = this.#tape[at + Item.end]! - this.#tape[at + Item.at]!;
    const factor = this.#tags.isOdd ? JSON_FACTOR : TEXT_FACTOR;
    const extra = this.#head.type === MetricType.exponentialHistogram ? EXPONENTIAL_ROOM : 0;
    return this.#head.length + FIXED_ROOM + extra + length * factor;
  }

  /** Writes the row of an item, or none and answers false. */
  #fits(at: number, left: number, out: Slab): boolean {
    this.#enter(at, left);
    if (this.#why !== DROPPED.none) {
      this.#drops.keep();
      return true;
    }
    const limit = out.bytes.length - SLACK;
    const room = this.#room(at);
    if (out.length + room <= limit) out.length = this.#item(at, out.view, out.length);
    else {
      const scratch = this.#scratch;
      scratch.need(room);
      const length = this.#item(at, scratch.view, 0);
      if (out.length + length > limit) {
        this.#drops.forget();
        return false;
      }
      out.bytes.set(scratch.bytes.subarray(0, length), out.length);
      out.length += length;
    }
    this.#drops.keep();
    return true;
  }

  /** The row of the item; returns its end, or `start` and leaves in `#why` why there is none. */
  #item(at: number, out: DataView, start: number): number {
    if (this.#why !== DROPPED.none) return start;
    if (this.#isTable) {
      const tagsEnd = this.#tables.tags(at, out, start);
      return this.#end(at, out, start, tagsEnd, this.#tables.fields(at, out, tagsEnd));
    }
    const tagsEnd = this.#tagsOf(at, out, start);
    if (tagsEnd < 0) {
      this.#why = DROPPED.over_limit;
      return start;
    }
    const valueEnd = this.#value(at, out, tagsEnd);
    if (valueEnd === tagsEnd) {
      this.#why = DROPPED.no_value;
      return start;
    }
    return this.#end(at, out, start, tagsEnd, this.#fields.exemplar(out, valueEnd, at));
  }

  /** Measurement and tags; -1: there are too many. */
  #tagsOf(at: number, out: DataView, start: number): number {
    const { names } = this.#thorough;
    const first = at + ITEM_HEADER;
    const end = first + ENTRY * this.#tape[at + Item.attributes]!;
    if (!this.#isPlain) {
      const o = this.#thorough.write(this.#head, out, start, first, end);
      this.#fields.room = COLUMNS_MAX - OTHER_FIELDS - names.count;
      return o;
    }
    names.clear();
    const o = this.#tags.plain(this.#head, out, start, first, end);
    this.#fields.room = COLUMNS_MAX - OTHER_FIELDS - this.#tags.count;
    return o;
  }

  /** The first field's comma becomes the space behind the tags; then the time. */
  #end(at: number, out: DataView, start: number, tagsEnd: number, written: number): number {
    out.setUint8(tagsEnd, SPACE);
    const end = this.#types?.rewritePoint(out, start, tagsEnd + 1, written) ?? written;
    const time = this.#time;
    if (!time.set(this.#view, this.#tape[at + Item.time]!, false))
      this.#drops.other(this.#table(), Reason.range);
    out.setUint8(end, SPACE);
    const stop = this.#nanos.write(out, end + 1, time.low, time.high);
    out.setUint8(stop, NEWLINE);
    return stop + 1;
  }

  /** Index of the item's table in the plan. */
  #table(): number {
    return this.#isTable ? this.#head.column >>> COLUMN_BITS : this.#ownTable;
  }

  #value(at: number, out: DataView, o: number): number {
    const fields = this.#fields;
    switch (this.#head.type) {
      case MetricType.gauge:
      case MetricType.sum:
        return fields.number(out, o, at, this.#head.field);
      case MetricType.histogram:
        return writeHistogram(fields, out, o, at);
      case MetricType.exponentialHistogram:
        return this.#exponential.write(out, o, at);
      default:
        return fields.quantiles(out, fields.countAndSum(out, o, at, true), at);
    }
  }
}
