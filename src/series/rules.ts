import type { LineText } from "../line/writer.ts";
import { ENTRY, Kind as ImportedKind } from "../otlp/tape.ts";
import { writeInt } from "../wire/numbers.ts";
import type { CarefulSources } from "./careful.ts";
import type { PlanColumn, PlanTable, Text } from "./compile.ts";
import type { PlanCondition, PlanRule } from "./compile-rules.ts";
import type { Gather } from "./gather.ts";
import { SLOT as ImportedSlot } from "./program.ts";
import {
  METHOD_INPUT,
  type Piece,
  RequestRoute,
  ROUTE_INPUT,
  ROUTE_INPUTS,
  writeMethodAndRoute,
} from "./request-route.ts";
import { Code as ImportedCode, Part as ImportedPart, SlotKind } from "./slots.ts";
import { Scratch, type Values } from "./values.ts";
import type { Words } from "./words.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const Kind = ImportedKind;
const SLOT = ImportedSlot;
const Part = ImportedPart;
const Code = ImportedCode;
/** Longer texts are searched in their first bytes only. */
const SEARCHED = 4096;
/** Columns that are filled from each other: at most so many steps. */
const STEPS_MAX = 8;
const NUMBER_ROOM = 64;
const LETTER_I = 105;
const MAX_EXACT = Number.MAX_SAFE_INTEGER;

/** Evaluates `otherwise`: what a column without a source is filled with, and the conditions of rules and matches. */
export class Rules {
  /** What `find` found: `view[from, end)`. */
  view: DataView;
  from = 0;
  end = 0;
  /** It is written as it stands: a number. */
  isRaw = false;
  /** `find` gave nothing as the sum of what is there is too large. */
  isTooLarge = false;
  readonly #gather: Gather;
  readonly #values: Values;
  readonly #words: Words;
  readonly #careful: CarefulSources;
  readonly #constants: DataView;
  readonly #bytes: Uint8Array;
  readonly #route = new RequestRoute();
  readonly #inputs: Piece[] = ROUTE_INPUTS.map(() => ({ from: -1, end: -1 }));
  readonly #name: Piece = { from: -1, end: -1 };
  readonly #scratch = new Scratch();
  readonly #utf8 = new TextDecoder();

  constructor(gather: Gather, values: Values, words: Words, careful: CarefulSources) {
    this.#gather = gather;
    this.#values = values;
    this.#words = words;
    this.#careful = careful;
    this.#constants = gather.plan.constants.view;
    this.#bytes = gather.plan.constants.bytes;
    this.view = this.#constants;
  }

  /** The value of a column that no source gives: that of the first rule that holds and has one. */
  find(table: PlanTable, column: PlanColumn, steps = 0): boolean {
    this.isTooLarge = false;
    const rules = column.otherwise;
    for (let i = 0; i < rules.length; i++) {
      const rule = rules[i]!;
      if (this.holds(rule.when) && this.#gives(table, rule, steps)) return true;
    }
    return false;
  }

  /** Writes the value of a tag whose first rule takes no more than copying; -1: it does, or gives nothing. */
  writeTag(text: LineText, out: DataView, at: number, rule: PlanRule): number {
    const gather = this.#gather;
    const { slots } = gather;
    if (rule.when.test !== "always") return -1;
    if (rule.isCopy) {
      const slot = this.#firstSlot(rule.columns[0]!);
      if (slot < 0) return -1;
      const kind = slots[slot]!;
      if (kind === Kind.int) return this.#values.plain(out, at, kind, slots[slot + 1]!, 0);
      if (kind !== Kind.text) return -1;
      const stop = text.writeTagValue(out, at, gather.view, slots[slot + 1]!, slots[slot + 2]!);
      return stop === at ? -1 : stop;
    }
    if (rule.gives !== "derivation") return -1;
    const method = this.#firstSlot(rule.columns[METHOD_INPUT]!);
    const route = this.#firstSlot(rule.columns[ROUTE_INPUT]!);
    if (method < 0 || route < 0) return -1;
    return writeMethodAndRoute(text, out, at, gather, slots, method, route);
  }

  #gives(table: PlanTable, rule: PlanRule, steps: number): boolean {
    this.isRaw = false;
    switch (rule.gives) {
      case "number":
        this.isRaw = true;
        return this.#constant(rule.text);
      case "value":
        return this.#constant(rule.text);
      case "sum":
        return this.#sum(table, rule, steps);
      case "derivation":
        return this.#requestRoute(rule);
      case "column":
        return this.#other(table, rule, steps);
    }
  }

  #constant({ at, length }: Text): boolean {
    this.view = this.#constants;
    this.from = at;
    this.end = at + length;
    return true;
  }

  #sum(table: PlanTable, { columns }: PlanRule, steps: number): boolean {
    let sum = 0;
    for (let i = 0; i < columns.length; i++) sum += this.#integer(table, columns[i]!, steps);
    if (!(Math.abs(sum) <= MAX_EXACT)) {
      this.isTooLarge = !Number.isNaN(sum);
      return false;
    }
    this.#scratch.need(NUMBER_ROOM);
    const { view } = this.#scratch;
    const end = writeInt(view, 0, sum | 0, Math.floor(sum / 4_294_967_296));
    view.setUint8(end, LETTER_I);
    this.view = view;
    this.from = 0;
    this.end = end + 1;
    this.isRaw = true;
    return true;
  }

  /** The column's integer, from its first source or its rules; NaN where it has none, Infinity where no double holds it. */
  #integer(table: PlanTable, column: PlanColumn, steps: number): number {
    if (steps > STEPS_MAX) return Number.NaN;
    const slot = this.#firstSlot(column);
    if (slot >= 0) return this.#integerAt(slot);
    const rules = column.otherwise;
    for (let i = 0; i < rules.length; i++) {
      const rule = rules[i]!;
      if (!this.holds(rule.when)) continue;
      if (rule.gives === "number") return rule.number;
      if (rule.gives !== "sum") continue;
      let sum = 0;
      for (let c = 0; c < rule.columns.length; c++)
        sum += this.#integer(table, rule.columns[c]!, steps + 1);
      return sum;
    }
    return Number.NaN;
  }

  #integerAt(slot: number): number {
    const { slots } = this.#gather;
    if (!this.#values.int64(slots[slot]!, slots[slot + 1]!, slots[slot + 2]!)) return Number.NaN;
    const { low, high } = this.#values.json;
    const value = high * 4_294_967_296 + (low >>> 0);
    return Math.abs(value) <= MAX_EXACT ? value : Number.POSITIVE_INFINITY;
  }

  /** Place of the first source's slot, -1 where no source is present. */
  #firstSlot({ mask }: PlanColumn): number {
    const bits = this.#gather.masks[mask.index]!;
    return bits === 0 ? -1 : mask.slots[31 - Math.clz32(bits & -bits)]! * SLOT;
  }

  #requestRoute({ columns }: PlanRule): boolean {
    const gather = this.#gather;
    const inputs = this.#inputs;
    for (let i = 0; i < columns.length; i++) {
      this.#piece(inputs[i]!, columns[i]!);
      // With a route, nothing behind it is looked at.
      if (i === ROUTE_INPUT && inputs[i]!.from >= 0) break;
    }
    const at = Part.name * SLOT;
    const hasName = gather.hasName;
    this.#name.from = hasName ? gather.slots[at + 1]! : -1;
    this.#name.end = hasName ? gather.slots[at + 2]! : -1;
    const length = this.#route.make(gather.bytes, gather.view, inputs, this.#name);
    this.view = this.#route.scratch.view;
    this.from = 0;
    this.end = length;
    return length > 0;
  }

  /** The first of its sources, where that is text. */
  #piece(piece: Piece, column: PlanColumn): void {
    const { slots } = this.#gather;
    const slot = this.#firstSlot(column);
    const isText = slot >= 0 && slots[slot] === Kind.text;
    piece.from = isText ? slots[slot + 1]! : -1;
    piece.end = isText ? slots[slot + 2]! : -1;
  }

  #other(table: PlanTable, rule: PlanRule, steps: number): boolean {
    const [column] = rule.columns;
    if (column === undefined || !this.#text(table, column, steps + 1)) return false;
    this.isRaw = false;
    if (rule.part !== 0 && !this.#cut(rule.text, rule.part === 2)) return false;
    if (this.end === this.from) return false;
    for (let w = 0; w < rule.words.length; w++) {
      const { from, to } = rule.words[w]!;
      if (this.#isText(from)) return this.#constant(to);
    }
    return rule.rest === undefined || this.#constant(rule.rest);
  }

  /** The value of a column as text, whatever gives it. */
  #text(table: PlanTable, column: PlanColumn, steps: number): boolean {
    if (steps > STEPS_MAX) return false;
    const gather = this.#gather;
    const careful = this.#careful;
    if (gather.masks[column.mask.index] === 0 || !careful.find(column, table))
      return this.find(table, column, steps) && this.#withoutSuffix(column);
    if (careful.id !== "") return this.#own(careful.id);
    const { kind, from, end } = careful;
    const words = this.#words;
    if (column.hasWords && words.findOf(column, gather, this.#values, kind, from, end))
      return this.#at(words.view, words.from, words.end);
    if (kind === Kind.text) return this.#at(gather.view, from, end);
    if (kind === SlotKind.constant) return this.#constant({ at: from, length: end - from });
    return this.#converted(kind, from, end);
  }

  #at(view: DataView, from: number, end: number): boolean {
    this.view = view;
    this.from = from;
    this.end = end;
    return true;
  }

  #own(text: string): boolean {
    this.from = 0;
    this.end = this.#scratch.set(text);
    this.view = this.#scratch.view;
    return true;
  }

  #converted(kind: number, from: number, end: number): boolean {
    const values = this.#values;
    this.from = 0;
    if (values.isPlain(kind)) {
      this.#scratch.need(NUMBER_ROOM + 2 * Math.max(0, kind === SlotKind.hex ? end - from : 0));
      this.view = this.#scratch.view;
      this.end = values.plain(this.view, 0, kind, from, end);
      return this.end >= 0;
    }
    this.end = values.built(kind, from, end);
    this.view = values.scratch.view;
    return true;
  }

  /** Of an integer that a rule gave, the `i` is no part of its text. */
  #withoutSuffix({ code }: PlanColumn): boolean {
    if (this.isRaw && code === Code.integer) this.end--;
    return true;
  }

  /** Ends it before the first or last place of a text; false where that is not in it. */
  #cut(before: Text, isLast: boolean): boolean {
    const last = this.end - before.length;
    for (let i = 0; i <= last - this.from; i++) {
      const p = isLast ? last - i : this.from + i;
      if (!this.#startsAt(p, before)) continue;
      this.end = p;
      return true;
    }
    return false;
  }

  #startsAt(p: number, { at, length }: Text): boolean {
    let i = 0;
    while (i < length && this.view.getUint8(p + i) === this.#bytes[at + i]) i++;
    return i === length;
  }

  #isText(text: Text): boolean {
    return text.length === this.end - this.from && this.#startsAt(this.from, text);
  }

  holds(when: PlanCondition): boolean {
    const gather = this.#gather;
    switch (when.test) {
      case "always":
        return true;
      case "all":
        for (let i = 0; i < when.all.length; i++) if (!this.holds(when.all[i]!)) return false;
        return true;
      case "severity_at_least":
        return gather.severity >= when.number;
      case "span_status":
        return gather.plan.signal === "traces" && gather.spanStatus === when.number;
      case "has_one_of":
        return gather.masks[when.column!.mask.index] !== 0;
      case "has_none_of":
        return gather.masks[when.column!.mask.index] === 0;
      case "is":
      case "is_not":
      case "at_least":
        return this.#compares(when);
      case "is_none_of":
      case "equals":
        return this.#equals(when) === (when.test === "equals");
      case "contains":
        return this.#contains(when.column!, when.words);
      case "has_attribute_prefix":
        return this.#hasPrefix(when.words[0]!);
    }
  }

  /** The column's value as it would be written; false when it has none. */
  #compares({ test, column, number }: PlanCondition): boolean {
    const slot = column === undefined ? -1 : this.#firstSlot(column);
    if (slot < 0) return false;
    const { slots } = this.#gather;
    if (!this.#values.int64(slots[slot]!, slots[slot + 1]!, slots[slot + 2]!)) return false;
    const { low, high } = this.#values.json;
    const value = high * 4_294_967_296 + (low >>> 0);
    if (test === "at_least") return value >= number;
    return (value === number) === (test === "is");
  }

  /** Whether the first source's text is one of these. Without a source, neither answer holds. */
  #equals({ test, column, texts }: PlanCondition): boolean {
    const slot = column === undefined ? -1 : this.#firstSlot(column);
    if (slot < 0) return test === "is_none_of";
    const { slots, view } = this.#gather;
    if (slots[slot] === Kind.text) {
      this.view = view;
      this.from = slots[slot + 1]!;
      this.end = slots[slot + 2]!;
    } else if (!this.#converted(slots[slot]!, slots[slot + 1]!, slots[slot + 2]!)) return false;
    for (let i = 0; i < texts.length; i++) if (this.#isText(texts[i]!)) return true;
    return false;
  }

  /** Whether one of the attributes that are present holds one of the words, in any case. */
  #contains({ mask }: PlanColumn, words: readonly string[]): boolean {
    const { masks, slots, bytes } = this.#gather;
    for (let rest = masks[mask.index]!; rest !== 0; rest &= rest - 1) {
      const slot = mask.slots[31 - Math.clz32(rest & -rest)]! * SLOT;
      if (slots[slot] !== Kind.text) continue;
      const from = slots[slot + 1]!;
      const end = Math.min(slots[slot + 2]!, from + SEARCHED);
      const text = this.#utf8.decode(bytes.subarray(from, end)).toLowerCase();
      if (words.some((word) => text.includes(word))) return true;
    }
    return false;
  }

  #hasPrefix(prefix: string): boolean {
    const { entries, entriesEnd, tape, bytes, order } = this.#gather;
    for (let e = entries; e < entriesEnd; e += ENTRY) {
      if ((tape[e]! & 15) === Kind.none) continue;
      const from = order.keyFrom(e);
      if (order.keyEnd(e) - from < prefix.length) continue;
      let i = 0;
      while (i < prefix.length && bytes[from + i] === prefix.charCodeAt(i)) i++;
      if (i === prefix.length) return true;
    }
    return false;
  }
}
