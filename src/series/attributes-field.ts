import { type LineText, writeStringContent } from "../line/writer.ts";
import { writeQuotedJsonText } from "../otlp/json-text.ts";
import { ENTRY as ImportedEntry, Kind as ImportedKind, type Kind as KindOf } from "../otlp/tape.ts";
import { jsonRoom } from "../otlp/value-json.ts";
import { copy } from "../wire/copy.ts";
import { writeInt, writeUnder20000 } from "../wire/numbers.ts";
import { type Plan, type PlanTable, WORD } from "./compile.ts";
import { isFieldName } from "./field-name.ts";
import type { Gather } from "./gather.ts";
import { MEMBER as ImportedMember, KnownLeft, Quick, SharedMembers } from "./known-left.ts";
import { MemberNames } from "./member-names.ts";
import type { KeyOrder } from "./order.ts";
import { KEY, type Program } from "./program.ts";
import { ResourceJson } from "./resource-json.ts";
import type { RowTypes } from "./row-types.ts";
import { COLUMNS_MAX } from "./tables/tables.ts";
import { Scratch, type Values } from "./values.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const ENTRY = ImportedEntry;
const Kind = ImportedKind;
const MEMBER = ImportedMember;
const COMMA = 44;
const EQUALS = 61;
/** More columns than this are too many for InfluxDB 3 (500 in a table): further ones stay in `attributes`. */
const FIELDS_MAX = 400;

/** Writes what no column takes: fields by the end of their names, and the field `attributes`. */
export class AttributesField {
  readonly #gather: Gather;
  readonly #order: KeyOrder;
  readonly #text: LineText;
  readonly #values: Values;
  readonly #types: RowTypes | undefined;
  readonly #constants: DataView;
  readonly #names: MemberNames;
  readonly #learnt: Int32Array;
  readonly #keys: Int32Array;
  readonly #declaredBy: Int32Array;
  readonly #declaredWords: number;
  readonly #json = new Scratch();
  /** The item, as `RowWriter.begin` counts them. */
  #item = 0;
  #isAlone = false;
  /** By place of an entry: the item for which its member stands in the output, from where to where. */
  #writtenFor = new Int32Array(64);
  #writtenFrom = new Int32Array(64);
  #writtenEnd = new Int32Array(64);
  /** By place of an entry: the row that has it as a field of its own. */
  #fieldOf = new Int32Array(64);
  #row = 0;
  /** Places of entries that the table does not declare, in the order of their names: of the present item, and of shapes by table. */
  #left: Int32Array = new Int32Array(64);
  #leftCount = 0;
  #before = 0;
  #prefixed = 0;
  /** MEMBER ints of each of `#left`, where they are known. */
  #quick: Int32Array | undefined;
  readonly #shared = new SharedMembers();
  /** `#left` of an item whose shape is not remembered. */
  #own: Int32Array = new Int32Array(64);
  readonly #known: (KnownLeft | undefined)[];
  /** By table. */
  readonly #resources: readonly (ResourceJson | undefined)[];
  readonly #ends: readonly (readonly Uint8Array[])[];

  constructor(
    plan: Plan,
    program: Program,
    gather: Gather,
    text: LineText,
    values: Values,
    types: RowTypes | undefined,
  ) {
    this.#types = types;
    this.#gather = gather;
    this.#order = gather.order;
    this.#text = text;
    this.#values = values;
    this.#learnt = gather.shapes.learnt;
    this.#constants = plan.constants.view;
    this.#names = new MemberNames(gather);
    this.#keys = program.keys;
    this.#declaredBy = plan.declaredBy;
    this.#declaredWords = plan.declaredWords;
    const member = (out: DataView, at: number, entry: number) => this.#value(out, at, entry);
    this.#known = plan.tables.map(() => undefined);
    this.#resources = plan.tables.map(({ table: { resourceAttributes: wanted } }) =>
      wanted === undefined ? undefined : new ResourceJson(gather, wanted, member),
    );
    this.#ends = plan.tables.map(({ table }) =>
      table.extraFieldEnds.map((end) => new TextEncoder().encode(end)),
    );
  }

  /** `item` counts the items: rows of one share their bytes, where it has more than this one. */
  write(table: PlanTable, item: number, isAlone: boolean, out: DataView, at: number): number {
    this.#isAlone = isAlone;
    const { index } = table;
    const resource = this.#resources[index];
    if (!this.#gather.hasUndeclared(index) && resource === undefined) return at;
    const ends = this.#ends[index]!;
    if (!table.table.attributes && ends.length === 0) return at;
    resource?.prepare();
    if (this.#item !== item) this.#open(item);
    this.#row++;
    this.#findLeft(index);
    let o = at;
    if (ends.length > 0) o = this.#fields(table, ends, out, o);
    return table.table.attributes ? this.#object(table, resource, out, o) : o;
  }

  #open(item: number): void {
    this.#item = item;
    const { entries, entriesEnd } = this.#gather;
    const count = (entriesEnd - entries) / ENTRY;
    if (count <= this.#writtenFor.length) return;
    this.#writtenFor = new Int32Array(2 * count);
    this.#writtenFrom = new Int32Array(2 * count);
    this.#writtenEnd = new Int32Array(2 * count);
    this.#fieldOf = new Int32Array(2 * count);
    this.#own = new Int32Array(2 * count);
  }

  /** Fills `#left` for a table. */
  #findLeft(table: number): void {
    const { shape } = this.#gather.shapes;
    this.#quick = undefined;
    if (shape < 0) {
      this.#left = this.#own;
      this.#leftCount = this.#collect(table, this.#own);
      this.#placeResource(table);
      return;
    }
    const learnt = this.#learnt;
    const known = this.#known[table] ?? this.#keep(table);
    this.#left = known.places[shape]!;
    if (known.learnt[shape] !== learnt[shape]) {
      this.#leftCount = this.#collect(table, this.#left);
      this.#placeResource(table);
      known.counts[shape] = this.#leftCount;
      known.before[shape] = this.#before;
      known.prefixed[shape] = this.#prefixed;
      known.learnt[shape] = learnt[shape]!;
      known.quick[shape] = this.#ends[table]!.length > 0 ? Quick.no : Quick.unknown;
    } else if (known.quick[shape] === Quick.yes) this.#quick = known.members[shape]!;
    else if (known.quick[shape] === Quick.unknown) this.#learnMembers(known, shape);
    this.#leftCount = known.counts[shape]!;
    this.#before = known.before[shape]!;
    this.#prefixed = known.prefixed[shape]!;
  }

  /** Keeps what every item of the shape has in common: once the first one has been written, its names are kept. */
  #learnMembers(known: KnownLeft, shape: number): void {
    const { tape, entries } = this.#gather;
    const count = known.counts[shape]!;
    const members = new Int32Array(count * MEMBER);
    for (let k = 0; k < count; k++) {
      const entry = entries + known.places[shape]![k]! * ENTRY;
      const kind = tape[entry]! & 15;
      const name = this.#names.placeOf(entry);
      known.quick[shape] = Quick.no;
      if (kind === Kind.none || name < 0) return;
      const isText = kind === Kind.text ? 1 : 0;
      members.set([2 * (entry - entries) + isText, name, this.#names.lengthOf(entry)], k * MEMBER);
    }
    known.quick[shape] = Quick.yes;
    known.members[shape] = members;
  }

  #keep(table: number): KnownLeft {
    const known = new KnownLeft();
    this.#known[table] = known;
    return known;
  }

  /** Where among `#left` the members of the resource stand. */
  #placeResource(table: number): void {
    const resource = this.#resources[table];
    if (resource === undefined) return;
    const count = this.#leftCount;
    this.#before = resource.placeIn(this.#left, count);
    let end = this.#before;
    while (end < count && resource.isPrefixed(this.#left[end]!)) end++;
    this.#prefixed = end - this.#before;
  }

  /** Places of the entries that the table does not declare, by name, of equal names the last; returns their number. */
  #collect(table: number, places: Int32Array): number {
    const { tape, entries, entriesEnd } = this.#gather;
    const order = this.#order;
    const list = order.begin((entriesEnd - entries) / ENTRY);
    const isFirst = table < WORD;
    const words = isFirst ? this.#keys : this.#declaredBy;
    const stride = isFirst ? KEY : this.#declaredWords;
    const word = isFirst ? 0 : Math.floor(table / WORD);
    let count = 0;
    for (let e = entries; e < entriesEnd; e += ENTRY) {
      // Kept or overwritten by the next, without a branch.
      list[count] = e;
      count += (~words[(tape[e]! >>> 4) * stride + word]! >>> (table % WORD)) & 1;
    }
    order.count = count;
    order.sort();
    for (let i = 0; i < order.count; i++) places[i] = (list[i]! - entries) / ENTRY;
    return order.count;
  }

  /** The field `attributes`: one JSON object with sorted keys, in quotes, written with both escapes at once. */
  #object(table: PlanTable, resource: ResourceJson | undefined, out: DataView, at: number): number {
    const first = copy(out, at, this.#constants, table.attributes.at, table.attributes.length) + 1;
    const count = this.#leftCount;
    let o = first;
    if (resource === undefined || resource.length === 0) o = this.#members(0, count, out, o);
    else {
      const before = this.#before;
      if (this.#mixes()) o = resource.writeMixed(out, o, this.#leftEntries());
      else {
        o = this.#members(0, before, out, o);
        o = resource.put(out, o);
        o = this.#members(before, count, out, o);
      }
    }
    if (o === first) return at;
    // The first member's comma gives way.
    out.setUint16(first - 1, 0x227b); // "{
    out.setUint16(o, 0x7d22); // }"
    return o + 2;
  }

  /** Whether names of the item stand between those of the resource: they start with the prefix too. */
  #mixes(): boolean {
    const end = this.#before + this.#prefixed;
    for (let k = this.#before; k < end; k++) if (this.#stays(this.#left[k]!)) return true;
    return false;
  }

  /** Whether the entry at this place stays for `attributes`. */
  #stays(i: number): boolean {
    const { tape, entries } = this.#gather;
    return (tape[entries + i * ENTRY]! & 15) !== Kind.none && this.#fieldOf[i] !== this.#row;
  }

  /** Entries that stay for `attributes`. */
  #leftEntries(): Int32Array {
    const left = this.#left.subarray(0, this.#leftCount).filter((i) => this.#stays(i));
    return left.map((i) => this.#gather.entries + i * ENTRY);
  }

  /** Members with their commas; those that stand in an earlier row of the item are copied, neighbours at once. */
  #members(from: number, to: number, out: DataView, at: number): number {
    const quick = this.#quick;
    if (quick !== undefined && this.#isAlone) return this.#quickMembers(quick, from, to, out, at);
    if (quick !== undefined && to - from === this.#leftCount)
      return this.#sharedMembers(quick, out, at);
    if (this.#isAlone) return this.#onlyMembers(from, to, out, at);
    const { tape, view, entries } = this.#gather;
    const left = this.#left;
    const writtenFor = this.#writtenFor;
    const writtenFrom = this.#writtenFrom;
    const writtenEnd = this.#writtenEnd;
    const names = this.#names;
    const item = this.#item;
    let o = at;
    let run = 0;
    let runEnd = 0;
    for (let k = from; k < to; k++) {
      const i = left[k]!;
      const entry = entries + i * ENTRY;
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
      o = names.write(out, o, entry);
      o =
        kind === Kind.text
          ? writeQuotedJsonText(out, o, view, tape[entry + 2]!, tape[entry + 3]!)
          : this.#value(out, o, entry);
      writtenEnd[i] = o;
    }
    return this.#run(out, o, run, runEnd);
  }

  /** Members of the only row of its item: none stands anywhere yet, and none is looked for again. */
  #onlyMembers(from: number, to: number, out: DataView, at: number): number {
    const { tape, view, entries } = this.#gather;
    const left = this.#left;
    const names = this.#names;
    const fieldOf = this.#fieldOf;
    const row = this.#row | 0;
    let o = at | 0;
    for (let k = from | 0; k < to; k++) {
      const i = left[k]!;
      const entry = entries + i * ENTRY;
      const kind = tape[entry]! & 15;
      if (kind === Kind.none || fieldOf[i] === row) continue;
      o = names.write(out, o, entry) | 0;
      if (kind === Kind.text)
        o = writeQuotedJsonText(out, o, view, tape[entry + 2]!, tape[entry + 3]!) | 0;
      else o = this.#value(out, o, entry) | 0;
    }
    return o;
  }

  /** Members of the only row of an item whose shape is known. */
  #quickMembers(members: Int32Array, from: number, to: number, out: DataView, at: number): number {
    const { tape, view, entries } = this.#gather;
    const names = this.#names;
    const stop = (to * MEMBER) | 0;
    let o = at | 0;
    for (let m = (from * MEMBER) | 0; m < stop; m = (m + MEMBER) | 0) {
      const place = members[m]!;
      const entry = (entries + (place >> 1)) | 0;
      o = names.copy(out, o, members[(m + 1) | 0]!, members[(m + 2) | 0]!) | 0;
      if ((place & 1) === 0) o = this.#value(out, o, entry) | 0;
      else {
        const valueAt = tape[(entry + 2) | 0]!;
        o = writeQuotedJsonText(out, o, view, valueAt, tape[(entry + 3) | 0]!) | 0;
      }
    }
    return o;
  }

  /** All members of an item that has other rows: copied as a whole where one of these has the same. */
  #sharedMembers(members: Int32Array, out: DataView, at: number): number {
    const shared = this.#shared;
    if (shared.has(this.#item, members)) return this.#run(out, at, shared.from, shared.end);
    const end = this.#quickMembers(members, 0, this.#leftCount, out, at);
    shared.keep(this.#item, members, at, end);
    return end;
  }

  /** Copies members. Of the first one in its row, the comma has given way. */
  #run(out: DataView, at: number, from: number, end: number): number {
    if (from === end) return at;
    const stop = copy(out, at, out, from, end - from);
    out.setUint8(at, COMMA);
    return stop;
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
    const length = json.value(scratch.view, 0, kind as KindOf, from, end);
    return writeStringContent(out, at, scratch.view, 0, length);
  }

  /** Those of the list whose names end so, as fields of their own types. */
  #fields(table: PlanTable, ends: readonly Uint8Array[], out: DataView, at: number): number {
    const order = this.#order;
    const { tape, bytes, view, entries } = this.#gather;
    let o = at;
    let room = Math.min(FIELDS_MAX, COLUMNS_MAX - table.tags.length - table.fields.length - 1);
    for (let k = 0; k < this.#leftCount && room > 0; k++) {
      const i = this.#left[k]!;
      const e = entries + i * ENTRY;
      if ((tape[e]! & 15) === Kind.none) continue;
      const from = order.keyFrom(e);
      const end = order.keyEnd(e);
      if (!isFieldName(bytes, from, end, ends)) continue;
      out.setUint8(o, COMMA);
      const equals = this.#text.writeName(out, o + 1, view, from, end);
      out.setUint8(equals, EQUALS);
      const value = equals + 1;
      const stop = this.#values.any(out, value, tape[e]! & 15, tape[e + 2]!, tape[e + 3]!);
      if (stop < 0) continue; // NaN and the like stay in `attributes`
      this.#types?.extra(table, tape[e]! >>> 4, tape[e]! & 15, out, o + 1, equals);
      o = stop;
      this.#fieldOf[i] = this.#row;
      room--;
    }
    return o;
  }
}
