import type { LineText } from "../../line/writer.ts";
import { ENTRY, Group, ITEM_HEADER, Item, NodeType, Point, PointFlags } from "../../otlp/tape.ts";
import { copy } from "../../wire/copy.ts";
import { type BatchMemory, NO_BATCH } from "../batch-memory.ts";
import type { ItemTime } from "../item-time.ts";
import type { KeyOrder } from "../order.ts";
import { hashBytes } from "../spread.ts";
import { COLUMNS_MAX } from "../tables/tables.ts";
import { Reason, Scratch, type Values } from "../values.ts";
import { COLUMN_BITS, type MetricPlan, type PointColumn, type PointTable } from "./metric-plan.ts";
import { DROPPED } from "./point-drops.ts";
import { factorOf, tableColumn } from "./point-head.ts";
import { SharedRows } from "./point-shared-rows.ts";
import { PointColumns } from "./point-table-columns.ts";
import { TAGS_MAX, type ThoroughTags } from "./point-tags-thorough.ts";

/** Bytes of a row for each column and row, beside those of the item and its resource. */
const COLUMN_ROOM = 64;
const ROW_ROOM = 1_024;

/**
 * Rows of declared tables from points named `<table>.<column>` (mapping §4): the point's value fills that column, its attributes are the
 * other columns, and those that the table does not declare are tags. Points with equal tags and time that are written together share
 * the row of the first of them. Not for the hot path.
 */
export class PointTableRows {
  readonly #plan: MetricPlan;
  readonly #tags: ThoroughTags;
  readonly #columns: PointColumns;
  readonly #order: KeyOrder;
  readonly #time: ItemTime;
  readonly #left: (column: number, reason: number) => void;
  readonly #shared = new SharedRows();
  readonly #own = new Scratch();
  readonly #other = new Scratch();
  /** Hard to guess, so that nobody sends points of one hash. */
  readonly #seed = Math.floor(Math.random() * 0x7fffffff);
  #batch: BatchMemory = NO_BATCH;
  #isPrepared = false;
  /** The METRIC that `#columnOf` looked at last, and what it found. */
  #metric = -1;
  #column = -1;

  constructor(
    plan: MetricPlan,
    lines: LineText,
    values: Values,
    tags: ThoroughTags,
    order: KeyOrder,
    time: ItemTime,
    left: (column: number, reason: number) => void,
  ) {
    this.#plan = plan;
    this.#tags = tags;
    this.#order = order;
    this.#time = time;
    this.#left = left;
    this.#columns = new PointColumns(plan, lines, values, tags.names, left);
  }

  open(batch: BatchMemory): void {
    this.#batch = batch;
    this.#columns.open(batch);
    this.#shared.clear();
    this.#isPrepared = false;
    this.#metric = -1;
  }

  /** Finds, once per frame, which of the `count` items from tape index `at` on share rows. What it leaves out is not counted. */
  prepare(at: number, count: number): void {
    if (this.#isPrepared) return;
    this.#isPrepared = true;
    const { tape } = this.#batch;
    let left = count;
    for (let p = at; p < tape.length && left > 0; p += tape[p]! >>> 2) {
      if ((tape[p]! & 3) !== NodeType.item) continue;
      left--;
      if ((tape[p + Item.flags]! & PointFlags.noRecordedValue) !== 0) continue;
      const column = this.#columnOf(p);
      if (column >= 0 && this.#tableOf(column).isChosen) this.#join(p, column);
    }
  }

  #tableOf(column: number): PointTable {
    return this.#plan.tables[column >>> COLUMN_BITS]!;
  }

  /** See `tableColumn`. Points of one metric stand together. */
  #columnOf(item: number): number {
    const metric = this.#batch.tape[item + Point.metric]!;
    if (metric !== this.#metric) {
      this.#metric = metric;
      this.#column = tableColumn(this.#plan, this.#batch, metric);
    }
    return this.#column;
  }

  #fieldOf(column: number): PointColumn {
    return this.#tableOf(column).fields[column & ((1 << COLUMN_BITS) - 1)]!;
  }

  /** Gives a point its row, if it has a value that fits. */
  #join(item: number, column: number): void {
    const length = this.#series(item, this.#own);
    if (length < 0 || this.#columns.value(this.#fieldOf(column), item, this.#other.view, 0) < 0)
      return;
    this.#time.set(this.#batch.view, this.#batch.tape[item + Item.time]!, false);
    const { low, high } = this.#time;
    const hash =
      Math.imul(hashBytes(this.#own.view, 0, length, this.#seed) ^ low, 0x9e3779b1) ^ high;
    const shared = this.#shared;
    for (let n = shared.leaderOf(hash); n >= 0; n = shared.leaderOf(hash, n)) {
      const leader = shared.item[n]!;
      this.#time.set(this.#batch.view, this.#batch.tape[leader + Item.time]!, false);
      if (this.#time.low !== low || this.#time.high !== high) continue;
      const size = this.#series(leader, this.#other);
      if (size === length && this.#isSame(length)) {
        shared.join(item, n);
        return;
      }
    }
    shared.add(item, hash);
  }

  #isSame(length: number): boolean {
    const a = this.#own.bytes;
    const b = this.#other.bytes;
    for (let i = 0; i < length; i++) if (a[i] !== b[i]) return false;
    return true;
  }

  /** Most bytes that the row of the item can take. */
  room(item: number): number {
    const n = this.#shared.find(item);
    const room = this.#seriesRoom(item);
    return n < 0 ? room : room + this.#seriesRoom(this.#shared.item[this.#shared.last[n]!]!);
  }

  #seriesRoom(item: number): number {
    const { tape } = this.#batch;
    const { tags, fields, headsLength, fanOut } = this.#tableOf(this.#columnOf(item));
    const group = tape[item + Item.group]!;
    const resource = tape[group + Group.resourceEnd]! - tape[group + Group.resourceAt]!;
    const own = tape[item + Item.end]! - tape[item + Item.at]!;
    const entries = item + ITEM_HEADER;
    const shared = tape[group + Group.resourceEntries]!;
    const factor = Math.max(
      factorOf(tape, entries, entries + ENTRY * tape[item + Item.attributes]!),
      factorOf(tape, shared, shared + ENTRY * tape[group + Group.resourceCount]!),
    );
    const columns = headsLength + COLUMN_ROOM * (tags.length + fields.length);
    return ROW_ROOM + columns + factor * fanOut * (own + resource);
  }

  /** Why the item leads no row, as DROPPED; `shared`: its value is in the row of another. Counts what does not fit. */
  reason(item: number): number {
    const n = this.#shared.find(item);
    if (n >= 0) return this.#shared.leader[n] === n ? DROPPED.none : DROPPED.shared;
    const column = this.#columnOf(item);
    if (this.#series(item, this.#own) < 0) return DROPPED.over_limit;
    const field = this.#fieldOf(column);
    const hasValue = this.#batch.tape[item + Point.value]! >= 0;
    if (hasValue && this.#columns.value(field, item, this.#other.view, 0) < 0)
      this.#left(field.index, this.#columns.reason);
    return DROPPED.no_value;
  }

  /** Whether other points have their values in the row of the item too. */
  isShared(item: number): boolean {
    const n = this.#shared.find(item);
    return n >= 0 && this.#shared.next[n]! >= 0;
  }

  /** Measurement and tags, at the start of a scratch; their length, or -1: there are too many. */
  #series(item: number, scratch: Scratch): number {
    scratch.need(this.#seriesRoom(item));
    return this.tags(item, scratch.view, 0);
  }

  /** Measurement and tags: those of the table in its order, then what it does not declare, by name. -1: there are too many. */
  tags(item: number, out: DataView, at: number): number {
    const { tape } = this.#batch;
    const table = this.#tableOf(this.#columnOf(item));
    const order = this.#order;
    const first = item + ITEM_HEADER;
    const count = tape[item + Item.attributes]!;
    const tags = this.#tags;
    tags.names.clear();
    const live = tags.mark(first, first + ENTRY * count);
    if (table.tags.length + live > TAGS_MAX) return -1;
    const { constants } = this.#plan;
    let o = copy(out, at, constants.view, table.measurement.at, table.measurement.length);
    for (let i = 0; i < table.tags.length; i++) {
      const column = table.tags[i]!;
      const stop = this.#columns.attribute(item, column, out, o);
      if (stop > o) tags.take(out, o + 1, o + column.head.length - 1);
      o = stop;
    }
    const list = order.begin(count);
    let rest = 0;
    for (let i = 0; i < count; i++) {
      const entry = first + i * ENTRY;
      list[rest] = entry;
      if (tags.isTag(i) && !table.declared.has(tape[entry]! >>> 4)) rest++;
    }
    order.count = rest;
    order.sort();
    for (let i = 0; i < rest; i++) o = tags.attribute(out, o, order.list[i]!);
    return o;
  }

  /** Fields of the row that the item leads: the values of its points, else what the attributes of the last of them give. */
  fields(item: number, out: DataView, at: number): number {
    const { fields } = this.#tableOf(this.#columnOf(item));
    const n = this.#shared.find(item);
    const last = this.#shared.item[this.#shared.last[n]!]!;
    const room = COLUMNS_MAX - this.#tags.names.count;
    let written = 0;
    let o = at;
    for (let i = 0; i < fields.length; i++) {
      const column = fields[i]!;
      const stop = this.#field(n, last, column, out, o);
      if (stop === o) continue;
      if (written === room) this.#left(column.index, Reason.over_limit);
      else {
        o = stop;
        written++;
      }
    }
    return o;
  }

  /** A column of the row of point number `n`. */
  #field(n: number, last: number, column: PointColumn, out: DataView, at: number): number {
    const { next, item } = this.#shared;
    let found = -1;
    for (let m = n; m >= 0; m = next[m]!) {
      const other = this.#columnOf(item[m]!);
      if (this.#fieldOf(other) === column) found = item[m]!;
    }
    if (found < 0) return this.#columns.attribute(last, column, out, at);
    const start = this.#columns.head(column, out, at);
    const stop = this.#columns.value(column, found, out, start);
    return stop < 0 ? at : stop;
  }
}
