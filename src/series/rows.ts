import { type Dialect, LineText, writeString, writeStringContent } from "../line/writer.ts";
import { ENTRY, Kind } from "../otlp/tape.ts";
import { jsonRoom, writeQuotedJsonText } from "../otlp/value-json.ts";
import { copy } from "../wire/copy.ts";
import { writeHex } from "../wire/hex.ts";
import { writeInt, writeUnder20000 } from "../wire/numbers.ts";
import { Code, type Plan, type PlanColumn, type PlanTable, type Text } from "./compile.ts";
import { Drops } from "./drops.ts";
import type { Gather } from "./gather.ts";
import { ID_TEXT_MAX, readSpanId, readTraceId } from "./ids.ts";
import type { KeyOrder } from "./order.ts";
import { KEY, OP, type Program, SLOT } from "./program.ts";
import { Rules } from "./rules.ts";
import { Reason, Scratch, Values } from "./values.ts";
import { Words } from "./words.ts";

const SPACE = 32;
const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const LETTER_I = 105;

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
  readonly #rules: Rules;
  readonly #program: Program;
  readonly #constants: DataView;
  readonly #json = new Scratch();
  readonly #word = new Scratch();
  readonly #words: Words;
  readonly #utf8 = new TextDecoder();

  constructor(plan: Plan, program: Program, gather: Gather, dialect: Dialect) {
    this.plan = plan;
    this.gather = gather;
    this.order = gather.order;
    this.text = new LineText(dialect);
    this.values = new Values(this.text, gather.json);
    this.#rules = new Rules(gather, this.values, this.order);
    this.drops = new Drops(plan);
    this.#program = program;
    this.#words = new Words(plan.columns, plan.constants.view);
    this.#constants = plan.constants.view;
  }

  /** The row of an OTLP item in a table, without its time; -1 when it has no field. */
  row(table: PlanTable, out: DataView, at: number): number {
    const { start } = this.#program;
    const first = 3 * table.index;
    let o = this.constant(out, at, table.measurement);
    o = this.#columns(table, start[first]!, start[first + 1]!, out, o);
    this.tagsEnd = o;
    o = this.#columns(table, start[first + 1]!, start[first + 2]!, out, o);
    if (table.table.attributes && ((this.gather.undeclared >>> table.index) & 1) === 1)
      o = this.#attributes(table, out, o);
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

  /** Each column of `ops` from its first source that is present. The cases: what most values of most rows are. */
  #columns(table: PlanTable, first: number, stop: number, out: DataView, at: number): number {
    const { masks, slots, bytes, view } = this.gather;
    const { ops, sources } = this.#program;
    const constants = this.#constants;
    let o = at;
    for (let i = first; i < stop; i += OP) {
      const c = ops[i]!;
      const mask = masks[c]!;
      if (mask === 0) {
        if (ops[i + 3] !== 0) o = this.#otherwise(this.plan.columns[c]!, out, o);
        continue;
      }
      const bit = 31 - Math.clz32(mask & -mask);
      const source = sources[(c << 5) | bit]!;
      const slot = source >>> 4;
      const kind = slots[slot]!;
      const from = slots[slot + 1]!;
      const end = slots[slot + 2]!;
      const headAt = ops[i + 1]!;
      out.setBigUint64(o, constants.getBigUint64(headAt, true), true);
      out.setBigUint64(o + 8, constants.getBigUint64(headAt + 8, true), true);
      let start = o + ops[i + 2]!;
      if (start > o + 16) start = copy(out, o, constants, headAt, ops[i + 2]!);
      switch (((source & 15) << 4) | kind) {
        case 0x01: {
          // A tag from text.
          const close = this.text.writeTagValue(out, start, view, from, end);
          if (close === start) this.drops.column(c, Reason.empty);
          else o = close;
          continue;
        }
        case 0x41: // a text field from text
          out.setUint8(start, QUOTE);
          o = writeStringContent(out, start + 1, view, from, end);
          out.setUint8(o++, QUOTE);
          continue;
        case 0x71: {
          // A tag with words from text.
          const words = this.#words;
          words.find(this.plan.columns[c]!, bytes, view, from, end);
          const close = this.text.writeTagValue(out, start, words.view, words.from, words.end);
          if (close === start) this.drops.column(c, Reason.empty);
          else o = close;
          continue;
        }
        case 0x48: // a text field from an id
          out.setUint8(start, QUOTE);
          o = writeHex(out, start + 1, view, from, end - from);
          out.setUint8(o++, QUOTE);
          continue;
        case 0x13: // a float or an integer from an integer
        case 0x23: {
          const low = bytes[from]!;
          const high = low < 128 ? 0 : bytes[from + 1]!;
          if (high > 127) break;
          o = writeUnder20000(out, start, (low & 127) | (high << 7));
          if ((source & 15) === Code.integer) out.setUint8(o++, LETTER_I);
          continue;
        }
        default:
      }
      o = this.#rare(table, c, bit, kind, from, end, out, o);
    }
    return o;
  }

  #rare(
    table: PlanTable,
    c: number,
    bit: number,
    kind: number,
    from: number,
    end: number,
    out: DataView,
    at: number,
  ): number {
    const column = this.plan.columns[c]!;
    if ((column.formMask >>> bit) & 1)
      return this.#id(table, column, this.gather.masks[c]!, out, at);
    return this.column(column, column.divideBy[bit]!, kind, from, end, out, at);
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
        if (column.hasWords && kind === Kind.text) {
          words.find(column, this.gather.bytes, this.gather.view, from, end);
          stop = values.tagText(out, o, words.view, words.from, words.end);
        } else stop = values.tag(out, o, kind, from, end);
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
        if (column.hasWords && kind === Kind.text) {
          words.find(column, this.gather.bytes, this.gather.view, from, end);
          stop = writeString(out, o, words.view, words.from, words.end);
        } else stop = values.textField(out, o, kind, from, end);
        break;
      default:
        stop = values.any(out, o, kind, from, end);
    }
    if (stop >= 0) return stop;
    this.drops.column(column.index, values.reason);
    return at;
  }

  #otherwise(column: PlanColumn, out: DataView, at: number): number {
    const text = this.#rules.first(column.otherwise);
    if (text === undefined) return at;
    const o = this.constant(out, at, column.head);
    const view = this.plan.constants.view;
    if (column.kind === "tag")
      return this.values.tagText(out, o, view, text.at, text.at + text.length);
    return writeString(out, o, view, text.at, text.at + text.length);
  }

  /** An id that the record itself lacks: the first source that has a well-formed one. */
  #id(table: PlanTable, column: PlanColumn, mask: number, out: DataView, at: number): number {
    const isTrace = column.id === "trace";
    for (let rest = mask; rest !== 0; rest &= rest - 1) {
      const bit = 31 - Math.clz32(rest & -rest);
      const form = column.forms[bit];
      const slot = column.slots[bit]!;
      if (form === undefined) continue;
      if (!isTrace && form === "traceparent" && this.#traceSlot(table) !== slot) continue;
      const text = this.#slotText(slot);
      const id = isTrace ? readTraceId(form, text) : readSpanId(form, text);
      if (id === undefined) continue;
      const o = this.constant(out, at, column.head);
      const length = this.#word.set(id);
      return writeString(out, o, this.#word.view, 0, length);
    }
    return at; // malformed ids count as absent
  }

  /** The slot that gives this row's trace id, -1 when there is none. */
  #traceSlot(table: PlanTable): number {
    const column = table.traceColumn;
    if (column === undefined) return -1;
    for (let rest = this.gather.masks[column.index]!; rest !== 0; rest &= rest - 1) {
      const bit = 31 - Math.clz32(rest & -rest);
      const form = column.forms[bit];
      const slot = column.slots[bit]!;
      if (form === undefined || readTraceId(form, this.#slotText(slot)) !== undefined) return slot;
    }
    return -1;
  }

  /** Text of a slot that may hold an id; integers in decimal, as Datadog sends them. */
  #slotText(slot: number): string {
    const gather = this.gather;
    const kind = gather.slots[slot * SLOT]!;
    const from = gather.slots[slot * SLOT + 1]!;
    const end = gather.slots[slot * SLOT + 2]!;
    if (kind === Kind.text && end - from <= ID_TEXT_MAX)
      return this.#utf8.decode(gather.bytes.subarray(from, end));
    if (kind !== Kind.int) return "";
    const json = gather.json;
    json.varint(from);
    return String((BigInt(json.high) << 32n) | BigInt(json.low >>> 0));
  }

  /** The undeclared attributes as one JSON object with sorted keys, in quotes: written with both escapes at once. */
  #attributes(table: PlanTable, out: DataView, at: number): number {
    const { tape, view, entries, entriesEnd, json } = this.gather;
    const { keys } = this.#program;
    const order = this.order;
    const list = order.begin((entriesEnd - entries) / ENTRY);
    let count = 0;
    for (let e = entries; e < entriesEnd; e += ENTRY) {
      // Kept or overwritten by the next, without a branch.
      list[count] = e;
      count += (~keys[(tape[e]! >>> 4) * KEY]! >>> table.index) & 1;
    }
    order.count = count;
    order.sort();
    const start = this.constant(out, at, table.attributes);
    out.setUint16(start, 0x227b);
    const first = start + 2;
    let o = first;
    for (let i = 0; i < order.count; i++) {
      const e = order.list[i]!;
      const kind = tape[e]! & 15;
      if (kind === Kind.none) continue;
      if (o > first) out.setUint8(o++, COMMA);
      const key = (tape[e]! >>> 4) * KEY;
      const name = keys[key + 5]!;
      if (name > 0) o = copy(out, o, this.#constants, keys[key + 4]!, name);
      else {
        o = writeQuotedJsonText(out, o, view, order.keyFrom(e), order.keyEnd(e));
        out.setUint8(o++, COLON);
      }
      const from = tape[e + 2]!;
      const end = tape[e + 3]!;
      if (kind === Kind.text) o = writeQuotedJsonText(out, o, view, from, end);
      else if (kind === Kind.int) {
        json.varint(from);
        o =
          json.high === 0 && json.low >>> 0 < 20_000
            ? writeUnder20000(out, o, json.low)
            : writeInt(out, o, json.low, json.high);
      } else {
        const scratch = this.#json;
        scratch.need(jsonRoom(end - from));
        const length = json.value(scratch.view, 0, kind as Kind, from, end);
        o = writeStringContent(out, o, scratch.view, 0, length);
      }
    }
    if (o === first) return at;
    out.setUint16(o, 0x7d22);
    return o + 2;
  }
}
