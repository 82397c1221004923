import { getOrMake } from "../lib/get-or-make.ts";
import { type LineText, writeStringContent } from "../line/writer.ts";
import { Kind } from "../otlp/tape.ts";
import { jsonRoom, writeQuotedJsonText } from "../otlp/value-json.ts";
import { copy } from "../wire/copy.ts";
import { writeInt, writeUnder20000 } from "../wire/numbers.ts";
import { type Plan, type PlanTable, WORD } from "./compile.ts";
import { ENTRIES_MAX, EntryOrder, SHAPES } from "./entry-order.ts";
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

/** By shape of items: which of their entries a table does not declare. */
class KnownLeft {
  /** By shape: the shape's `learnt` that it is of, and the number of places. */
  readonly learnt = new Int32Array(SHAPES);
  readonly counts = new Int32Array(SHAPES);
  readonly places: readonly Int32Array[] = Array.from(
    { length: SHAPES },
    () => new Int32Array(ENTRIES_MAX),
  );
}

const makeKnown = () => new KnownLeft();

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
  /** Places in order of what the table does not declare: of the present item in a table, and of shapes by table. */
  #left: Int32Array = new Int32Array(64);
  #leftCount = 0;
  readonly #known = new Map<number, KnownLeft>();
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
    this.#findLeft(index);
    let o = at;
    if (ends.length > 0) o = this.#fields(ends, out, o);
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

  /** Whether the table declares the name of the entry. */
  #isDeclared(table: number, entry: number): boolean {
    const key = this.#gather.tape[entry]! >>> 4;
    const word =
      table < WORD
        ? this.#keys[key * KEY]!
        : this.#declaredBy[key * this.#declaredWords + (table >>> 5)]!;
    return (word & (1 << table)) !== 0;
  }

  /** Fills `#left` for a table. */
  #findLeft(table: number): void {
    const { list, count, shape, learnt } = this.#sorted;
    const known = shape < 0 ? undefined : getOrMake(this.#known, table, makeKnown);
    if (known !== undefined && known.learnt[shape] === learnt[shape]) {
      this.#left = known.places[shape]!;
      this.#leftCount = known.counts[shape]!;
      return;
    }
    const left = known === undefined ? new Int32Array(count) : known.places[shape]!;
    let n = 0;
    for (let i = 0; i < count; i++) if (!this.#isDeclared(table, list[i]!)) left[n++] = i;
    this.#left = left;
    this.#leftCount = n;
    if (known === undefined) return;
    known.learnt[shape] = learnt[shape]!;
    known.counts[shape] = n;
  }

  /** The field `attributes`: one JSON object with sorted keys, in quotes, written with both escapes at once. */
  #object(table: PlanTable, resource: ResourceJson | undefined, out: DataView, at: number): number {
    const first = copy(out, at, this.#constants, table.attributes.at, table.attributes.length) + 1;
    const count = this.#leftCount;
    let o = first;
    if (resource === undefined || resource.length === 0) o = this.#members(0, count, out, o);
    else {
      const entries = this.#leftEntries();
      if (resource.mixes(entries)) o = resource.writeMixed(out, o, entries);
      else {
        const split = resource.placeIn(this.#sorted.list, this.#left, count);
        o = this.#members(0, split, out, o);
        o = resource.put(out, o);
        o = this.#members(split, count, out, o);
      }
    }
    if (o === first) return at;
    // The first member's comma gives way.
    out.setUint16(first - 1, 0x227b); // "{
    out.setUint16(o, 0x7d22); // }"
    return o + 2;
  }

  /** Entries that stay for `attributes`. */
  #leftEntries(): Int32Array {
    const { list } = this.#sorted;
    const { tape } = this.#gather;
    const left = this.#left.subarray(0, this.#leftCount);
    const stays = (i: number) =>
      this.#fieldOf[i] !== this.#row && (tape[list[i]!]! & 15) !== Kind.none;
    return left.filter(stays).map((i) => list[i]!);
  }

  /** Members with their commas; those that stand in an earlier row of the item are copied, neighbours at once. */
  #members(from: number, to: number, out: DataView, at: number): number {
    const { list } = this.#sorted;
    const { tape, view } = this.#gather;
    const left = this.#left;
    const writtenFor = this.#writtenFor;
    const writtenFrom = this.#writtenFrom;
    const writtenEnd = this.#writtenEnd;
    const item = this.#item;
    let o = at;
    let run = 0;
    let runEnd = 0;
    for (let k = from; k < to; k++) {
      const i = left[k]!;
      const entry = list[i]!;
      const kind = tape[entry]! & 15;
      if (kind === Kind.none || this.#fieldOf[i] === this.#row) continue;
      if (writtenFor[i] === item) {
        if (writtenFrom[i] !== runEnd) {
          o = this.#run(out, o, run, runEnd);
          run = writtenFrom[i]!;
        }
        runEnd = writtenEnd[i]!;
        continue;
      }
      o = this.#run(out, o, run, runEnd);
      run = runEnd;
      writtenFor[i] = item;
      writtenFrom[i] = o;
      o = this.#name(out, o, entry);
      o =
        kind === Kind.text
          ? writeQuotedJsonText(out, o, view, tape[entry + 2]!, tape[entry + 3]!)
          : this.#value(out, o, entry);
      writtenEnd[i] = o;
    }
    return this.#run(out, o, run, runEnd);
  }

  /** Copies members. Of the first one in its row, the comma has given way. */
  #run(out: DataView, at: number, from: number, end: number): number {
    if (from === end) return at;
    const stop = copy(out, at, out, from, end - from);
    out.setUint8(at, COMMA);
    return stop;
  }

  /** A comma, the name and its colon. */
  #name(out: DataView, at: number, entry: number): number {
    const key = (this.#gather.tape[entry]! >>> 4) * KEY;
    const length = this.#keys[key + 5]!;
    if (length > 0) return copy(out, at, this.#constants, this.#keys[key + 4]!, length);
    const order = this.#order;
    const view = this.#gather.view;
    out.setUint8(at, COMMA);
    const o = writeQuotedJsonText(out, at + 1, view, order.keyFrom(entry), order.keyEnd(entry));
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
  #fields(ends: readonly Uint8Array[], out: DataView, at: number): number {
    const order = this.#order;
    const { tape, view } = this.#gather;
    const { list } = this.#sorted;
    let o = at;
    let room = FIELDS_MAX;
    for (let k = 0; k < this.#leftCount && room > 0; k++) {
      const i = this.#left[k]!;
      const e = list[i]!;
      if ((tape[e]! & 15) === Kind.none) continue;
      const from = order.keyFrom(e);
      const end = order.keyEnd(e);
      if (!this.#isField(ends, from, end)) continue;
      out.setUint8(o, COMMA);
      const equals = this.#text.writeName(out, o + 1, view, from, end);
      out.setUint8(equals, EQUALS);
      const value = equals + 1;
      const stop = this.#values.any(out, value, tape[e]! & 15, tape[e + 2]!, tape[e + 3]!);
      if (stop < 0) continue; // NaN and the like stay in `attributes`
      o = stop;
      this.#fieldOf[i] = this.#row;
      room--;
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
