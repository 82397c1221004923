import { NameMap } from "../../line/name-map.ts";
import type { Keys } from "../../otlp/keys.ts";
import { Constants } from "../../wire/copy.ts";
import type { Text } from "../compile.ts";
import type { DropNames } from "../drops.ts";
import { Code } from "../slots.ts";
import type { Column, Table } from "../tables/tables.ts";

/** Fields of data points, in the order of `FIELDS`: indices into `MetricPlan.fields`, and what drops are told by. */
export const Field = {
  gauge: 0,
  counter: 1,
  delta: 2,
  count: 3,
  sum: 4,
  min: 5,
  max: 6,
  exemplar_value: 7,
  exemplar_trace_id: 8,
  exemplar_span_id: 9,
  infinity: 10,
  /** For drops only: names that are numbers. */
  bounds: 11,
  quantiles: 12,
} as const;
const FIELDS = [
  "gauge",
  "counter",
  "delta",
  "count",
  "sum",
  "min",
  "max",
  "exemplar_value",
  "exemplar_trace_id",
  "exemplar_span_id",
  "+Inf",
  "bounds",
  "quantiles",
] as const;
const ID_BYTES = { trace_id: 16, span_id: 8 } as const;
const FIELD_INDICES = FIELDS.map((_, index) => ({ index }));
/** Bits of a number in `MetricPlan.points` that are the column. */
export const COLUMN_BITS = 12;

/** A place that a column's value may come from. */
export interface PointSource {
  readonly key: number;
  readonly isResource: boolean;
  readonly divideBy: number;
  /** Bytes of the id that the text must be, in hex; 0: any value. */
  readonly idBytes: number;
}

/** A column that a row of data points may have. */
export interface PointColumn {
  /** What drops are told by. */
  readonly index: number;
  readonly name: string;
  readonly code: number;
  /** `,name=` */
  readonly head: Text;
  /** Key id of the column's own name. */
  readonly key: number;
  /** In the order in which they are looked at. */
  readonly sources: readonly PointSource[];
  /** Where no source is present. */
  readonly otherwise: Text | undefined;
}

/** A declared table, for points named `<table>.<column>`. */
export interface PointTable {
  readonly table: Table;
  readonly index: number;
  readonly isChosen: boolean;
  readonly measurement: Text;
  readonly tags: readonly PointColumn[];
  readonly fields: readonly PointColumn[];
  /** Key ids of all sources: an attribute called otherwise becomes a tag. */
  readonly declared: ReadonlySet<number>;
  /** Most columns that one attribute can end up in. */
  readonly fanOut: number;
  /** Bytes of the measurement and of all heads. */
  readonly headsLength: number;
}

/** The tables compiled for data points. */
export interface MetricPlan {
  readonly constants: Constants;
  /** Index in `tables` of the one whose measurements are the names of metrics; -1: their rows are not written. */
  readonly ownTable: number;
  readonly tags: readonly PointColumn[];
  readonly suffix: Text;
  /** By Field: `,gauge=`. */
  readonly fields: readonly Text[];
  /** Measurements of declared tables as they are written → 0. */
  readonly measurements: NameMap;
  /** `<table>.<column>` → table << COLUMN_BITS | place among its fields. */
  readonly points: NameMap;
  readonly tables: readonly PointTable[];
  /** What drops are told by. */
  readonly names: DropNames;
}

/**
 * Compiles the tables for data points. `tables` are those whose rows are written, `declared` all there are; `resourceTags` replaces the
 * tags that the table of all points takes from the resource: names of attributes.
 */
export function compileMetrics(
  tables: readonly Table[],
  declared: readonly Table[],
  keys: Keys,
  resourceTags?: readonly string[],
): MetricPlan {
  return new Compiler(keys).compile(tables, declared, resourceTags);
}

class Compiler {
  readonly #keys: Keys;
  readonly #constants = new Constants(1 << 18);
  readonly #columns: { readonly name: string }[] = FIELDS.map((name) => ({ name }));

  constructor(keys: Keys) {
    this.#keys = keys;
  }

  compile(
    tables: readonly Table[],
    declared: readonly Table[],
    resourceTags: readonly string[] | undefined,
  ): MetricPlan {
    const plans = declared.map((table, index) => this.#table(table, index, tables.includes(table)));
    const named = plans.filter(({ table }) => table.match.points === undefined);
    const own = plans.find(({ table, isChosen }) => isChosen && table.match.points !== undefined);
    const points = named.flatMap(({ table, index, fields }) =>
      fields.map(
        ({ name }, i) => [`${table.measurement}.${name}`, (index << COLUMN_BITS) | i] as const,
      ),
    );
    // `temporality` has no source: it is written by the kind of metric.
    const ownTags = own?.tags.filter(({ sources }) => sources.length > 0) ?? [];
    return {
      constants: this.#constants,
      ownTable: own?.index ?? -1,
      tags: resourceTags === undefined ? ownTags : this.#resourceTags(resourceTags, ownTags),
      suffix: this.#constants.add(escaped(own?.table.match.points?.clashSuffix ?? "")),
      fields: FIELDS.map((name) => this.#constants.add(`,${name}=`)),
      measurements: new NameMap(new Map(named.map(({ table }) => [escaped(table.measurement), 0]))),
      points: new NameMap(new Map(points)),
      tables: plans,
      names: {
        columns: this.#columns,
        tables: plans.map((plan) => (plan === own ? { ...plan, fields: FIELD_INDICES } : plan)),
      },
    };
  }

  #table(table: Table, index: number, isChosen: boolean): PointTable {
    const columns = table.columns.map((column) => this.#column(column));
    const extra = (names: readonly string[], code: number) =>
      names.map((name) => this.#add(name, code, [this.#source(name, false)], undefined));
    const tags = [
      ...columns.filter(({ code }) => code === Code.tag),
      ...extra(table.extraTags, Code.tag),
    ];
    const fields = [
      ...columns.filter(({ code }) => code !== Code.tag),
      ...extra(table.extraFields, Code.any),
    ];
    const all = [...tags, ...fields];
    const keys = all.flatMap(({ sources }) => sources.map(({ key }) => key));
    const measurement = this.#constants.add(escaped(table.measurement));
    return {
      table,
      index,
      isChosen,
      measurement,
      tags,
      fields,
      declared: new Set(keys),
      fanOut: fanOut(all),
      headsLength: all.reduce((sum, { head }) => sum + head.length, measurement.length),
    };
  }

  #column(column: Column): PointColumn {
    const sources = column.sources.flatMap((source) => {
      if (source.of !== "attribute" || source.spansOnly) return [];
      const { name, place, divideBy = 1, form } = source;
      // Ids are taken in hex only: those in other forms stay tags.
      if (form !== undefined && form !== "trace_id" && form !== "span_id") return [];
      const idBytes = form === undefined ? 0 : ID_BYTES[form];
      const record = this.#source(name, false, divideBy, idBytes);
      const resource = this.#source(name, true, divideBy, idBytes);
      if (place === "record") return [record];
      if (place === "resource") return [resource];
      return place === "both" ? [record, resource] : [resource, record];
    });
    const rule = column.otherwise.find(({ when }) => when.test === "always");
    const text = rule?.gives.of === "value" ? this.#constants.add(rule.gives.text) : undefined;
    return this.#add(column.name, Code[column.kind], sources, text);
  }

  /** For each name the table's tag that has this source first, else a new one: the name with `_` for each dot. */
  #resourceTags(names: readonly string[], own: readonly PointColumn[]): PointColumn[] {
    const tags = new Map<string, PointColumn>();
    for (const name of names) {
      const source = this.#source(name, true);
      const known = own.find(({ sources }) => sources[0]?.key === source.key);
      const called = name === "time" ? "time_" : name.replaceAll(".", "_");
      const tag = known ?? this.#add(called, Code.tag, [source], undefined);
      if (!tags.has(tag.name)) tags.set(tag.name, tag);
    }
    return [...tags.values()];
  }

  #source(name: string, isResource: boolean, divideBy = 1, idBytes = 0): PointSource {
    return { key: this.#keys.id(name), isResource, divideBy, idBytes };
  }

  #add(
    name: string,
    code: number,
    sources: readonly PointSource[],
    otherwise: Text | undefined,
  ): PointColumn {
    const index = this.#columns.push({ name }) - 1;
    const head = this.#constants.add(`,${escaped(name).replace(/=/g, "\\=")}=`);
    return { index, name, code, head, key: this.#keys.id(name), sources, otherwise };
  }
}

/** Most of these columns that one attribute can end up in. */
export function fanOut(columns: readonly PointColumn[]): number {
  const counts = new Map<number, number>();
  for (const { sources } of columns)
    for (const key of new Set(sources.map((source) => source.key)))
      counts.set(key, (counts.get(key) ?? 0) + 1);
  return Math.max(1, ...counts.values());
}

function escaped(name: string): string {
  return name.replace(/([, ])/g, "\\$1");
}
