import { type LineText, writeStringContent } from "../line/writer.ts";
import { ENTRY, Kind } from "../otlp/tape.ts";
import { jsonRoom, writeQuotedJsonText } from "../otlp/value-json.ts";
import { copy } from "../wire/copy.ts";
import { writeInt, writeUnder20000 } from "../wire/numbers.ts";
import { type Plan, type PlanTable, WORD } from "./compile.ts";
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
  /** By table. */
  readonly #resources: readonly (ResourceJson | undefined)[];
  readonly #ends: readonly (readonly Uint8Array[])[];

  constructor(plan: Plan, program: Program, gather: Gather, text: LineText, values: Values) {
    this.#gather = gather;
    this.#order = gather.order;
    this.#text = text;
    this.#values = values;
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

  write(table: PlanTable, out: DataView, at: number): number {
    const { index } = table;
    const resource = this.#resources[index];
    const hasUndeclared = index >= WORD || ((this.#gather.undeclared >>> index) & 1) === 1;
    if (!hasUndeclared && resource === undefined) return at;
    const ends = this.#ends[index]!;
    if (!table.table.attributes && ends.length === 0) return at;
    resource?.prepare();
    this.#collect(index);
    let o = at;
    if (ends.length > 0) o = this.#fields(ends, out, o);
    return table.table.attributes ? this.#object(table, resource, out, o) : o;
  }

  /** The entries that the table does not declare, sorted; of equal keys the last. */
  #collect(table: number): void {
    const { tape, entries, entriesEnd } = this.#gather;
    const keys = this.#keys;
    const order = this.#order;
    const list = order.begin((entriesEnd - entries) / ENTRY);
    let count = 0;
    if (table < WORD)
      for (let e = entries; e < entriesEnd; e += ENTRY) {
        // Kept or overwritten by the next, without a branch.
        list[count] = e;
        count += (~keys[(tape[e]! >>> 4) * KEY]! >>> table) & 1;
      }
    else {
      const word = Math.floor(table / WORD);
      for (let e = entries; e < entriesEnd; e += ENTRY) {
        list[count] = e;
        const declared = this.#declaredBy[(tape[e]! >>> 4) * this.#declaredWords + word]!;
        count += (~declared >>> (table % WORD)) & 1;
      }
    }
    order.count = count;
    order.sort();
  }

  /** The field `attributes`: one JSON object with sorted keys, in quotes, written with both escapes at once. */
  #object(table: PlanTable, resource: ResourceJson | undefined, out: DataView, at: number): number {
    const order = this.#order;
    const { tape } = this.#gather;
    const start = copy(out, at, this.#constants, table.attributes.at, table.attributes.length);
    out.setUint16(start, 0x227b); // "{
    const first = start + 2;
    if (resource?.mixes(order) === true) {
      const end = resource.writeMixed(out, first, order);
      return end === first ? at : this.#close(out, end);
    }
    let isDue = resource !== undefined && resource.length > 0;
    let o = first;
    for (let i = 0; i < order.count; i++) {
      const e = order.list[i]!;
      if ((tape[e]! & 15) === Kind.none) continue;
      if (isDue && resource!.isBefore(e)) {
        if (o > first) out.setUint8(o++, COMMA);
        o = resource!.put(out, o);
        isDue = false;
      }
      if (o > first) out.setUint8(o++, COMMA);
      o = this.#name(out, o, e);
      o = this.#value(out, o, e);
    }
    if (isDue) {
      if (o > first) out.setUint8(o++, COMMA);
      o = resource!.put(out, o);
    }
    return o === first ? at : this.#close(out, o);
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

  /** Those of the list whose names end so, as fields of their own types: they leave the list. */
  #fields(ends: readonly Uint8Array[], out: DataView, at: number): number {
    const order = this.#order;
    const { tape, view } = this.#gather;
    let o = at;
    let kept = 0;
    let written = 0;
    for (let i = 0; i < order.count; i++) {
      const e = order.list[i]!;
      const from = order.keyFrom(e);
      const end = order.keyEnd(e);
      const kind = tape[e]! & 15;
      const isField = kind !== Kind.none && written < FIELDS_MAX && this.#isField(ends, from, end);
      let stop = -1;
      if (isField) {
        out.setUint8(o, COMMA);
        const equals = this.#text.writeName(out, o + 1, view, from, end);
        out.setUint8(equals, EQUALS);
        stop = this.#values.any(out, equals + 1, kind, tape[e + 2]!, tape[e + 3]!);
      }
      if (stop >= 0) {
        o = stop;
        written++;
      } else order.list[kept++] = e;
    }
    order.count = kept;
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
