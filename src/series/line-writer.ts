import type { Dialect } from "../line/writer.ts";
import type { Batch } from "../otlp/batch.ts";
import type { Range, Stored } from "../otlp/range.ts";
import {
  ENTRY,
  Item as ImportedItem,
  NodeType as ImportedNodeType,
  type Signal,
} from "../otlp/tape.ts";
import { NanosWriter } from "../wire/numbers.ts";
import { SLACK } from "../wire/slack.ts";
import type { Plan, PlanTable } from "./compile.ts";
import { Gather } from "./gather.ts";
import { ItemTime } from "./item-time.ts";
import { LineRows } from "./line-rows.ts";
import { LogMatcher, type Matcher, SpanMatcher } from "./match.ts";
import { compileProgram } from "./program.ts";
import { FIELD_GROWTH, RowTypes } from "./row-types.ts";
import { RowWriter } from "./rows.ts";
import { SpreadTable } from "./spread.ts";
import type { TypeRegistry } from "./type-registry.ts";
import { Reason, Scratch } from "./values.ts";
import type { Slab, Writer, Written } from "./writer.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const Item = ImportedItem;
const NodeType = ImportedNodeType;

const SPACE = 32;
const NEWLINE = 10;
const NOTHING_DROPPED: ReadonlyMap<string, number> = new Map();

/** What a pass over an item is for. */
const Pass = { write: 0, count: 1, replay: 2 } as const;

/** Items that make no row get at least this much room. */
const ROOM_MIN = 512;

/** Rows of single items, for a writer whose format they are only a part of. */
export interface ItemRows {
  /** Where `rowsOf` leaves them, until its next call. */
  readonly aside: { readonly bytes: Uint8Array; readonly view: DataView };
  /** Makes ready for items of a frame; undefined lets go of the last one. */
  openAside(frame: Stored | undefined): void;
  /** Writes the rows of the item at tape index `at`, each with the time that was sent; returns their end. */
  rowsOf(at: number): number;
}

/** Log records or spans → lines, by a compiled plan. One caller at a time; a call leaves nothing behind but caches. */
export class ItemLineWriter<S extends Signal> implements Writer<S>, ItemRows {
  readonly #plan: Plan;
  readonly #gather: Gather;
  readonly #rows: RowWriter;
  readonly #lines: LineRows;
  readonly #types: RowTypes | undefined;
  /** By table: rows of the frame, for tables with `identity: spread`. */
  readonly #spread: (SpreadTable | undefined)[];
  readonly #spreads: SpreadTable[];
  readonly #match: Matcher;
  readonly #time = new ItemTime();
  readonly #nanos = new NanosWriter();
  readonly #scratch = new Scratch();
  readonly #tell: ((table: string, column: string, reason: string, n: number) => void) | undefined;
  #pass: number = Pass.write;
  /** Rows of the item last passed. */
  #count = 0;
  /** Items without a row: of a table that is not chosen, and those that have nothing for a field of their table. */
  #tableless = 0;
  #valueless = 0;
  /** The frame whose spread state is held, and its next item. */
  #held: Batch | undefined;
  #heldArrivalMs = -1;
  #next = 0;

  constructor(
    plan: Plan,
    dialect: Dialect,
    tell?: (table: string, column: string, reason: string, n: number) => void,
    types?: TypeRegistry,
  ) {
    this.#plan = plan;
    this.#types = types && new RowTypes(types, plan.tables, dialect);
    const program = compileProgram(plan);
    this.#gather = new Gather(plan, program);
    this.#rows = new RowWriter(plan, program, this.#gather, dialect, this.#types);
    this.#lines = new LineRows(this.#rows);
    const { rules } = this.#rows;
    this.#match =
      plan.signal === "logs"
        ? new LogMatcher(plan, this.#gather, rules)
        : new SpanMatcher(plan, this.#gather, rules);
    this.#spread = plan.tables.map(({ table, isChosen }) =>
      isChosen && table.identity === "spread" ? new SpreadTable() : undefined,
    );
    this.#spreads = this.#spread.filter((table) => table !== undefined);
    this.#tell = tell;
  }

  write(range: Range<S>, from: number, to: number, out: Slab): Written {
    this.#refresh();
    let base = 0;
    let done = from;
    let rows = 0;
    this.#valueless = 0;
    this.#tableless = 0;
    for (const frame of range.frames) {
      const items = frame.batch.items;
      if (base + items <= from) {
        base += items;
        continue;
      }
      if (base >= to) break;
      const stop = Math.min(to - base, items);
      this.#open(frame, Math.max(from - base, 0));
      let item = 0;
      const tape = frame.batch.tape;
      for (let at = 0; at < tape.length && item < stop; at += tape[at]! >>> 2) {
        if ((tape[at]! & 3) !== NodeType.item) continue;
        if (base + item >= from) {
          if (!this.#fits(at, item, out)) return this.#written(done, rows);
          rows += this.#count;
          if (this.#count === 0) this.#drop();
          done++;
        }
        item++;
      }
      base += items;
    }
    return this.#written(done, rows);
  }

  /** Counts the present item, which makes no row. */
  #drop(): void {
    if (this.#match.isOfTable) this.#valueless++;
    else this.#tableless++;
  }

  itemOfRow(range: Range<S>, from: number, row: number): number {
    return this.itemsOfRows(range, from, [row])[0]!;
  }

  itemsOfRows(range: Range<S>, from: number, rows: readonly number[]): readonly number[] {
    this.#refresh();
    const found: number[] = [];
    let base = 0;
    let seen = 0;
    for (const frame of range.frames) {
      this.openAside(frame);
      const tape = frame.batch.tape;
      let item = base;
      for (let at = 0; at < tape.length; at += tape[at]! >>> 2) {
        if ((tape[at]! & 3) !== NodeType.item) continue;
        if (item >= from) {
          this.#aside(at, Pass.count);
          seen += this.#count;
          while (found.length < rows.length && seen > rows[found.length]!) found.push(item);
          if (found.length === rows.length) return found;
        }
        item++;
      }
      base += frame.batch.items;
    }
    throw new RangeError(
      `row ${rows[found.length]} was not written: items from ${from} on make ${seen} rows`,
    );
  }

  get aside(): Scratch {
    return this.#scratch;
  }

  openAside(frame: Stored | undefined): void {
    if (frame === undefined) this.#gather.close();
    else {
      this.#gather.open(frame.batch);
      this.#time.open(frame.arrivalMs);
    }
  }

  rowsOf(at: number): number {
    return this.#aside(at, Pass.count);
  }

  /** Shapes that were looked at with other types are looked at again. */
  #refresh(): void {
    if (this.#types?.refresh() === true) this.#lines.forget();
  }

  #written(to: number, rows: number): Written {
    this.#gather.close();
    if (this.#tell !== undefined) this.#rows.drops.report(this.#tell);
    if (this.#tableless + this.#valueless === 0) return { to, rows, dropped: NOTHING_DROPPED };
    const dropped = new Map<string, number>();
    if (this.#tableless > 0) dropped.set("no_table", this.#tableless);
    if (this.#valueless > 0) dropped.set("no_value", this.#valueless);
    return { to, rows, dropped };
  }

  /** Makes ready for a frame's items from `start` on. */
  #open(frame: Stored<S>, start: number): void {
    this.#gather.open(frame.batch);
    this.#time.open(frame.arrivalMs);
    if (this.#spreads.length === 0) return;
    const isHeld =
      this.#held === frame.batch && this.#heldArrivalMs === frame.arrivalMs && this.#next === start;
    if (isHeld) return;
    this.#held = frame.batch;
    this.#heldArrivalMs = frame.arrivalMs;
    for (const table of this.#spreads) table.open();
    if (start > 0) this.#replay(frame.batch, start);
    this.#next = start;
  }

  /** Walks a frame's first items again, until the spread tables know them as if they had just been written. */
  #replay(batch: Batch, items: number): void {
    const tape = batch.tape;
    for (let again = true; again; ) {
      again = false;
      for (const table of this.#spreads) table.restart();
      let item = 0;
      for (let at = 0; at < tape.length && item < items; at += tape[at]! >>> 2) {
        if ((tape[at]! & 3) !== NodeType.item) continue;
        this.#aside(at, Pass.replay);
        if (this.#wants()) {
          again = true;
          break;
        }
        item++;
      }
    }
  }

  #wants(): boolean {
    for (const table of this.#spreads) if (table.wants) return true;
    return false;
  }

  /** Passes an item, whose rows go nowhere but to the scratch; returns their end in it. */
  #aside(at: number, pass: number): number {
    this.#look(at);
    this.#scratch.need(this.#room());
    this.#pass = pass;
    const end = this.#item(this.#scratch.view, 0);
    this.#pass = Pass.write;
    this.#rows.drops.forget();
    return end;
  }

  /** Moves to an item and finds its tables. */
  #look(at: number): void {
    this.#gather.item(at);
    this.#match.find();
  }

  /** Most bytes the rows of the present item can take. */
  #room(): number {
    const { length, isOdd, undeclared, jsonRoom } = this.#gather;
    const { found, count, isLine } = this.#match;
    const tables = this.#plan.tables;
    let room = ROOM_MIN;
    if (isLine && count === 0) room += length * 48;
    for (let i = 0; i < count; i++) {
      const { constantRoom, fanOut, table } = tables[found[i]!]!;
      const { resourceAttributes } = table;
      let factor = 4 * fanOut;
      if (isOdd || undeclared !== 0 || isLine || resourceAttributes !== undefined)
        factor += 16 * (fanOut + 1);
      room += constantRoom + length * factor + jsonRoom * fanOut;
      // A name with its prefix comes from at least four bytes.
      if (resourceAttributes !== undefined) room += length * resourceAttributes.prefix.length;
    }
    if (this.#types?.isActive === true) {
      const { entries, entriesEnd } = this.#gather;
      const most = (Math.max(count, 1) * (entriesEnd - entries)) / ENTRY;
      room += FIELD_GROWTH * (most + this.#plan.columns.length);
    }
    return room;
  }

  /** Writes all rows of an item, or none and answers false. */
  #fits(at: number, item: number, out: Slab): boolean {
    const limit = out.bytes.length - SLACK;
    this.#look(at);
    const room = this.#room();
    for (const table of this.#spreads) table.mark();
    const isDirect = out.length + room <= limit;
    if (!isDirect) this.#scratch.need(room);
    const target = isDirect ? out.view : this.#scratch.view;
    const start = isDirect ? out.length : 0;
    let end = this.#item(target, start);
    if (this.#spreads.length > 0 && this.#wants()) {
      this.#rows.drops.forget();
      this.#replay(this.#held!, item);
      for (const table of this.#spreads) table.mark();
      this.#look(at);
      if (!isDirect) this.#scratch.need(room);
      end = this.#again(isDirect ? out.view : this.#scratch.view, start, item);
    }
    if (!isDirect) {
      if (out.length + end > limit) {
        for (const table of this.#spreads) table.undo();
        this.#rows.drops.forget();
        return false;
      }
      out.bytes.set(this.#scratch.bytes.subarray(0, end), out.length);
      end += out.length;
    }
    out.length = end;
    this.#next = item + 1;
    this.#rows.drops.keep();
    return true;
  }

  /** After a replay; a second table may now want its rows too. */
  #again(target: DataView, start: number, item: number): number {
    const at = this.#gather.at;
    for (;;) {
      const end = this.#item(target, start);
      if (!this.#wants()) return end;
      this.#rows.drops.forget();
      this.#replay(this.#held!, item);
      for (const table of this.#spreads) table.mark();
      this.#look(at);
    }
  }

  /** The rows of the present item; returns their end, and leaves their number in `#count`. */
  #item(out: DataView, at: number): number {
    this.#count = 0;
    const gather = this.#gather;
    const { found, count, isLine, isLeftOut } = this.#match;
    if (isLeftOut) return at;
    if (!this.#time.set(gather.view, gather.tape[gather.at + Item.time]!, isLine))
      this.#rows.drops.other(-1, Reason.range);
    const tables = this.#plan.tables;
    if (isLine) {
      const table = count === 0 ? undefined : tables[found[0]!]!;
      return this.#end(table, out, at, this.#lines.row(table, out, at));
    }
    this.#rows.begin(count === 1);
    let o = at;
    for (let i = 0; i < count; i++) {
      const index = found[i]!;
      if (this.#pass === Pass.replay && this.#spread[index] === undefined) continue;
      const table = tables[index]!;
      const end = this.#end(table, out, o, this.#rows.row(table, out, o));
      // What is written over cannot be shared.
      if (end === o) this.#rows.begin();
      o = end;
    }
    return o;
  }

  /** Ends a row that goes from `at` to `end` with its time; -1: there is no row. */
  #end(table: PlanTable | undefined, out: DataView, at: number, written: number): number {
    const isRetyped = this.#types?.take(table) === true;
    if (written < 0) return at;
    const end = isRetyped ? this.#retype(table, out, at, written) : written;
    let { low, high } = this.#time;
    const spread = table === undefined ? undefined : this.#spread[table.index];
    if (spread !== undefined && this.#pass !== Pass.count) {
      spread.low = low;
      spread.high = high;
      if (!spread.place(out, at, this.#rows.tagsEnd, end)) return at;
      low = spread.low;
      high = spread.high;
    }
    this.#count++;
    out.setUint8(end, SPACE);
    const stop = this.#nanos.write(out, end + 1, low, high);
    out.setUint8(stop, NEWLINE);
    return stop + 1;
  }

  #retype(table: PlanTable | undefined, out: DataView, at: number, end: number): number {
    // What is written over cannot be shared.
    this.#rows.begin();
    return this.#types!.rewrite(table, out, at, this.#rows.tagsEnd + 1, end);
  }
}
