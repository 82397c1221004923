import { ENTRY, Item, Kind, Log, LogFlags } from "../otlp/tape.ts";
import { copy } from "../wire/copy.ts";
import type { PlanColumn, PlanTable, Text } from "./compile.ts";
import type { Gather } from "./gather.ts";
import { Act, type LineProgram, PAIR_OP } from "./line-program.ts";
import type { LineRules } from "./line-rules.ts";
import type { RowWriter } from "./rows.ts";
import { Code, SlotKind } from "./slots.ts";
import { NameList } from "./tables/name-list.ts";
import { COLUMNS_MAX } from "./tables/tables.ts";
import { Reason } from "./values.ts";

const COMMA = 44;
const EQUALS = 61;
const UNDERSCORE = 95;
/** What becomes of an entry. */
const Use = { column: 0, tag: 1, field: 2, none: 3 } as const;

/**
 * Works out what the row of a record that came in as a line is made of: every tag and field as it was sent, under its own name and,
 * where the table declares it, of its declared kind; then what the table's rules for lines add.
 */
export class LineCompiler {
  readonly #rows: RowWriter;
  readonly #gather: Gather;
  readonly #rules: LineRules;
  readonly #tags = new NameList();
  readonly #uints = new NameList();
  readonly #constants: Uint8Array;
  /** By column of the plan: the entry that gives its value, -1 is none. */
  readonly #entryOf: Int32Array;
  /** By entry: repeated, and what becomes of it. */
  #dead = new Uint8Array(64);
  #use = new Uint8Array(64);
  /** No field of the line had these ids of the item. */
  #isTraceMade = false;
  #isSpanMade = false;
  /** Fields that the row may still get, and the index of its table. */
  #fieldRoom = 0;
  #table = -1;

  constructor(rows: RowWriter, rules: LineRules) {
    this.#rows = rows;
    this.#gather = rows.gather;
    this.#rules = rules;
    this.#constants = new Uint8Array(rows.plan.constants.view.buffer);
    this.#entryOf = new Int32Array(rows.plan.columns.length);
  }

  /** Fills an empty program with the pairs of the present record. `table` undefined: a measurement that no table declares. */
  compile(program: LineProgram, table: PlanTable | undefined): void {
    this.#sort(table);
    if (table !== undefined)
      for (const column of table.tags) this.#addColumn(program, table, column);
    this.#addUndeclared(program, Use.tag);
    program.tagsEnd = program.end;
    const hasIdColumns = table?.fields.some((column) => column.id !== undefined) === true;
    const hasTrace = !hasIdColumns && this.#has(Item.trace);
    const hasSpan = !hasIdColumns && this.#has(Item.span);
    this.#table = table === undefined ? -1 : table.index;
    this.#fieldRoom = this.#roomFor(program.tagsEnd / PAIR_OP, Number(hasTrace) + Number(hasSpan));
    if (table !== undefined)
      for (const column of table.fields) this.#addColumn(program, table, column);
    this.#addUndeclared(program, Use.field);
    const { traceId, spanId } = this.#rows.plan;
    if (hasTrace) this.#addId(program, traceId, Item.trace);
    if (hasSpan) this.#addId(program, spanId, Item.span);
    program.keep(this.#gather, this.#table);
  }

  /**
   * How many fields a row with so many tags and ids may have. InfluxDB 1 and 2 count no columns. A row whose tags alone are too many is
   * refused whatever its fields, so none is left out: it becomes a dead letter.
   */
  #roomFor(tags: number, ids: number): number {
    const room = COLUMNS_MAX - tags - ids;
    return this.#rows.text.dialect === "v3" && room > 0 ? room : Number.POSITIVE_INFINITY;
  }

  /** Takes a place of the row for a field; false, and a drop counted, where there is none left. */
  #takesField(program: LineProgram, column: number): boolean {
    if (this.#fieldRoom-- > 0) return true;
    // Compiled anew for each record, so that each counts.
    program.isWhole = false;
    const { drops } = this.#rows;
    if (column >= 0) drops.column(column, Reason.over_limit);
    else drops.other(this.#table, Reason.over_limit);
    return false;
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
    this.#findMade();
    if (table !== undefined) {
      for (const column of table.tags) this.#entryOf[column.index] = -1;
      for (const column of table.fields) this.#entryOf[column.index] = -1;
    }
    for (let i = 0; i < count; i++) {
      const e = gather.entries + i * ENTRY;
      const key = tape[e]! >>> 4;
      if (this.#dead[i] === 1 || this.#isMark(e)) {
        this.#use[i] = Use.none;
        continue;
      }
      const column = table === undefined ? -1 : table.ownColumn[key]!;
      const isTag = this.#tags.has(bytes, order.keyFrom(e), order.keyEnd(e));
      if (isTag && !this.#isField(table, column, key)) {
        this.#use[i] = Use.tag;
        continue;
      }
      this.#use[i] = column >= 0 ? Use.column : this.#isOwnId(key) ? Use.none : Use.field;
      if (column >= 0) this.#entryOf[column] = e;
    }
  }

  #findMade(): void {
    const { tape, entries, entriesEnd, plan } = this.#gather;
    this.#isTraceMade = false;
    this.#isSpanMade = false;
    for (let e = entries; e < entriesEnd; e += ENTRY) {
      const key = tape[e]! >>> 4;
      if (key === plan.madeTrace) this.#isTraceMade = true;
      else if (key === plan.madeSpan) this.#isSpanMade = true;
    }
  }

  /** Whether the entry is the door's own, and no pair of the line. */
  #isMark(entry: number): boolean {
    const { tape, lineTags, lineUint, plan } = this.#gather;
    const key = tape[entry]! >>> 4;
    return (
      entry === lineTags || entry === lineUint || key === plan.madeTrace || key === plan.madeSpan
    );
  }

  /** What was sent as a tag becomes the field that the table declares, unless the record has another value for that. */
  #isField(table: PlanTable | undefined, c: number, key: number): boolean {
    const column = c < 0 ? undefined : this.#rows.plan.columns[c]!;
    if (column === undefined || column.kind === "tag" || column.code === Code.any) return false;
    return !this.#isOwnId(key) && (column !== table?.bodyColumn || this.#bodyKind() === Kind.none);
  }

  /** The record's own id is written under this name, so an attribute of the name is not. */
  #isOwnId(key: number): boolean {
    const { traceKey, spanKey } = this.#rows.plan;
    return (
      (key === traceKey || key === spanKey) && this.#has(key === traceKey ? Item.trace : Item.span)
    );
  }

  /** A declared column: the record's own id or body, else the attribute of the column's name. */
  #addColumn(program: LineProgram, table: PlanTable, column: PlanColumn): void {
    const gather = this.#gather;
    const entry = this.#entryOf[column.index]!;
    const id = column.id === undefined ? -1 : column.id === "trace" ? Item.trace : Item.span;
    const bodyKind = this.#bodyKind();
    const isClash = column.kind !== "tag" && this.#isNamed(this.#tags, column);
    if (id >= 0 && this.#has(id)) this.#addDeclared(program, column, id, SlotKind.hex, isClash);
    else if (entry >= 0)
      this.#addDeclared(program, column, entry - gather.at + 2, this.#kindOf(entry), false);
    else if (column === table.bodyColumn) {
      const isUnsigned = bodyKind === Kind.int && this.#isNamed(this.#uints, column);
      const kind = isUnsigned ? SlotKind.uint : bodyKind;
      this.#addDeclared(program, column, Log.bodyAt, kind, isClash);
    } else this.#addDerived(program, column);
  }

  /** A column that the line lacks, from a text that it has in another. */
  #addDerived(program: LineProgram, column: PlanColumn): void {
    const rule = this.#rules.of(column);
    if (rule === undefined || this.#isNamed(this.#tags, column)) return;
    const gather = this.#gather;
    const entry = this.#entryOf[rule.source.index]!;
    if (entry < 0 || (gather.tape[entry]! & 15) !== Kind.text) return;
    if (column.kind !== "tag" && !this.#takesField(program, column.index)) return;
    const headEnd = this.#head(program, column);
    program.add(entry - gather.at + 2, Act.rule, headEnd, column.index, rule.index);
  }

  /** `isClash`: the record has a tag of the column's name too. */
  #addDeclared(
    program: LineProgram,
    column: PlanColumn,
    from: number,
    kind: number,
    isClash: boolean,
  ): void {
    if (kind === Kind.none) return;
    if (column.kind !== "tag" && !this.#takesField(program, column.index)) return;
    const headEnd = this.#head(program, column);
    program.add(from, actOf(column, kind), headEnd, column.index, kind);
    if (isClash) program.clash();
  }

  /** End of the column's head, where the program keeps heads. */
  #head(program: LineProgram, { head }: PlanColumn): number {
    program.roomForHead(head.length);
    const { heads, headsEnd } = program;
    return copy(heads, headsEnd, this.#rows.plan.constants.view, head.at, head.length);
  }

  /** Entries that no column takes, in their order. */
  #addUndeclared(program: LineProgram, use: number): void {
    const gather = this.#gather;
    for (let e = gather.entries, i = 0; e < gather.entriesEnd; e += ENTRY, i++)
      if (this.#use[i] === use) this.#addEntry(program, e, use);
  }

  #addEntry(program: LineProgram, entry: number, use: number): void {
    const gather = this.#gather;
    const { order, text, drops } = this.#rows;
    const kind = this.#kindOf(entry);
    if (kind === Kind.none) return;
    const nameFrom = order.keyFrom(entry);
    const nameEnd = order.keyEnd(entry);
    program.roomForHead(2 * (nameEnd - nameFrom) + 16);
    const { heads, headsEnd } = program;
    heads.setUint8(headsEnd, COMMA);
    const { dropped, newlines } = text;
    let o = text.writeName(heads, headsEnd + 1, gather.view, nameFrom, nameEnd);
    if (text.newlines !== newlines) program.isPlain = false;
    if (text.dropped !== dropped) {
      program.isPlain = false;
      // Compiled anew for each record, so that each counts.
      program.isWhole = false;
    }
    if (o === headsEnd + 1) {
      drops.other(-1, Reason.empty);
      program.isWhole = false;
      return;
    }
    if (isTime(heads, headsEnd + 1, o)) {
      program.isPlain = false;
      heads.setUint8(o++, UNDERSCORE);
    }
    heads.setUint8(o++, EQUALS);
    const isTag = use === Use.tag;
    if (!isTag && !this.#takesField(program, -1)) return;
    const isText = kind === Kind.text;
    let act: number = isTag ? Act.anyTag : Act.any;
    if (isText) act = isTag ? Act.tag : Act.text;
    else if (kind === Kind.int && !isTag) act = Act.integer;
    program.add(entry - gather.at + 2, act, o, -1, kind);
  }

  /** An id of the record that no column of the table takes. */
  #addId(program: LineProgram, head: Text, place: number): void {
    program.roomForHead(head.length + 1);
    const { heads, headsEnd } = program;
    let o = copy(heads, headsEnd, this.#rows.plan.constants.view, head.at, head.length);
    if (this.#tags.has(this.#constants, head.at + 1, head.at + head.length - 1)) {
      program.isPlain = false;
      heads.setUint8(o - 1, UNDERSCORE);
      heads.setUint8(o++, EQUALS);
    }
    program.add(place, Act.hex, o, -1, SlotKind.hex);
  }

  #isNamed(names: NameList, column: PlanColumn): boolean {
    const from = column.head.at + 1;
    return names.has(this.#constants, from, from + column.head.length - 2);
  }

  /** Whether the item has the id at this place of its node, and has it from a field of its line. */
  #has(place: number): boolean {
    if (place === Item.trace ? this.#isTraceMade : this.#isSpanMade) return false;
    return this.#gather.tape[this.#gather.at + place]! >= 0;
  }

  /** Spans have none. */
  #bodyKind(): number {
    const { tape, at, plan } = this.#gather;
    return plan.signal === "logs" ? tape[at + Item.flags]! & LogFlags.bodyKindMask : Kind.none;
  }

  #kindOf(entry: number): number {
    const gather = this.#gather;
    const kind = gather.tape[entry]! & 15;
    if (kind !== Kind.int || this.#uints.count === 0) return kind;
    const { order } = this.#rows;
    const isUnsigned = this.#uints.has(gather.bytes, order.keyFrom(entry), order.keyEnd(entry));
    return isUnsigned ? SlotKind.uint : kind;
  }
}

function actOf(column: PlanColumn, kind: number): number {
  const { code } = column;
  if (column.hasWords) return code === Code.tag && kind === Kind.text ? Act.words : Act.column;
  if (kind === Kind.text) {
    if (code === Code.tag) return Act.tag;
    if (code === Code.text || code === Code.any) return Act.text;
  }
  if (kind === Kind.int) {
    if (code === Code.float) return Act.float;
    if (code === Code.integer || code === Code.any) return Act.integer;
  }
  return kind === SlotKind.hex && code === Code.text ? Act.hex : Act.column;
}

function isTime(out: DataView, from: number, end: number): boolean {
  return end - from === 4 && out.getUint32(from) === 0x74696d65;
}
