import { writeString, writeStringContent } from "../line/writer.ts";
import { Item as ImportedItem, Kind as ImportedKind } from "../otlp/tape.ts";
import { copy } from "../wire/copy.ts";
import { writeHex } from "../wire/hex.ts";
import { writeUnder20000 } from "../wire/numbers.ts";
import type { PlanTable } from "./compile.ts";
import type { Gather } from "./gather.ts";
import { LineCompiler } from "./line-compiler.ts";
import {
  Act as ImportedAct,
  PairOp as ImportedPairOp,
  PAIR_OP as ImportedPairOpSize,
  type LineProgram,
  LinePrograms,
} from "./line-program.ts";
import { LineRules } from "./line-rules.ts";
import type { RowTypes } from "./row-types.ts";
import type { RowWriter } from "./rows.ts";
import { SlotKind as ImportedSlotKind } from "./slots.ts";
import { latin } from "./tables/name-list.ts";
import { Reason } from "./values.ts";
import { Words } from "./words.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const Act = ImportedAct;
const PAIR_OP = ImportedPairOpSize;
const PairOp = ImportedPairOp;
const Item = ImportedItem;
const Kind = ImportedKind;
const SlotKind = ImportedSlotKind;

const QUOTE = 34;
const UNDERSCORE = 95;
const LETTER_I = 105;
const TRACE_BYTES = 16;
const SPAN_BYTES = 8;
/** A name that stands in the row already gets at most as many underscores; then the pair is left out. */
const RENAMES_MAX = 8;

/**
 * Rows of records that came in as lines (they carry `weir.tags`): every tag and field as it was sent, under its own name and, where the
 * table declares it, of its declared kind. Nothing is invented but what the table's rules for lines say (mapping §9.7).
 */
export class LineRows {
  readonly #rows: RowWriter;
  readonly #gather: Gather;
  readonly #types: RowTypes | undefined;
  readonly #programs: LinePrograms;
  readonly #words: Words;
  readonly #rules: LineRules;
  readonly #compiler: LineCompiler;
  /** Names of the row so far as they are written, where they are looked at. */
  #names: Set<string> | undefined;

  constructor(rows: RowWriter) {
    this.#rows = rows;
    this.#types = rows.types;
    this.#programs = new LinePrograms(rows.types !== undefined);
    this.#gather = rows.gather;
    this.#words = new Words(rows.plan.columns, rows.plan.constants.view);
    this.#rules = new LineRules(rows.plan.tables);
    this.#compiler = new LineCompiler(rows, this.#rules);
  }

  /** The row without its time; -1 when the record makes none. `table` undefined: a measurement that no table declares. */
  row(table: PlanTable | undefined, out: DataView, at: number): number {
    const gather = this.#gather;
    const index = table === undefined ? -1 : table.index;
    const found = this.#programs.find(gather, index);
    const program = found ?? this.#compile(table);
    const rows = this.#rows;
    let o = at;
    if (table !== undefined) o = rows.constant(out, o, table.measurement);
    else {
      const place = gather.at + gather.plan.nameAt;
      const from = gather.tape[place]!;
      const end = gather.tape[place + 1]!;
      o = rows.text.writeMeasurement(out, o, gather.view, from, end);
      if (o === at) return -1;
    }
    if (this.#types !== undefined) {
      if (found === undefined)
        program.isRetyped = this.#types.looksAt(program, this.#gather, table, out, at, o);
      this.#types.isDue = program.isRetyped;
    }
    this.#names = program.isPlain ? undefined : new Set();
    o = this.#pairs(program, 0, program.tagsEnd, out, o);
    rows.tagsEnd = o;
    o = this.#pairs(program, program.tagsEnd, program.end, out, o);
    return rows.endFields(table, out, o);
  }

  /** What it remembers of shapes holds no longer. */
  forget(): void {
    this.#programs.clear();
  }

  #compile(table: PlanTable | undefined): LineProgram {
    const program = this.#programs.make();
    this.#compiler.compile(program, table);
    return program;
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
    if (act === Act.rule) return this.#derived(ops, i, from, end, out, at);
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

  /** The value that a rule gives for a text. */
  #derived(
    ops: Int32Array,
    i: number,
    from: number,
    end: number,
    out: DataView,
    at: number,
  ): number {
    const { text } = this.#rows;
    const { bytes, view } = this.#gather;
    const rule = this.#rules.all[ops[i + PairOp.kind]!]!;
    if (rule.source.kind === "tag" && from === end) return -1;
    const start = at + ops[i + PairOp.headLength]!;
    const given = this.#rules.textOf(rule, bytes, from, end);
    const source = given === undefined ? view : this.#rules.constants.view;
    const first = given === undefined ? from : given.at;
    const last = given === undefined ? end : given.at + given.length;
    if (rule.column.kind !== "tag") return writeString(out, start, source, first, last);
    const close = text.writeTagValue(out, start, source, first, last);
    return close === start ? -1 : close;
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
}

/** Puts an underscore behind the name that ends at `nameEnd`, in a pair that ends at `end`. */
function lengthen(out: DataView, nameEnd: number, end: number): void {
  for (let p = end; p > nameEnd; p--) out.setUint8(p, out.getUint8(p - 1));
  out.setUint8(nameEnd, UNDERSCORE);
}
