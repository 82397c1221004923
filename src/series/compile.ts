import type { Keys } from "../otlp/keys.ts";
import { Log, type Signal, Span } from "../otlp/tape.ts";
import { Constants } from "../wire/copy.ts";
import { compileCondition, compileRule, type Lookup, type PlanRule } from "./compile-rules.ts";
import { MaskTable, type PlanMask, type Uses, uses } from "./masks.ts";
import { Code, PARTS } from "./slots.ts";
import type { Column, ColumnKind, Source, Table } from "./tables/tables.ts";
import { SPAN_KINDS } from "./tables/tables.ts";

/** Key ids run from 1 to 4,096; 0 is "not interned". */
export const KEY_IDS = 4097;
/** Tables in one word of bits. */
export const WORD = 32;

/** A constant in `Plan.constants`. */
export interface Text {
  readonly at: number;
  readonly length: number;
}

export interface PlanColumn {
  readonly index: number;
  readonly name: string;
  readonly kind: ColumnKind | "any" | "hidden";
  /** The kind as a number, for the hot path. */
  readonly code: number;
  /** Has `lower_case` or `words`. */
  readonly hasWords: boolean;
  /** `,name=` */
  readonly head: Text;
  readonly lowerCase: boolean;
  readonly words: readonly { readonly from: Text; readonly to: Text }[];
  /** Filled once all columns of the table are there. */
  readonly otherwise: PlanRule[];
  /** "trace" and "span" columns read ids. */
  readonly id: "trace" | "span" | undefined;
  /** Its sources. Columns with the same sources share them. */
  readonly mask: PlanMask;
  /** Columns of one class are written alike when they have their value from one source; -1: of a class of its own. */
  class: number;
}

/** Which items make a row. */
export interface PlanMatch {
  /** Columns whose masks must not be 0. */
  readonly groups: readonly PlanColumn[];
  /** Bit k: spans of kind k (a number of OTLP). All bits: every kind. */
  readonly kinds: number;
  readonly orNoParent: boolean;
  /** Index of the table whose match must hold too, -1 is none. */
  readonly also: number;
  /** One of these holds, where there is any. */
  readonly oneOf: readonly PlanRule["when"][];
}

export interface PlanTable {
  readonly table: Table;
  readonly index: number;
  readonly isChosen: boolean;
  /** Its name, and as it is written. */
  readonly name: Text;
  readonly measurement: Text;
  readonly tags: readonly PlanColumn[];
  readonly fields: readonly PlanColumn[];
  /** undefined: no item of this signal matches by what it has. */
  readonly match: PlanMatch | undefined;
  readonly required: readonly PlanColumn[];
  readonly traceColumn: PlanColumn | undefined;
  readonly emptyField: Text | undefined;
  readonly attributes: Text;
  /** For lines: column index by key id of the column's own name, -1 is none. */
  readonly ownColumn: Int16Array;
  readonly bodyColumn: PlanColumn | undefined;
  /** Most bytes that constants and numbers take in a row. */
  readonly constantRoom: number;
  /** Most columns of a row that one value can end up in. */
  readonly fanOut: number;
}

export interface Plan {
  readonly signal: Signal;
  readonly constants: Constants;
  readonly tables: readonly PlanTable[];
  readonly columns: readonly PlanColumn[];
  /** Number of masks. */
  readonly masks: number;
  readonly slots: number;
  /** Slot of a key on the record, on the resource; -1 is none. */
  readonly recordSlot: Int16Array;
  readonly resourceSlot: Int16Array;
  readonly recordUses: Uses;
  readonly resourceUses: Uses;
  readonly partUses: Uses;
  /** Attributes of a span's first exception event: names, slots, and what they feed by their place in the list. */
  readonly eventNames: readonly Text[];
  readonly eventSlots: readonly number[];
  readonly eventUses: Uses;
  /** By key id × `declaredWords`: bit t of word w is set where table 32 × w + t declares the name. */
  readonly declaredBy: Int32Array;
  readonly declaredWords: number;
  /** By mask: 1 where empty text counts as absent. */
  readonly wantsText: Uint8Array;
  /** Words of the span kinds and status codes, by number. */
  readonly kindWords: readonly Text[];
  readonly statusWords: readonly Text[];
  readonly lineTags: number;
  readonly lineUint: number;
  /** Keys of the attributes that say of the item's own ids that no field of its line had them. */
  readonly madeTrace: number;
  readonly madeSpan: number;
  /** Where a node has the start of the name that is the measurement of a line, its end behind it. */
  readonly nameAt: number;
  readonly traceKey: number;
  readonly spanKey: number;
  readonly traceId: Text;
  readonly spanId: Text;
  /** Number of classes of columns. */
  readonly classes: number;
}

/** Compiles the tables for log records or spans. `tables` are those whose rows are written, `declared` all there are. */
export function compilePlan(
  signal: "logs" | "traces",
  tables: readonly Table[],
  declared: readonly Table[],
  keys: Keys,
): Plan {
  return new Compiler(signal, keys, declared).compile(tables);
}

class Compiler implements Lookup {
  readonly signal: "logs" | "traces";
  readonly #keys: Keys;
  readonly #declared: readonly Table[];
  readonly #constants: Constants;
  readonly #columns: PlanColumn[] = [];
  readonly #masks: MaskTable;
  readonly #declaredBy: Int32Array;
  readonly #declaredWords: number;
  readonly #classes = new Map<string, PlanColumn[]>();
  /** Of the table that is being compiled. */
  #room = 0;
  #copies = 0;

  constructor(signal: "logs" | "traces", keys: Keys, declared: readonly Table[]) {
    this.signal = signal;
    this.#keys = keys;
    this.#declared = declared;
    this.#constants = new Constants(sizeOf(declared));
    this.#masks = new MaskTable(signal, keys, PARTS, KEY_IDS);
    this.#declaredWords = Math.ceil(declared.length / WORD) || 1;
    this.#declaredBy = new Int32Array(KEY_IDS * this.#declaredWords);
  }

  compile(tables: readonly Table[]): Plan {
    const lineTags = this.#internal("weir.tags");
    const lineUint = this.#internal("weir.uint");
    const madeTrace = this.#internal("weir.trace_id");
    const madeSpan = this.#internal("weir.span_id");
    const plans = this.#declared.map((table, index) => this.#table(table, index, tables));
    const masks = this.#masks;
    const wantsText = Uint8Array.from(masks.list, (mask) => (mask.wantsText ? 1 : 0));
    const classes = [...this.#classes.values()].filter((columns) => columns.length > 1);
    for (const [i, columns] of classes.entries()) for (const column of columns) column.class = i;
    return {
      signal: this.signal,
      constants: this.#constants,
      tables: plans,
      columns: this.#columns,
      masks: masks.list.length,
      slots: masks.slots,
      recordSlot: masks.recordSlot,
      resourceSlot: masks.resourceSlot,
      recordUses: uses(masks.record, KEY_IDS),
      resourceUses: uses(masks.resource, KEY_IDS),
      partUses: uses(masks.part, PARTS),
      eventNames: masks.eventNames.map((name) => this.text(name)),
      eventSlots: masks.eventSlots,
      eventUses: uses(masks.event, masks.eventNames.length),
      declaredBy: this.#declaredBy,
      declaredWords: this.#declaredWords,
      wantsText,
      kindWords: SPAN_KINDS.map((word) => this.text(word)),
      statusWords: ["unset", "ok", "error"].map((word) => this.text(word)),
      lineTags,
      lineUint,
      madeTrace,
      madeSpan,
      nameAt: this.signal === "logs" ? Log.eventNameAt : Span.nameAt,
      traceKey: this.#keys.id("trace_id"),
      spanKey: this.#keys.id("span_id"),
      traceId: this.text(",trace_id="),
      spanId: this.text(",span_id="),
      classes: classes.length,
    };
  }

  /** Weir's own attributes are never written. */
  #internal(name: string): number {
    const key = this.#keys.id(name);
    this.#declaredBy.fill(-1, key * this.#declaredWords, (key + 1) * this.#declaredWords);
    return key;
  }

  #table(table: Table, index: number, chosen: readonly Table[]): PlanTable {
    const isChosen = chosen.includes(table);
    // Of a table that is not chosen, only what its name's records need is looked at, and what another table's match needs.
    const isAsked = chosen.some((one) => one.match.spans?.alsoMatches === table.measurement);
    const isLooked = (name: string) =>
      isChosen || (this.signal === "logs" && table.required.includes(name));
    const wanted = table.columns.filter((column) => isLooked(column.name));
    this.#room = table.measurement.length * 3 + 576;
    this.#copies = 0;
    const columns = wanted.map((column) => this.#column(table, column, index));
    const extraTags = table.extraTags.map((name) => this.#extra(name, "tag", index));
    const extraFields = table.extraFields.map((name) => this.#extra(name, "any", index));
    const named = (name: string | undefined) => columns.find((column) => column.name === name);
    this.#rules(table, columns);
    const ownColumn = new Int16Array(KEY_IDS).fill(-1);
    for (const column of [...columns, ...extraTags, ...extraFields])
      ownColumn[this.#keys.id(column.name)] = column.index;
    const tags = [...columns.filter((c) => c.kind === "tag"), ...extraTags];
    const fields = [...columns.filter((c) => c.kind !== "tag"), ...extraFields];
    return {
      table,
      index,
      isChosen,
      name: this.text(table.measurement),
      measurement: this.text(escapeMeasurement(table.measurement)),
      tags,
      fields,
      match: isChosen || isAsked ? this.#match(table, columns) : undefined,
      required: table.required.flatMap((name) => named(name) ?? []),
      traceColumn: columns.find((column) => column.id === "trace"),
      emptyField:
        table.emptyField === undefined
          ? undefined
          : this.text(`,${escapeName(table.emptyField)}=""`),
      attributes: this.text(",attributes="),
      ownColumn,
      bodyColumn: named(table.body),
      constantRoom: this.#room,
      fanOut: this.#copies + this.#masks.mostUses([...tags, ...fields]),
    };
  }

  #match(table: Table, columns: readonly PlanColumn[]): PlanMatch | undefined {
    const match = this.signal === "logs" ? table.match.logs : table.match.spans;
    if (match === undefined) return undefined;
    const groups = match.oneOfEach.map((names) => this.hidden(names, "record"));
    const spans = this.signal === "logs" ? undefined : table.match.spans;
    const kinds = (spans?.kinds ?? []).map((kind) => 1 << SPAN_KINDS.indexOf(kind));
    return {
      groups,
      kinds: kinds.length === 0 ? -1 : kinds.reduce((bits, bit) => bits | bit),
      orNoParent: spans?.orNoParent ?? false,
      also: this.#declared.findIndex((other) => other.measurement === spans?.alsoMatches),
      oneOf: (spans?.oneOf ?? []).map((when) => compileCondition(when, columns, this)),
    };
  }

  #column(table: Table, column: Column, index: number): PlanColumn {
    for (const source of column.sources)
      if (source.of === "attribute") this.#declare(source.name, index);
    const words = [...column.words].map(([from, to]) => ({
      from: this.text(from),
      to: this.text(to),
    }));
    const isOf = (part: string) => column.sources.some((s) => s.of === "record" && s.part === part);
    const id = isOf("trace_id") ? "trace" : isOf("span_id") ? "span" : undefined;
    for (const word of column.words.values()) this.#room += 2 * word.length;
    const plan = this.#add(column.name, column.kind, column.sources, {
      lowerCase: column.lowerCase,
      words,
      id,
    });
    if (id === undefined) {
      const alike = classOf(table, column);
      const others = this.#classes.get(alike);
      if (others === undefined) this.#classes.set(alike, [plan]);
      else others.push(plan);
    }
    return plan;
  }

  /** Rules may look at columns that come later. */
  #rules(table: Table, columns: readonly PlanColumn[]): void {
    for (const column of table.columns) {
      const plan = columns.find((c) => c.name === column.name);
      for (const rule of column.otherwise) {
        if (plan === undefined || (rule.spansOnly && this.signal === "logs")) continue;
        const { gives } = rule;
        if (gives.of === "value") this.#room += 2 * gives.text.length;
        else this.#copies++;
        if (gives.of === "column")
          for (const word of gives.words.values()) this.#room += 2 * word.length;
        plan.otherwise.push(compileRule(rule, column.kind, columns, this));
      }
    }
  }

  #extra(name: string, kind: "tag" | "any", table: number): PlanColumn {
    this.#declare(name, table);
    return this.#add(name, kind, [attribute(name, "record")]);
  }

  hidden(names: readonly string[], place: "both" | "record"): PlanColumn {
    return this.#add(
      "",
      "hidden",
      names.map((name) => attribute(name, place)),
    );
  }

  #declare(name: string, table: number): void {
    const word = this.#keys.id(name) * this.#declaredWords + Math.floor(table / WORD);
    this.#declaredBy[word]! |= 1 << (table % WORD);
  }

  #add(
    name: string,
    kind: PlanColumn["kind"],
    sources: readonly Source[],
    more?: Pick<PlanColumn, "lowerCase" | "words" | "id">,
  ): PlanColumn {
    const head = this.text(`,${escapeName(name)}=`);
    if (kind !== "hidden") this.#room += head.length + 48;
    const column: PlanColumn = {
      index: this.#columns.length,
      name,
      kind,
      code: Code[kind],
      hasWords: more !== undefined && (more.lowerCase || more.words.length > 0),
      head,
      lowerCase: more?.lowerCase ?? false,
      words: more?.words ?? [],
      otherwise: [],
      id: more?.id,
      mask: this.#masks.of(name, sources, kind === "tag" || kind === "hidden"),
      class: -1,
    };
    this.#columns.push(column);
    return column;
  }

  text(text: string): Text {
    return this.#constants.add(text);
  }
}

/** An attribute that is read as it is. */
export function attribute(name: string, place: "both" | "record"): Source {
  return {
    of: "attribute",
    name,
    place,
    divideBy: undefined,
    form: undefined,
    firstOfList: false,
    spansOnly: false,
  };
}

/** What makes columns of two tables one class: all that is said of them, and of the columns that their rules look at. */
function classOf(table: Table, column: Column): string {
  const { name, kind, sources, lowerCase, words, otherwise } = column;
  const looked = JSON.stringify(otherwise);
  const others = table.columns.filter(
    (other) => other !== column && looked.includes(JSON.stringify(other.name)),
  );
  const all = [sources, otherwise, others, others.map((other) => [...other.words])];
  return JSON.stringify([name, kind, lowerCase, [...words], ...all]);
}

/** Bytes that are enough for the constants of these tables, and for the names of the keys they know. */
function sizeOf(tables: readonly Table[]): number {
  const texts = tables.flatMap((table) => [
    table.measurement,
    ...table.extraTags,
    ...table.extraFields,
    ...table.columns.flatMap((column) => [
      JSON.stringify(column),
      ...[...column.words].flat(),
      ...column.otherwise.flatMap(({ gives }) =>
        gives.of === "column" ? [...gives.words].flat() : [],
      ),
    ]),
  ]);
  return texts.reduce((sum, text) => sum + 3 * Buffer.byteLength(text) + 64, 1 << 16);
}

function escapeMeasurement(name: string): string {
  return name.replace(/([, ])/g, "\\$1");
}

function escapeName(name: string): string {
  return (name === "time" ? "time_" : name).replace(/([,= ])/g, "\\$1");
}
