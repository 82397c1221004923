import { type Dialect, LineText, writeString, writeStringContent } from "../line/writer.ts";
import { Kind as ImportedKind } from "../otlp/tape.ts";
import { copy } from "../wire/copy.ts";
import { writeHex } from "../wire/hex.ts";
import { writeUnder20000 } from "../wire/numbers.ts";
import { AttributesField } from "./attributes-field.ts";
import { CarefulSources } from "./careful.ts";
import type { Plan, PlanColumn, PlanTable, Text } from "./compile.ts";
import { Drops } from "./drops.ts";
import { writeDuration } from "./durations.ts";
import type { Gather } from "./gather.ts";
import type { KeyOrder } from "./order.ts";
import { Action as ImportedAction, OP as ImportedOp, type Program } from "./program.ts";
import type { RowTypes } from "./row-types.ts";
import { Rules } from "./rules.ts";
import { Code as ImportedCode } from "./slots.ts";
import { Reason, Scratch, Values } from "./values.ts";
import { Words } from "./words.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const Kind = ImportedKind;
const OP = ImportedOp;
const Action = ImportedAction;
const Code = ImportedCode;
const SPACE = 32;
const QUOTE = 34;
const LETTER_I = 105;
/** A column whose value its rules give. */
const NO_SOURCE = -1;
/** Of each class of columns: the item it was last written for, from which source, where, and to where. */
const Share = { item: 0, source: 1, at: 2, end: 3 } as const;
const SHARE = 4;

/** Writes tags and fields of one row; the caller adds the time. Positions are in the memory that it was given. */
export class RowWriter {
  readonly plan: Plan;
  readonly gather: Gather;
  readonly values: Values;
  readonly text: LineText;
  readonly order: KeyOrder;
  readonly drops: Drops;
  /** Position behind the tags of the row just written. */
  tagsEnd = 0;
  readonly rules: Rules;
  readonly types: RowTypes | undefined;
  readonly #program: Program;
  readonly #constants: DataView;
  readonly #attributes: AttributesField;
  readonly #careful: CarefulSources;
  readonly #word = new Scratch();
  readonly #words: Words;
  /** The item has no other row. */
  #isAlone = false;
  readonly #shares: Int32Array;
  #item = 0;

  constructor(
    plan: Plan,
    program: Program,
    gather: Gather,
    dialect: Dialect,
    types: RowTypes | undefined,
  ) {
    this.plan = plan;
    this.types = types;
    this.gather = gather;
    this.order = gather.order;
    this.text = new LineText(dialect);
    this.values = new Values(this.text, gather.json, plan.constants.view);
    this.drops = new Drops(plan, this.text);
    this.#program = program;
    this.#words = new Words(plan.columns, plan.constants.view);
    this.#constants = plan.constants.view;
    this.#careful = new CarefulSources(gather);
    this.rules = new Rules(gather, this.values, this.#words, this.#careful);
    this.#attributes = new AttributesField(plan, program, gather, this.text, this.values, types);
    this.#shares = new Int32Array(plan.classes * SHARE);
  }

  /** Before the rows of an item: they share what they have in common, so they go to one memory. A row that is alone shares nothing. */
  begin(isAlone = false): void {
    this.#isAlone = isAlone;
    this.#item = (this.#item + 1) | 0;
  }

  /** The row of an OTLP item in a table, without its time; -1 when it has no field. */
  row(table: PlanTable, out: DataView, at: number): number {
    const { start } = this.#program;
    const first = 3 * table.index;
    let o = this.constant(out, at, table.measurement);
    o = this.#columns(table, start[first]!, start[first + 1]!, out, o);
    this.tagsEnd = o;
    o = this.#columns(table, start[first + 1]!, start[first + 2]!, out, o);
    o = this.#attributes.write(table, this.#item, this.#isAlone, out, o);
    return this.endFields(table, out, o);
  }

  /** The first field's comma becomes the space behind the tags. A row without a field gets an empty one, or is none. */
  endFields(table: PlanTable | undefined, out: DataView, at: number): number {
    let o = at;
    if (o === this.tagsEnd) {
      if (table?.emptyField === undefined) return -1;
      o = this.constant(out, o, table.emptyField);
    }
    out.setUint8(this.tagsEnd, SPACE);
    return o;
  }

  constant(out: DataView, at: number, text: Text): number {
    return copy(out, at, this.plan.constants.view, text.at, text.length);
  }

  /**
   * Each column of `ops` from its first source that is present. The cases: what most values of most rows are. With `| 0` V8 knows that
   * positions are small integers, whatever the calls that it does not inline return.
   */
  #columns(table: PlanTable, first: number, stop: number, out: DataView, at: number): number {
    const { ints, bytes, view } = this.gather;
    const { ops } = this.#program;
    const constants = this.#constants;
    const shares = !this.#isAlone;
    /** Place of the end of the last column, where it may be shared. */
    let last = -1;
    let o = at | 0;
    for (let i = first | 0; i < stop; i = (i + OP) | 0) {
      if (last >= 0) {
        this.#shares[last] = o;
        last = -1;
      }
      const mask = ints[ops[(i + 3) | 0]!]!;
      let source = NO_SOURCE;
      if (mask !== 0) source = ops[(ops[i]! + 31 - Math.clz32(mask & -mask)) | 0]!;
      else if (ops[(i + 4) | 0] === 0) continue;
      if (shares) {
        const group = ops[(i + 5) | 0]!;
        if (group >= 0) {
          const share = group * SHARE;
          const written = this.#written(share, source, o);
          if (written >= 0) {
            o = copy(out, o, out, written, this.#shares[share + Share.end]! - written) | 0;
            continue;
          }
          last = share + Share.end;
        }
      }
      const c = ops[i]! >>> 5;
      if (source === NO_SOURCE) {
        o = this.#otherwise(table, this.plan.columns[c]!, out, o) | 0;
        continue;
      }
      const slot = source >>> 4;
      const kind = ints[slot]!;
      const from = ints[(slot + 1) | 0]!;
      const end = ints[(slot + 2) | 0]!;
      const start = this.#head(out, o, ops[(i + 1) | 0]!, ops[(i + 2) | 0]!) | 0;
      switch (((source & 15) << 5) | kind) {
        case 0x001: // a tag from text
          o = this.#tag(c, out, o, start, view, from, end) | 0;
          continue;
        case 0x00f: // a tag from a constant
          o = this.#tag(c, out, o, start, constants, from, end) | 0;
          continue;
        case 0x0e1: {
          // A tag with words from text.
          const words = this.#words;
          words.find(this.plan.columns[c]!, bytes, view, from, end);
          o = this.#tag(c, out, o, start, words.view, words.from, words.end) | 0;
          continue;
        }
        case 0x081: // a text field from text, from an id
        case 0x088:
          out.setUint8(start, QUOTE);
          if (kind === Kind.text) o = writeStringContent(out, start + 1, view, from, end) | 0;
          else o = writeHex(out, start + 1, view, from, end - from) | 0;
          out.setUint8(o++, QUOTE);
          continue;
        case 0x02c: // a float from a duration
        case 0x02d:
          o = writeDuration(out, start, kind, from, end) | 0;
          continue;
        case 0x003: // a tag, a float or an integer from an integer
        case 0x023:
        case 0x043: {
          const low = bytes[from]!;
          const high = low < 128 ? 0 : bytes[from + 1]!;
          if (high > 127) break;
          o = writeUnder20000(out, start, (low & 127) | (high << 7));
          if ((source & 15) === Code.integer) out.setUint8(o++, LETTER_I);
          continue;
        }
        default:
      }
      o = this.#rare(table, c, source, out, o) | 0;
    }
    if (last >= 0) this.#shares[last] = o;
    return o;
  }

  #head(out: DataView, at: number, from: number, length: number): number {
    const constants = this.#constants;
    out.setBigUint64(at, constants.getBigUint64(from, true), true);
    out.setBigUint64(at + 8, constants.getBigUint64(from + 8, true), true);
    return length > 16 ? copy(out, at, constants, from, length) : at + length;
  }

  /** A tag's value behind its head, which starts at `at`; nothing is written where nothing is left of it. */
  #tag(
    c: number,
    out: DataView,
    at: number,
    start: number,
    view: DataView,
    from: number,
    end: number,
  ): number {
    const close = this.text.writeTagValue(out, start, view, from, end);
    if (close !== start) return close;
    this.drops.column(c, Reason.empty);
    return at;
  }

  /** Where a column of this class was written for this item from the same source; -1: nowhere, and it will be at `at`. */
  #written(share: number, source: number, at: number): number {
    const shares = this.#shares;
    const from = shares[share + Share.at]!;
    if (
      shares[share + Share.item] === this.#item &&
      shares[share + Share.source] === source &&
      shares[share + Share.end]! > from
    )
      return from;
    shares[share + Share.item] = this.#item;
    shares[share + Share.source] = source;
    shares[share + Share.at] = at;
    return -1;
  }

  #rare(table: PlanTable, c: number, source: number, out: DataView, at: number): number {
    const column = this.plan.columns[c]!;
    if ((source & 15) === Action.careful) return this.#checked(table, column, out, at);
    const { ints } = this.gather;
    const slot = source >>> 4;
    const mask = ints[column.mask.index]!;
    const divideBy = column.mask.divideBy[31 - Math.clz32(mask & -mask)]!;
    return this.column(column, divideBy, ints[slot]!, ints[slot + 1]!, ints[slot + 2]!, out, at);
  }

  /** `,name=value`, or nothing (and one drop counted) when the value does not fit. */
  column(
    column: PlanColumn,
    divideBy: number,
    kind: number,
    from: number,
    end: number,
    out: DataView,
    at: number,
  ): number {
    const values = this.values;
    const words = this.#words;
    const o = this.constant(out, at, column.head);
    let stop: number;
    switch (column.code) {
      case Code.tag:
        if (column.hasWords && words.findOf(column, this.gather, values, kind, from, end))
          stop = values.tagText(out, o, words.view, words.from, words.end);
        else stop = values.tag(out, o, kind, from, end);
        break;
      case Code.float:
        stop = values.float(out, o, kind, from, end, divideBy);
        break;
      case Code.integer:
        stop = values.integer(out, o, kind, from, end);
        break;
      case Code.boolean:
        stop = values.boolean(out, o, kind, from, end);
        break;
      case Code.text:
        if (column.hasWords && words.findOf(column, this.gather, values, kind, from, end))
          stop = writeString(out, o, words.view, words.from, words.end);
        else stop = values.textField(out, o, kind, from, end);
        break;
      default:
        stop = values.any(out, o, kind, from, end);
        if (stop >= 0) this.types?.value(column.index, kind);
    }
    if (stop >= 0) return stop;
    this.drops.column(column.index, values.reason);
    return at;
  }

  #otherwise(table: PlanTable, column: PlanColumn, out: DataView, at: number): number {
    const rules = this.rules;
    const rule = column.otherwise[0];
    if (rule !== undefined && column.code === Code.tag) {
      const start = this.constant(out, at, column.head);
      const stop = rules.writeTag(this.text, out, start, rule);
      if (stop >= 0) return stop;
    }
    if (!rules.find(table, column)) {
      if (rules.isTooLarge) this.drops.column(column.index, Reason.range);
      return at;
    }
    const o = this.constant(out, at, column.head);
    const { view, from, end } = rules;
    if (rules.isRaw) return copy(out, o, view, from, end - from);
    if (column.code !== Code.tag) return writeString(out, o, view, from, end);
    const stop = this.values.tagText(out, o, view, from, end);
    if (stop >= 0) return stop;
    this.drops.column(column.index, this.values.reason);
    return at;
  }

  /** From the first source that counts: malformed ids, texts without their form and empty lists do not. */
  #checked(table: PlanTable, column: PlanColumn, out: DataView, at: number): number {
    const found = this.#careful;
    const isFound = found.find(column, table);
    if (found.isMalformed) this.drops.column(column.index, Reason.malformed);
    if (!isFound) return this.#otherwise(table, column, out, at);
    const divideBy = column.mask.divideBy[found.bit]!;
    if (found.id === "")
      return this.column(column, divideBy, found.kind, found.from, found.end, out, at);
    const o = this.constant(out, at, column.head);
    const length = this.#word.set(found.id);
    const { view } = this.#word;
    if (column.code === Code.tag) return this.values.tagText(out, o, view, 0, length);
    return writeString(out, o, view, 0, length);
  }
}
