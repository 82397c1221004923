import { ENTRY, Item, Kind, LogFlags } from "../otlp/tape.ts";
import { copy } from "../wire/copy.ts";
import { writeHex } from "../wire/hex.ts";
import { Part, type PlanColumn, type PlanTable, SlotKind } from "./compile.ts";
import type { Gather } from "./gather.ts";
import { SLOT } from "./program.ts";
import type { RowWriter } from "./rows.ts";
import { Reason } from "./values.ts";

const QUOTE = 34;
const COMMA = 44;
const EQUALS = 61;
const UNDERSCORE = 95;
/** With more names than this, they are looked up in a set instead of one by one. */
const FEW_NAMES = 16;
/** A name that stands in the row already gets at most as many underscores; then the pair is left out. */
const RENAMES_MAX = 8;
/** What becomes of an entry. */
const Use = { column: 0, tag: 1, field: 2, none: 3 } as const;

/** Names of `weir.tags` or `weir.uint`: positions in the batch, and a set of texts where there are many. */
class NameList {
  count = 0;
  readonly #from = new Int32Array(FEW_NAMES);
  readonly #end = new Int32Array(FEW_NAMES);
  #many: Set<string> | undefined;
  #own: Uint8Array = new Uint8Array(0);

  /** Reads the ArrayValue of texts of the entry; -1 is none. */
  read(gather: Gather, entry: number): void {
    this.count = 0;
    this.#many = undefined;
    this.#own = gather.bytes;
    if (entry < 0 || (gather.tape[entry]! & 15) !== Kind.array) return;
    const { bytes, json } = gather;
    const end = gather.tape[entry + 3]!;
    for (let p = gather.tape[entry + 2]!; p < end; ) {
      // ArrayValue.values, then AnyValue.string_value; other values are no names.
      const start = json.varint(p + 1);
      const stop = Math.min(start + (json.low >>> 0), end);
      if (bytes[p] === 0x0a && bytes[start] === 0x0a && start < stop) {
        const from = json.varint(start + 1);
        this.#add(gather, from, Math.min(from + (json.low >>> 0), stop));
      }
      p = stop;
    }
  }

  #add(gather: Gather, from: number, end: number): void {
    if (this.count < FEW_NAMES) {
      this.#from[this.count] = from;
      this.#end[this.count] = end;
    } else {
      this.#many ??= this.#asSet(gather);
      this.#many.add(latin(gather.bytes, from, end));
    }
    this.count++;
  }

  #asSet(gather: Gather): Set<string> {
    const names = new Set<string>();
    for (let i = 0; i < FEW_NAMES; i++)
      names.add(latin(gather.bytes, this.#from[i]!, this.#end[i]!));
    return names;
  }

  /** Whether the name in `bytes[from, end)` is one of them. */
  has(bytes: Uint8Array, from: number, end: number): boolean {
    if (this.count === 0) return false;
    if (this.#many !== undefined) return this.#many.has(latin(bytes, from, end));
    const length = end - from;
    for (let i = 0; i < this.count; i++) {
      if (this.#end[i]! - this.#from[i]! !== length) continue;
      const own = this.#from[i]!;
      let at = 0;
      while (at < length && bytes[from + at] === this.#own[own + at]) at++;
      if (at === length) return true;
    }
    return false;
  }
}

/**
 * Rows of records that came in as lines (they carry `weir.tags`): every tag and field as it was sent, under its own name and, where the
 * table declares it, of its declared kind. Nothing is invented (mapping §9.7).
 */
export class LineRows {
  readonly #rows: RowWriter;
  readonly #gather: Gather;
  readonly #tags = new NameList();
  readonly #uints = new NameList();
  readonly #constants: Uint8Array;
  /** By column of the plan: the entry that gives its value, -1 is none. */
  readonly #entryOf: Int32Array;
  /** By entry: repeated, and what becomes of it. */
  #dead = new Uint8Array(64);
  /** Some name of the row is not as it was sent. */
  #isChanged = false;
  /** Names of the row so far as they are written, where they are looked at. */
  #names: Set<string> | undefined;
  #use = new Uint8Array(64);

  constructor(rows: RowWriter) {
    this.#rows = rows;
    this.#gather = rows.gather;
    this.#constants = new Uint8Array(rows.plan.constants.view.buffer);
    this.#entryOf = new Int32Array(rows.plan.columns.length);
  }

  /** The row without its time; -1 when the record makes none. `table` undefined: a measurement that no table declares. */
  row(table: PlanTable | undefined, out: DataView, at: number): number {
    const { drops, text } = this.#rows;
    const mark = drops.mark();
    const { dropped } = text;
    this.#isChanged = false;
    const end = this.#row(table, out, at);
    if (!this.#isChanged || end < 0) return end;
    // Rare: a name is not the one that was sent, so it may be one that stands in the row already.
    drops.back(mark);
    text.dropped = dropped;
    this.#names = new Set();
    const stop = this.#row(table, out, at);
    this.#names = undefined;
    return stop;
  }

  #row(table: PlanTable | undefined, out: DataView, at: number): number {
    const rows = this.#rows;
    const gather = this.#gather;
    let o = at;
    if (table !== undefined) o = rows.constant(out, o, table.measurement);
    else {
      const from = gather.slots[Part.event_name * SLOT + 1]!;
      o = rows.text.writeMeasurement(
        out,
        o,
        gather.view,
        from,
        gather.slots[Part.event_name * SLOT + 2]!,
      );
      if (o === at) return -1;
    }
    this.#sort(table);
    if (table !== undefined)
      for (let i = 0; i < table.tags.length; i++) o = this.#column(table, table.tags[i]!, out, o);
    o = this.#undeclared(Use.tag, out, o);
    rows.tagsEnd = o;
    if (table !== undefined)
      for (let i = 0; i < table.fields.length; i++)
        o = this.#column(table, table.fields[i]!, out, o);
    o = this.#undeclared(Use.field, out, o);
    if (table === undefined || !table.fields.some((column) => column.id !== undefined))
      o = this.#ids(out, o);
    return rows.endFields(table, out, o);
  }

  /** Decides what becomes of each entry. */
  #sort(table: PlanTable | undefined): void {
    const gather = this.#gather;
    const { tape, bytes } = gather;
    const { order } = this.#rows;
    this.#tags.read(gather, gather.lineTags);
    this.#uints.read(gather, gather.lineUint);
    const count = (gather.entriesEnd - gather.entries) / ENTRY;
    if (count > this.#dead.length) {
      this.#dead = new Uint8Array(count * 2);
      this.#use = new Uint8Array(count * 2);
    }
    order.markRepeated(gather.entries, gather.entriesEnd, this.#dead);
    if (table !== undefined) {
      for (const column of table.tags) this.#entryOf[column.index] = -1;
      for (const column of table.fields) this.#entryOf[column.index] = -1;
    }
    for (let i = 0; i < count; i++) {
      const e = gather.entries + i * ENTRY;
      const key = tape[e]! >>> 4;
      if (this.#dead[i] === 1 || e === gather.lineTags || e === gather.lineUint) {
        this.#use[i] = Use.none;
        continue;
      }
      if (this.#tags.has(bytes, order.keyFrom(e), order.keyEnd(e))) {
        this.#use[i] = Use.tag;
        continue;
      }
      const column = table === undefined ? -1 : table.ownColumn[key]!;
      this.#use[i] = column >= 0 ? Use.column : this.#isOwnId(key) ? Use.none : Use.field;
      if (column >= 0) this.#entryOf[column] = e;
    }
  }

  /** The record's own id is written under this name, so an attribute of the name is not. */
  #isOwnId(key: number): boolean {
    const { traceKey, spanKey } = this.#rows.plan;
    return (
      (key === traceKey || key === spanKey) &&
      this.#has(key === traceKey ? Part.trace_id : Part.span_id)
    );
  }

  /** A declared column: the record's own id or body, else the attribute of the column's name. */
  #column(table: PlanTable, column: PlanColumn, out: DataView, at: number): number {
    const gather = this.#gather;
    const isTagToo = column.kind !== "tag" && this.#isNamed(this.#tags, column);
    let o = at;
    if (column.id !== undefined) {
      const part = column.id === "trace" ? Part.trace_id : Part.span_id;
      if (this.#has(part)) {
        o = this.#rows.column(
          column,
          1,
          SlotKind.hex,
          gather.slots[part * SLOT + 1]!,
          gather.slots[part * SLOT + 2]!,
          out,
          at,
        );
        return this.#columnNamed(column, isTagToo, out, at, o);
      }
    }
    const entry = this.#entryOf[column.index]!;
    if (entry >= 0) {
      const from = gather.tape[entry + 2]!;
      const end = gather.tape[entry + 3]!;
      const kind = this.#kindOf(entry);
      if (kind === Kind.none || (column.kind === "tag" && kind === Kind.text && from === end))
        return at;
      o = this.#rows.column(column, 1, kind, from, end, out, at);
    } else if (column === table.bodyColumn && this.#bodyKind() !== Kind.none) {
      const from = gather.slots[Part.body * SLOT + 1]!;
      const isUnsigned = this.#bodyKind() === Kind.int && this.#isNamed(this.#uints, column);
      const kind = isUnsigned ? SlotKind.uint : this.#bodyKind();
      o = this.#rows.column(column, 1, kind, from, gather.slots[Part.body * SLOT + 2]!, out, at);
    }
    return this.#columnNamed(column, isTagToo, out, at, o);
  }

  /** With `isTagToo`, a tag of the same name stands in the row: the field's name gets an underscore (mapping §9.9). */
  #columnNamed(
    column: PlanColumn,
    isTagToo: boolean,
    out: DataView,
    at: number,
    end: number,
  ): number {
    if (end === at) return at;
    const nameEnd = at + column.head.length - 1;
    if (!isTagToo) return this.#unique(out, at, nameEnd, end);
    this.#isChanged = true;
    lengthen(out, nameEnd, end);
    return this.#unique(out, at, nameEnd + 1, end + 1);
  }

  /** The pair in `[at, end)`, under a name that the row does not have yet: of equal ones, the later gets a further underscore. */
  #unique(out: DataView, at: number, nameEnd: number, end: number): number {
    const names = this.#names;
    if (names === undefined) return end;
    const memory = new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
    for (let more = 0; more <= RENAMES_MAX; more++) {
      const name = latin(memory, at + 1, nameEnd + more);
      if (!names.has(name)) {
        names.add(name);
        return end + more;
      }
      lengthen(out, nameEnd + more, end + more);
    }
    this.#rows.drops.other(-1, Reason.repeated);
    return at;
  }

  #isNamed(names: NameList, column: PlanColumn): boolean {
    const from = column.head.at + 1;
    return names.has(this.#constants, from, from + column.head.length - 2);
  }

  #has(part: number): boolean {
    const tape = this.#gather.tape;
    return tape[this.#gather.at + (part === Part.trace_id ? Item.trace : Item.span)]! >= 0;
  }

  #bodyKind(): number {
    return this.#gather.tape[this.#gather.at + Item.flags]! & LogFlags.bodyKindMask;
  }

  #kindOf(entry: number): number {
    const gather = this.#gather;
    const kind = gather.tape[entry]! & 15;
    if (kind !== Kind.int || this.#uints.count === 0) return kind;
    const { order } = this.#rows;
    const isUnsigned = this.#uints.has(gather.bytes, order.keyFrom(entry), order.keyEnd(entry));
    return isUnsigned ? SlotKind.uint : kind;
  }

  /** Entries that no column takes, in their order. */
  #undeclared(use: number, out: DataView, at: number): number {
    const gather = this.#gather;
    let o = at;
    for (let e = gather.entries, i = 0; e < gather.entriesEnd; e += ENTRY, i++)
      if (this.#use[i] === use) o = this.#pair(e, use, out, o);
    return o;
  }

  #pair(entry: number, use: number, out: DataView, at: number): number {
    const gather = this.#gather;
    const { order, text, values, drops } = this.#rows;
    const kind = this.#kindOf(entry);
    if (kind === Kind.none) return at;
    const nameFrom = order.keyFrom(entry);
    const nameEnd = order.keyEnd(entry);
    out.setUint8(at, COMMA);
    const lost = text.dropped + text.newlines;
    let o = text.writeName(out, at + 1, gather.view, nameFrom, nameEnd);
    if (text.dropped + text.newlines !== lost) this.#isChanged = true;
    if (o === at + 1) {
      drops.other(-1, Reason.empty);
      return at;
    }
    if (isTime(out, at + 1, o)) {
      this.#isChanged = true;
      out.setUint8(o++, UNDERSCORE);
    }
    const equals = o;
    out.setUint8(o++, EQUALS);
    const from = gather.tape[entry + 2]!;
    const end = gather.tape[entry + 3]!;
    const stop =
      use === Use.tag ? values.tag(out, o, kind, from, end) : values.any(out, o, kind, from, end);
    if (stop >= 0) return this.#unique(out, at, equals, stop);
    drops.other(-1, values.reason);
    return at;
  }

  /** Ids of the record that no column of the table takes. */
  #ids(out: DataView, at: number): number {
    const { traceId, spanId } = this.#rows.plan;
    let o = at;
    if (this.#has(Part.trace_id))
      o = this.#idField(traceId.at, traceId.length, Part.trace_id, out, o);
    if (this.#has(Part.span_id)) o = this.#idField(spanId.at, spanId.length, Part.span_id, out, o);
    return o;
  }

  #idField(at: number, length: number, part: number, out: DataView, from: number): number {
    const gather = this.#gather;
    let o = copy(out, from, this.#rows.plan.constants.view, at, length);
    if (this.#tags.has(this.#constants, at + 1, at + length - 1)) {
      this.#isChanged = true;
      out.setUint8(o - 1, UNDERSCORE);
      out.setUint8(o++, EQUALS);
    }
    const equals = o - 1;
    out.setUint8(o++, QUOTE);
    o = writeHex(
      out,
      o,
      gather.view,
      gather.slots[part * SLOT + 1]!,
      gather.slots[part * SLOT + 2]! - gather.slots[part * SLOT + 1]!,
    );
    out.setUint8(o, QUOTE);
    return this.#unique(out, from, equals, o + 1);
  }
}

/** Puts an underscore behind the name that ends at `nameEnd`, in a pair that ends at `end`. */
function lengthen(out: DataView, nameEnd: number, end: number): void {
  for (let p = end; p > nameEnd; p--) out.setUint8(p, out.getUint8(p - 1));
  out.setUint8(nameEnd, UNDERSCORE);
}

function isTime(out: DataView, from: number, end: number): boolean {
  return end - from === 4 && out.getUint32(from) === 0x74696d65;
}

/** Bytes as a text that is only compared. */
function latin(bytes: Uint8Array, from: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, end - from).toString("latin1");
}
