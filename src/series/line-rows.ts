import { writeStringContent } from "../line/writer.ts";
import { ENTRY, Item, Kind, Log, LogFlags } from "../otlp/tape.ts";
import { copy } from "../wire/copy.ts";
import { writeHex } from "../wire/hex.ts";
import { writeUnder20000 } from "../wire/numbers.ts";
import { Code, type PlanColumn, type PlanTable, SlotKind, type Text } from "./compile.ts";
import type { Gather } from "./gather.ts";
import { Act, type LineProgram, LinePrograms, PAIR_OP, PairOp } from "./line-program.ts";
import { latin, NameList } from "./name-list.ts";
import type { RowWriter } from "./rows.ts";
import { Reason } from "./values.ts";
import { Words } from "./words.ts";

const QUOTE = 34;
const COMMA = 44;
const EQUALS = 61;
const UNDERSCORE = 95;
const LETTER_I = 105;
const TRACE_BYTES = 16;
const SPAN_BYTES = 8;
/** A name that stands in the row already gets at most as many underscores; then the pair is left out. */
const RENAMES_MAX = 8;
/** What becomes of an entry. */
const Use = { column: 0, tag: 1, field: 2, none: 3 } as const;

/**
 * Rows of records that came in as lines (they carry `weir.tags`): every tag and field as it was sent, under its own name and, where the
 * table declares it, of its declared kind. Nothing is invented (mapping §9.7).
 */
export class LineRows {
  readonly #rows: RowWriter;
  readonly #gather: Gather;
  readonly #programs = new LinePrograms();
  readonly #words: Words;
  readonly #tags = new NameList();
  readonly #uints = new NameList();
  readonly #constants: Uint8Array;
  /** By column of the plan: the entry that gives its value, -1 is none. */
  readonly #entryOf: Int32Array;
  /** By entry: repeated, and what becomes of it. */
  #dead = new Uint8Array(64);
  #use = new Uint8Array(64);
  /** Names of the row so far as they are written, where they are looked at. */
  #names: Set<string> | undefined;

  constructor(rows: RowWriter) {
    this.#rows = rows;
    this.#gather = rows.gather;
    this.#words = new Words(rows.plan.columns, rows.plan.constants.view);
    this.#constants = new Uint8Array(rows.plan.constants.view.buffer);
    this.#entryOf = new Int32Array(rows.plan.columns.length);
  }

  /** The row without its time; -1 when the record makes none. `table` undefined: a measurement that no table declares. */
  row(table: PlanTable | undefined, out: DataView, at: number): number {
    const gather = this.#gather;
    const index = table === undefined ? -1 : table.index;
    const program = this.#programs.find(gather, index) ?? this.#compile(table, index);
    const rows = this.#rows;
    let o = at;
    if (table !== undefined) o = rows.constant(out, o, table.measurement);
    else {
      const from = gather.tape[gather.at + Log.eventNameAt]!;
      const end = gather.tape[gather.at + Log.eventNameEnd]!;
      o = rows.text.writeMeasurement(out, o, gather.view, from, end);
      if (o === at) return -1;
    }
    this.#names = program.isPlain ? undefined : new Set();
    o = this.#pairs(program, 0, program.tagsEnd, out, o);
    rows.tagsEnd = o;
    o = this.#pairs(program, program.tagsEnd, program.end, out, o);
    return rows.endFields(table, out, o);
  }

  /** The pairs of `ops` from `first` to `stop`. The cases: what most values of most lines are. */
  #pairs(program: LineProgram, first: number, stop: number, out: DataView, at: number): number {
    const { ops, heads } = program;
    const { tape, bytes, view, at: node } = this.#gather;
    const names = this.#names;
    let o = at;
    for (let i = first; i < stop; i += PAIR_OP) {
      const place = node + ops[i]!;
      const from = tape[place]!;
      const end = tape[place + 1]!;
      const headAt = ops[i + PairOp.headAt]!;
      const head = ops[i + PairOp.headLength]!;
      out.setBigUint64(o, heads.getBigUint64(headAt, true), true);
      out.setBigUint64(o + 8, heads.getBigUint64(headAt + 8, true), true);
      const start = o + head;
      if (head > 16) copy(out, o, heads, headAt, head);
      let close = -1;
      switch (ops[i + PairOp.act]) {
        case Act.tag:
          if (from < end) close = this.#rows.text.writeTagValue(out, start, view, from, end);
          if (close === start) close = -1;
          break;
        case Act.words: {
          if (from === end) break;
          const words = this.#words;
          words.find(this.#rows.plan.columns[ops[i + PairOp.column]!]!, bytes, view, from, end);
          close = this.#rows.text.writeTagValue(out, start, words.view, words.from, words.end);
          if (close === start) close = -1;
          break;
        }
        case Act.text:
          out.setUint8(start, QUOTE);
          close = writeStringContent(out, start + 1, view, from, end);
          out.setUint8(close++, QUOTE);
          break;
        case Act.hex: {
          const length = ops[i] === Item.trace ? TRACE_BYTES : SPAN_BYTES;
          out.setUint8(start, QUOTE);
          close = writeHex(out, start + 1, view, from, length);
          out.setUint8(close++, QUOTE);
          break;
        }
        case Act.float:
        case Act.integer: {
          const low = bytes[from]!;
          const high = low < 128 ? 0 : bytes[from + 1]!;
          if (high > 127) break;
          close = writeUnder20000(out, start, (low & 127) | (high << 7));
          if (ops[i + PairOp.act] === Act.integer) out.setUint8(close++, LETTER_I);
          break;
        }
        default:
      }
      if (close < 0) close = this.#general(ops, i, from, end, out, o);
      if (close < 0) continue;
      o = names === undefined ? close : this.#unique(names, ops, i, out, o, close);
    }
    return o;
  }

  /** A pair of any kind: its end, or -1 when it is left out. */
  #general(
    ops: Int32Array,
    i: number,
    from: number,
    end: number,
    out: DataView,
    at: number,
  ): number {
    const { values, drops, plan } = this.#rows;
    const kind = ops[i + PairOp.kind]!;
    const act = ops[i + PairOp.act]!;
    const c = ops[i + PairOp.column]!;
    const stop =
      kind === SlotKind.hex ? from + (ops[i] === Item.trace ? TRACE_BYTES : SPAN_BYTES) : end;
    if (c >= 0) {
      const column = plan.columns[c]!;
      if (column.kind === "tag" && kind === Kind.text && from === end) return -1;
      const close = this.#rows.column(column, 1, kind, from, stop, out, at);
      return close === at ? -1 : close;
    }
    const start = at + ops[i + PairOp.headLength]!;
    const close =
      act === Act.tag || act === Act.anyTag
        ? values.tag(out, start, kind, from, stop)
        : values.any(out, start, kind, from, stop);
    if (close < 0) drops.other(-1, values.reason);
    return close;
  }

  /** The pair in `[at, end)`, under a name that the row does not have yet: of equal ones, the later gets a further underscore. */
  #unique(
    names: Set<string>,
    ops: Int32Array,
    i: number,
    out: DataView,
    at: number,
    end: number,
  ): number {
    let nameEnd = at + ops[i + PairOp.headLength]! - 1;
    let stop = end;
    if (ops[i + PairOp.clash] === 1) lengthen(out, nameEnd++, stop++);
    const memory = new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
    for (let more = 0; more <= RENAMES_MAX; more++) {
      const name = latin(memory, at + 1, nameEnd + more);
      if (!names.has(name)) {
        names.add(name);
        return stop + more;
      }
      lengthen(out, nameEnd + more, stop + more);
    }
    this.#rows.drops.other(-1, Reason.repeated);
    return at;
  }

  /** Works out the pairs of the present record. */
  #compile(table: PlanTable | undefined, index: number): LineProgram {
    const program = this.#programs.make();
    this.#sort(table);
    if (table !== undefined)
      for (const column of table.tags) this.#addColumn(program, table, column);
    this.#addUndeclared(program, Use.tag);
    program.tagsEnd = program.end;
    if (table !== undefined)
      for (const column of table.fields) this.#addColumn(program, table, column);
    this.#addUndeclared(program, Use.field);
    if (table === undefined || !table.fields.some((column) => column.id !== undefined)) {
      const { traceId, spanId } = this.#rows.plan;
      if (this.#has(Item.trace)) this.#addId(program, traceId, Item.trace);
      if (this.#has(Item.span)) this.#addId(program, spanId, Item.span);
    }
    if (program.isPlain && hasEqualHeads(program)) program.isPlain = false;
    program.keep(this.#gather, index);
    return program;
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
      (key === traceKey || key === spanKey) && this.#has(key === traceKey ? Item.trace : Item.span)
    );
  }

  /** A declared column: the record's own id or body, else the attribute of the column's name. */
  #addColumn(program: LineProgram, table: PlanTable, column: PlanColumn): void {
    const gather = this.#gather;
    const entry = this.#entryOf[column.index]!;
    const id = column.id === undefined ? -1 : column.id === "trace" ? Item.trace : Item.span;
    const bodyKind = gather.tape[gather.at + Item.flags]! & LogFlags.bodyKindMask;
    if (id >= 0 && this.#has(id)) this.#addDeclared(program, column, id, SlotKind.hex);
    else if (entry >= 0)
      this.#addDeclared(program, column, entry - gather.at + 2, this.#kindOf(entry));
    else if (column === table.bodyColumn) {
      const isUnsigned = bodyKind === Kind.int && this.#isNamed(this.#uints, column);
      this.#addDeclared(program, column, Log.bodyAt, isUnsigned ? SlotKind.uint : bodyKind);
    }
  }

  #addDeclared(program: LineProgram, column: PlanColumn, from: number, kind: number): void {
    if (kind === Kind.none) return;
    const { at, length } = column.head;
    program.roomForHead(length);
    const headEnd = copy(
      program.heads,
      program.headsEnd,
      this.#rows.plan.constants.view,
      at,
      length,
    );
    program.add(from, actOf(column, kind), headEnd, column.index, kind);
    if (column.kind !== "tag" && this.#isNamed(this.#tags, column)) program.clash();
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
    const lost = text.dropped + text.newlines;
    let o = text.writeName(heads, headsEnd + 1, gather.view, nameFrom, nameEnd);
    if (text.dropped + text.newlines !== lost) program.isPlain = false;
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

  /** Whether the record has the id at this place of its node. */
  #has(place: number): boolean {
    return this.#gather.tape[this.#gather.at + place]! >= 0;
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

/** Whether two pairs have one name. */
function hasEqualHeads({ ops, end, heads }: LineProgram): boolean {
  const bytes = new Uint8Array(heads.buffer);
  const seen = new Set<string>();
  for (let i = 0; i < end; i += PAIR_OP) {
    const from = ops[i + PairOp.headAt]!;
    const name = latin(bytes, from, from + ops[i + PairOp.headLength]!);
    if (seen.has(name)) return true;
    seen.add(name);
  }
  return false;
}

/** Puts an underscore behind the name that ends at `nameEnd`, in a pair that ends at `end`. */
function lengthen(out: DataView, nameEnd: number, end: number): void {
  for (let p = end; p > nameEnd; p--) out.setUint8(p, out.getUint8(p - 1));
  out.setUint8(nameEnd, UNDERSCORE);
}

function isTime(out: DataView, from: number, end: number): boolean {
  return end - from === 4 && out.getUint32(from) === 0x74696d65;
}
