import { type LineText, writeStringContent } from "../line/writer.ts";
import { Kind } from "../otlp/tape.ts";
import { jsonRoom, writeQuotedJsonText } from "../otlp/value-json.ts";
import { copy } from "../wire/copy.ts";
import { writeInt, writeUnder20000 } from "../wire/numbers.ts";
import { type Plan, type PlanTable, WORD } from "./compile.ts";
import { EntryOrder } from "./entry-order.ts";
import type { Gather } from "./gather.ts";
import type { KeyOrder } from "./order.ts";
import { KEY, type Program } from "./program.ts";
import { ResourceJson } from "./resource-json.ts";
import { Scratch, type Values } from "./values.ts";

const COMMA = 44;
const COLON = 58;
const EQUALS = 61;
const BACKSLASH = 92;
const DELETE = 127;
/** More columns than this are too many for InfluxDB 3 (500 in a table): further ones stay in `attributes`. */
const FIELDS_MAX = 400;

/** Writes what no column takes: fields by the end of their names, and the field `attributes`. */
export class AttributesField {
  readonly #gather: Gather;
  readonly #order: KeyOrder;
  readonly #text: LineText;
  readonly #values: Values;
  readonly #constants: DataView;
  readonly #keys: Int32Array;
  readonly #declaredBy: Int32Array;
  readonly #declaredWords: number;
  readonly #json = new Scratch();
  readonly #sorted: EntryOrder;
  /** The item that `#sorted` is of, as `RowWriter.begin` counts them. */
  #item = 0;
  /** By place in order: the item for which its member stands in the output, from where to where. */
  #writtenFor = new Int32Array(64);
  #writtenFrom = new Int32Array(64);
  #writtenEnd = new Int32Array(64);
  /** By place in order: the row that has it as a field of its own. */
  #fieldOf = new Int32Array(64);
  #row = 0;
  /** By table. */
  readonly #resources: readonly (ResourceJson | undefined)[];
  readonly #ends: readonly (readonly Uint8Array[])[];

  constructor(plan: Plan, program: Program, gather: Gather, text: LineText, values: Values) {
    this.#gather = gather;
    this.#order = gather.order;
    this.#text = text;
    this.#values = values;
    this.#sorted = new EntryOrder(gather);
    this.#constants = plan.constants.view;
    this.#keys = program.keys;
    this.#declaredBy = plan.declaredBy;
    this.#declaredWords = plan.declaredWords;
    const member = (out: DataView, at: number, entry: number) => this.#value(out, at, entry);
    this.#resources = plan.tables.map(({ table: { resourceAttributes: wanted } }) =>
      wanted === undefined ? undefined : new ResourceJson(gather, wanted, member),
    );
    this.#ends = plan.tables.map(({ table }) =>
      table.extraFieldEnds.map((end) => new TextEncoder().encode(end)),
    );
  }

  /** `item` counts the items: rows of one share their bytes. */
  write(table: PlanTable, item: number, out: DataView, at: number): number {
    const { index } = table;
    const resource = this.#resources[index];
    const hasUndeclared = index >= WORD || ((this.#gather.undeclared >>> index) & 1) === 1;
    if (!hasUndeclared && resource === undefined) return at;
    const ends = this.#ends[index]!;
    if (!table.table.attributes && ends.length === 0) return at;
    resource?.prepare();
    if (this.#item !== item) this.#sort(item);
    this.#row++;
    let o = at;
    if (ends.length > 0) o = this.#fields(index, ends, out, o);
    return table.table.attributes ? this.#object(table, resource, out, o) : o;
  }

  #sort(item: number): void {
    this.#item = item;
    const sorted = this.#sorted;
    sorted.sort();
    if (sorted.count <= this.#writtenFor.length) return;
    this.#writtenFor = new Int32Array(2 * sorted.count);
    this.#writtenFrom = new Int32Array(2 * sorted.count);
    this.#writtenEnd = new Int32Array(2 * sorted.count);
    this.#fieldOf = new Int32Array(2 * sorted.count);
  }

  /** Not 0 where the table declares the name of the entry, or the entry has no value. */
  #isLeftOut(table: number, entry: number): number {
    const head = this.#gather.tape[entry]!;
    const key = head >>> 4;
    const word =
      table < WORD
        ? this.#keys[key * KEY]!
        : this.#declaredBy[key * this.#declaredWords + (table >>> 5)]!;
    return (word & (1 << table)) | ((head & 15) === Kind.none ? 1 : 0);
  }

  /** The field `attributes`: one JSON object with sorted keys, in quotes, written with both escapes at once. */
  #object(table: PlanTable, resource: ResourceJson | undefined, out: DataView, at: number): number {
    const { list, count } = this.#sorted;
    const start = copy(out, at, this.#constants, table.attributes.at, table.attributes.length);
    out.setUint16(start, 0x227b); // "{
    const first = start + 2;
    let o = first;
    if (resource !== undefined && resource.length > 0) {
      if (resource.mixes(list, count)) o = resource.writeMixed(out, first, this.#left(table.index));
      else {
        const split = resource.placeIn(list, count);
        o = this.#members(table.index, 0, split, out, first, first);
        if (o > first) out.setUint8(o++, COMMA);
        o = resource.put(out, o);
        o = this.#members(table.index, split, count, out, o, first);
      }
    } else o = this.#members(table.index, 0, count, out, first, first);
    return o === first ? at : this.#close(out, o);
  }

  /** Entries of the list that stay for `attributes`. */
  #left(table: number): number[] {
    const { list, count } = this.#sorted;
    return [...list.subarray(0, count)].filter(
      (entry, i) => this.#fieldOf[i] !== this.#row && this.#isLeftOut(table, entry) === 0,
    );
  }

  /** Members from the list; those that stand in an earlier row of the item are copied, neighbours at once. */
  #members(
    table: number,
    from: number,
    to: number,
    out: DataView,
    at: number,
    first: number,
  ): number {
    const { list } = this.#sorted;
    const writtenFor = this.#writtenFor;
    const item = this.#item;
    let o = at;
    let runFrom = -1;
    let runEnd = -1;
    for (let i = from; i < to; i++) {
      const entry = list[i]!;
      if (this.#isLeftOut(table, entry) !== 0 || this.#fieldOf[i] === this.#row) continue;
      const isWritten = writtenFor[i] === item;
      const start = isWritten ? this.#writtenFrom[i]! : -1;
      // One comma stands between.
      if (isWritten && start === runEnd + 1) {
        runEnd = this.#writtenEnd[i]!;
        continue;
      }
      if (runFrom >= 0) o = this.#run(out, o, first, runFrom, runEnd);
      runFrom = start;
      runEnd = isWritten ? this.#writtenEnd[i]! : -2;
      if (isWritten) continue;
      if (o > first) out.setUint8(o++, COMMA);
      writtenFor[i] = item;
      this.#writtenFrom[i] = o;
      o = this.#value(out, this.#name(out, o, entry), entry);
      this.#writtenEnd[i] = o;
    }
    return runFrom >= 0 ? this.#run(out, o, first, runFrom, runEnd) : o;
  }

  #run(out: DataView, at: number, first: number, from: number, end: number): number {
    let o = at;
    if (o > first) out.setUint8(o++, COMMA);
    return copy(out, o, out, from, end - from);
  }

  #close(out: DataView, at: number): number {
    out.setUint16(at, 0x7d22); // }"
    return at + 2;
  }

  /** The name and its colon. */
  #name(out: DataView, at: number, entry: number): number {
    const key = (this.#gather.tape[entry]! >>> 4) * KEY;
    const length = this.#keys[key + 5]!;
    if (length > 0) return copy(out, at, this.#constants, this.#keys[key + 4]!, length);
    const order = this.#order;
    const view = this.#gather.view;
    const o = writeQuotedJsonText(out, at, view, order.keyFrom(entry), order.keyEnd(entry));
    out.setUint8(o, COLON);
    return o + 1;
  }

  #value(out: DataView, at: number, entry: number): number {
    const { tape, view, json } = this.#gather;
    const kind = tape[entry]! & 15;
    const from = tape[entry + 2]!;
    const end = tape[entry + 3]!;
    if (kind === Kind.text) return writeQuotedJsonText(out, at, view, from, end);
    if (kind === Kind.int) {
      json.varint(from);
      return json.high === 0 && json.low >>> 0 < 20_000
        ? writeUnder20000(out, at, json.low)
        : writeInt(out, at, json.low, json.high);
    }
    const scratch = this.#json;
    scratch.need(jsonRoom(end - from));
    const length = json.value(scratch.view, 0, kind as Kind, from, end);
    return writeStringContent(out, at, scratch.view, 0, length);
  }

  /** Those of the list whose names end so, as fields of their own types. */
  #fields(table: number, ends: readonly Uint8Array[], out: DataView, at: number): number {
    const order = this.#order;
    const { tape, view } = this.#gather;
    const { list, count } = this.#sorted;
    let o = at;
    let left = FIELDS_MAX;
    for (let i = 0; i < count && left > 0; i++) {
      const e = list[i]!;
      const from = order.keyFrom(e);
      const end = order.keyEnd(e);
      if (this.#isLeftOut(table, e) !== 0 || !this.#isField(ends, from, end)) continue;
      out.setUint8(o, COMMA);
      const equals = this.#text.writeName(out, o + 1, view, from, end);
      out.setUint8(equals, EQUALS);
      const value = equals + 1;
      const stop = this.#values.any(out, value, tape[e]! & 15, tape[e + 2]!, tape[e + 3]!);
      if (stop < 0) continue; // NaN and the like stay in `attributes`
      o = stop;
      this.#fieldOf[i] = this.#row;
      left--;
    }
    return o;
  }

  /** A name that would have to be changed is none: it might then be another column's. */
  #isField(ends: readonly Uint8Array[], from: number, end: number): boolean {
    const { bytes } = this.#gather;
    let isOne = false;
    for (let i = 0; i < ends.length && !isOne; i++) {
      const text = ends[i]!;
      const at = end - text.length;
      let same = at > from ? 0 : -1;
      while (same >= 0 && same < text.length && bytes[at + same] === text[same]) same++;
      isOne = same === text.length;
    }
    for (let p = from; p < end && isOne; p++) {
      const c = bytes[p]!;
      if (c < 32 || c === DELETE || c === BACKSLASH) isOne = false;
    }
    return isOne;
  }
}
