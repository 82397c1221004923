import type { Keys } from "../otlp/keys.ts";
import { Constants } from "../wire/copy.ts";
import type { Column, ColumnKind, Condition, IdForm, Source, Table } from "./tables.ts";

/** Key ids run from 1 to 4,096; 0 is "not interned". */
const KEY_IDS = 4097;
/** A plan has one bit for each table. */
const TABLES_MAX = 31;
/** Sources of one column, each place counted (bits of a mask). */
export const BITS = 32;

/** Kinds of a slot beside those of AnyValue. */
export const SlotKind = { hex: 8, small: 9, uint: 10 } as const;

/** Slots of what a record itself has. */
export const Part = {
  body: 0,
  severity_text: 1,
  severity_number: 2,
  event_name: 3,
  trace_id: 4,
  span_id: 5,
  scope_name: 6,
} as const;
const PARTS = 7;

/** What columns a key or a part feeds: `uses[start[k]] … uses[start[k + 1]]` are indices into `column` and `bit`. */
export interface Uses {
  readonly start: Int32Array;
  readonly column: Int32Array;
  readonly bit: Int32Array;
}

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
  /** Bits of the sources that are ids in some form. */
  readonly formMask: number;
  /** `,name=` */
  readonly head: Text;
  readonly lowerCase: boolean;
  readonly words: readonly { readonly from: Text; readonly to: Text }[];
  /** Filled once all columns of the table are there. */
  readonly otherwise: PlanRule[];
  /** "trace" and "span" columns read ids. */
  readonly id: "trace" | "span" | undefined;
  /** By bit of the mask. */
  readonly slots: Int32Array;
  readonly divideBy: Float64Array;
  readonly forms: readonly (IdForm | undefined)[];
}

export const Code = {
  tag: 0,
  float: 1,
  integer: 2,
  boolean: 3,
  text: 4,
  any: 5,
  hidden: 6,
} as const;

export interface PlanRule {
  readonly value: Text;
  readonly when: Condition;
  /** Column of the plan that a condition on a column or on attributes looks at. */
  readonly column: PlanColumn | undefined;
}

export interface PlanTable {
  readonly table: Table;
  readonly index: number;
  readonly isChosen: boolean;
  readonly measurement: Text;
  readonly tags: readonly PlanColumn[];
  readonly fields: readonly PlanColumn[];
  /** Columns whose masks must not be 0 for the match; undefined: no record of this signal matches by its attributes. */
  readonly groups: readonly PlanColumn[] | undefined;
  readonly required: readonly PlanColumn[];
  readonly traceColumn: PlanColumn | undefined;
  readonly emptyField: Text | undefined;
  readonly attributes: Text;
  /** For lines: column index by key id of the column's own name, -1 is none. */
  readonly ownColumn: Int16Array;
  readonly bodyColumn: PlanColumn | undefined;
}

export interface Plan {
  readonly constants: Constants;
  readonly tables: readonly PlanTable[];
  readonly columns: readonly PlanColumn[];
  readonly slots: number;
  /** Slot of a key on the record, on the resource; -1 is none. */
  readonly recordSlot: Int16Array;
  readonly resourceSlot: Int16Array;
  readonly recordUses: Uses;
  readonly resourceUses: Uses;
  readonly partUses: Uses;
  /** By key id: bit t is set where table t declares the name. */
  readonly declaredBy: Int32Array;
  /** By column index: 1 where empty text counts as absent. */
  readonly wantsText: Uint8Array;
  readonly lineTags: number;
  readonly lineUint: number;
  readonly traceKey: number;
  readonly spanKey: number;
  readonly traceId: Text;
  readonly spanId: Text;
  /** Most bytes that constants and numbers take in the rows of one item. */
  readonly constantRoom: number;
  /** Most columns that one value can end up in. */
  readonly fanOut: number;
}

type Edge = { readonly key: number; readonly column: number; readonly bit: number };

/** Compiles the tables for log records. `tables` are those whose rows are written, `declared` all there are. */
export function compileLogs(
  tables: readonly Table[],
  declared: readonly Table[],
  keys: Keys,
): Plan {
  if (declared.length > TABLES_MAX)
    throw new RangeError(
      `at most ${TABLES_MAX} series tables can be used at once, got ${declared.length}`,
    );
  return new Compiler(keys).compile(tables, declared);
}

class Compiler {
  readonly #keys: Keys;
  readonly #constants = new Constants(1 << 18);
  readonly #columns: PlanColumn[] = [];
  readonly #record: Edge[] = [];
  readonly #resource: Edge[] = [];
  readonly #part: Edge[] = [];
  readonly #recordSlot = new Int16Array(KEY_IDS).fill(-1);
  readonly #resourceSlot = new Int16Array(KEY_IDS).fill(-1);
  readonly #declaredBy = new Int32Array(KEY_IDS);
  #slots = PARTS;
  #room = 0;

  constructor(keys: Keys) {
    this.#keys = keys;
  }

  compile(tables: readonly Table[], declared: readonly Table[]): Plan {
    const lineTags = this.#internal("weir.tags");
    const lineUint = this.#internal("weir.uint");
    const plans = declared.map((table, index) => this.#table(table, index, tables.includes(table)));
    const wantsText = new Uint8Array(this.#columns.length);
    for (const column of this.#columns)
      if (column.kind === "tag" || column.kind === "hidden") wantsText[column.index] = 1;
    return {
      constants: this.#constants,
      tables: plans,
      columns: this.#columns,
      slots: this.#slots,
      recordSlot: this.#recordSlot,
      resourceSlot: this.#resourceSlot,
      recordUses: uses(this.#record, KEY_IDS),
      resourceUses: uses(this.#resource, KEY_IDS),
      partUses: uses(this.#part, PARTS),
      declaredBy: this.#declaredBy,
      wantsText,
      lineTags,
      lineUint,
      traceKey: this.#keys.id("trace_id"),
      spanKey: this.#keys.id("span_id"),
      traceId: this.#text(",trace_id="),
      spanId: this.#text(",span_id="),
      constantRoom: this.#room + 512,
      fanOut: this.#fanOut(),
    };
  }

  /** Weir's own attributes are never written. */
  #internal(name: string): number {
    const key = this.#keys.id(name);
    this.#declaredBy[key] = -1;
    return key;
  }

  #table(table: Table, index: number, isChosen: boolean): PlanTable {
    // Of a table that is not chosen, only what its name's records need is looked at.
    const wanted = table.columns.filter((c) => isChosen || table.required.includes(c.name));
    const columns = wanted.map((column) => this.#column(column, index));
    const extraTags = table.extraTags.map((name) => this.#extra(name, "tag", index));
    const extraFields = table.extraFields.map((name) => this.#extra(name, "any", index));
    this.#rules(table, columns);
    const named = (name: string | undefined) => columns.find((column) => column.name === name);
    const ownColumn = new Int16Array(KEY_IDS).fill(-1);
    for (const column of [...columns, ...extraTags, ...extraFields])
      ownColumn[this.#keys.id(column.name)] = column.index;
    this.#room += table.measurement.length * 3 + 64;
    const tags = [...columns.filter((c) => c.kind === "tag"), ...extraTags];
    const fields = [...columns.filter((c) => c.kind !== "tag"), ...extraFields];
    return {
      table,
      index,
      isChosen,
      measurement: this.#text(escapeMeasurement(table.measurement)),
      tags,
      fields,
      groups: (isChosen ? table.match.logs : undefined)?.oneOfEach.map((names) =>
        this.#hidden(names.map((name) => attribute(name, "record"))),
      ),
      required: table.required.flatMap((name) => named(name) ?? []),
      traceColumn: columns.find((column) => column.id === "trace"),
      emptyField:
        table.emptyField === undefined
          ? undefined
          : this.#text(`,${escapeName(table.emptyField)}=""`),
      attributes: this.#text(",attributes="),
      ownColumn,
      bodyColumn: named(table.body),
    };
  }

  #column(column: Column, index: number): PlanColumn {
    const sources = column.sources.filter(
      (source) =>
        source.of !== "span" &&
        source.of !== "exception_event" &&
        !(source.of === "attribute" && source.spansOnly),
    );
    for (const source of column.sources)
      if (source.of === "attribute") this.#declare(source.name, index);
    const words = [...column.words].map(([from, to]) => ({
      from: this.#text(from),
      to: this.#text(to),
    }));
    const isOf = (part: string) => column.sources.some((s) => s.of === "record" && s.part === part);
    const id = isOf("trace_id") ? "trace" : isOf("span_id") ? "span" : undefined;
    for (const word of column.words.values()) this.#room += 2 * word.length;
    for (const { gives } of column.otherwise)
      if (gives.of === "value") this.#room += 2 * gives.text.length;
    return this.#add(column.name, column.kind, sources, {
      lowerCase: column.lowerCase,
      words,
      otherwise: [],
      id,
    });
  }

  /** Rules may look at columns that come later. */
  #rules(table: Table, columns: readonly PlanColumn[]): void {
    for (const column of table.columns) {
      const plan = columns.find((c) => c.name === column.name);
      for (const { gives, when, spansOnly } of column.otherwise) {
        if (gives.of !== "value" || spansOnly) continue;
        let looked: PlanColumn | undefined;
        if (when.test === "is" || when.test === "is_not")
          looked = columns.find((c) => c.name === when.column);
        if (when.test === "contains")
          looked = this.#hidden(when.attributes.map((name) => attribute(name, "both")));
        plan?.otherwise.push({ value: this.#text(gives.text), when, column: looked });
      }
    }
  }

  #extra(name: string, kind: "tag" | "any", table: number): PlanColumn {
    this.#declare(name, table);
    return this.#add(name, kind, [attribute(name, "record")]);
  }

  #hidden(sources: readonly Source[]): PlanColumn {
    return this.#add("", "hidden", sources);
  }

  #declare(name: string, table: number): void {
    this.#declaredBy[this.#keys.id(name)]! |= 1 << table;
  }

  #add(
    name: string,
    kind: PlanColumn["kind"],
    sources: readonly Source[],
    more?: Pick<PlanColumn, "lowerCase" | "words" | "otherwise" | "id">,
  ): PlanColumn {
    const index = this.#columns.length;
    const slots = new Int32Array(BITS);
    const divideBy = new Float64Array(BITS).fill(1);
    const forms: (IdForm | undefined)[] = [];
    let bit = 0;
    for (const source of sources)
      for (const [edges, key, slot] of this.#places(source)) {
        if (bit >= BITS - 1)
          throw new RangeError(`column "${name}" has more than ${BITS - 1} sources`);
        edges.push({ key, column: index, bit: 1 << bit });
        slots[bit] = slot;
        if (source.of === "attribute") {
          divideBy[bit] = source.divideBy ?? 1;
          forms[bit] = source.form === "method_path" ? undefined : source.form;
        } else forms[bit] = undefined;
        bit++;
      }
    const head = this.#text(`,${escapeName(name)}=`);
    if (kind !== "hidden") this.#room += head.length + 48;
    const column: PlanColumn = {
      index,
      name,
      kind,
      code: Code[kind],
      hasWords: more !== undefined && (more.lowerCase || more.words.length > 0),
      formMask: forms.reduce((mask, form, i) => (form === undefined ? mask : mask | (1 << i)), 0),
      head,
      lowerCase: more?.lowerCase ?? false,
      words: more?.words ?? [],
      otherwise: more?.otherwise ?? [],
      id: more?.id,
      slots,
      divideBy,
      forms,
    };
    this.#columns.push(column);
    return column;
  }

  /** Where a source may stand, in order. */
  *#places(source: Source): Generator<[Edge[], number, number]> {
    if (source.of === "record" || source.of === "log") {
      const part = Part[source.part];
      yield [this.#part, part, part];
      return;
    }
    if (source.of !== "attribute") return;
    const key = this.#keys.id(source.name);
    const record = () =>
      [this.#record, key, this.#slot(this.#recordSlot, key)] as [Edge[], number, number];
    const resource = () =>
      [this.#resource, key, this.#slot(this.#resourceSlot, key)] as [Edge[], number, number];
    if (source.place === "resource_first" || source.place === "resource") yield resource();
    if (source.place !== "resource") yield record();
    if (source.place === "both") yield resource();
  }

  #slot(of: Int16Array, key: number): number {
    if (of[key]! < 0) of[key] = this.#slots++;
    return of[key]!;
  }

  #text(text: string): Text {
    return this.#constants.add(text);
  }

  #fanOut(): number {
    const counts = new Map<string, number>();
    let most = 1;
    for (const edges of [this.#record, this.#resource, this.#part])
      for (const { key } of edges) {
        const name = `${edges === this.#part ? "p" : ""}${key}`;
        const count = (counts.get(name) ?? 0) + 1;
        counts.set(name, count);
        most = Math.max(most, count);
      }
    return most;
  }
}

function attribute(name: string, place: "both" | "record"): Source {
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

function uses(edges: readonly Edge[], keys: number): Uses {
  const sorted = [...edges].sort((a, b) => a.key - b.key);
  const start = new Int32Array(keys + 1);
  for (const { key } of sorted) start[key + 1]!++;
  for (let key = 0; key < keys; key++) start[key + 1]! += start[key]!;
  return {
    start,
    column: Int32Array.from(sorted, (edge) => edge.column),
    bit: Int32Array.from(sorted, (edge) => edge.bit),
  };
}

function escapeMeasurement(name: string): string {
  return name.replace(/([, ])/g, "\\$1");
}

function escapeName(name: string): string {
  return (name === "time" ? "time_" : name).replace(/([,= ])/g, "\\$1");
}
