import type { PlanColumn, Text } from "./compile.ts";
import { ROUTE_INPUTS } from "./request-route.ts";
import type { ColumnKind, Condition, Rule } from "./tables/tables.ts";

/** What rules need of the compiler. */
export interface Lookup {
  readonly signal: "logs" | "traces";
  /** A column that is not written: only looked at. */
  hidden(names: readonly string[], place: "both" | "record"): PlanColumn;
  text(text: string): Text;
}

export interface PlanCondition {
  readonly test: Condition["test"];
  readonly number: number;
  /** The column, or the attributes that are looked at. */
  readonly column: PlanColumn | undefined;
  readonly words: readonly string[];
  readonly texts: readonly Text[];
  readonly all: readonly PlanCondition[];
}

export interface PlanRule {
  readonly when: PlanCondition;
  readonly gives: "value" | "number" | "column" | "sum" | "derivation";
  /** value: the text; number: as it is written; column: the text before which a part ends. */
  readonly text: Text;
  /** number: the value. */
  readonly number: number;
  /** column: that column; sum: the columns; derivation: its inputs. */
  readonly columns: readonly PlanColumn[];
  /** column: 0 the whole text, 1 the part before the first `text`, 2 before the last. */
  readonly part: number;
  readonly words: readonly { readonly from: Text; readonly to: Text }[];
  readonly rest: Text | undefined;
  /** column: its text is taken as it is, and no source of it may turn out to be none. */
  readonly isCopy: boolean;
}

const STATUS = { unset: 0, ok: 1, error: 2 } as const;

/** A rule of a column of this kind. `columns` are those of its table. */
export function compileRule(
  { gives, when }: Rule,
  kind: ColumnKind,
  columns: readonly PlanColumn[],
  lookup: Lookup,
): PlanRule {
  const rule = {
    when: compileCondition(when, columns, lookup),
    gives: gives.of,
    text: lookup.text(""),
    number: 0,
    columns: [] as readonly PlanColumn[],
    part: 0,
    words: [],
    rest: undefined,
    isCopy: false,
  };
  switch (gives.of) {
    case "value": {
      const number = Number(gives.text);
      if (kind === "tag" || kind === "text") return { ...rule, text: lookup.text(gives.text) };
      const text = lookup.text(kind === "integer" ? `${gives.text}i` : gives.text);
      return { ...rule, gives: "number", text, number };
    }
    case "sum":
      return { ...rule, columns: columns.filter(({ name }) => gives.columns.includes(name)) };
    case "derivation":
      return { ...rule, columns: ROUTE_INPUTS.map((names) => lookup.hidden(names, "both")) };
    case "column": {
      const named = columns.filter(({ name }) => name === gives.column);
      const changes =
        gives.before !== undefined || gives.rest !== undefined || gives.words.size > 0;
      return {
        ...rule,
        columns: named,
        isCopy: !changes && named.every(({ hasWords, mask }) => !hasWords && mask.careful === 0),
        text: lookup.text(gives.before?.text ?? ""),
        part: gives.before === undefined ? 0 : gives.before.last ? 2 : 1,
        words: [...gives.words].map(([from, to]) => ({
          from: lookup.text(from),
          to: lookup.text(to),
        })),
        rest: gives.rest === undefined ? undefined : lookup.text(gives.rest),
      };
    }
  }
}

export function compileCondition(
  when: Condition,
  columns: readonly PlanColumn[],
  lookup: Lookup,
): PlanCondition {
  const named = (name: string) => columns.find((column) => column.name === name);
  const nothing = { column: undefined, number: 0, words: [], texts: [], all: [] };
  const base: PlanCondition = { test: when.test, ...nothing };
  switch (when.test) {
    case "always":
      return base;
    case "all":
      return { ...base, all: when.of.map((one) => compileCondition(one, columns, lookup)) };
    case "is":
    case "is_not":
    case "at_least":
      return { ...base, number: when.number, column: named(when.column) };
    case "is_none_of":
      return { ...base, column: named(when.column), texts: when.texts.map((t) => lookup.text(t)) };
    case "contains":
      return { ...base, words: when.words, column: lookup.hidden(when.attributes, "both") };
    case "equals": {
      const texts = when.texts.map((text) => lookup.text(text));
      return { ...base, texts, column: lookup.hidden(when.attributes, "both") };
    }
    case "has_one_of":
    case "has_none_of":
      return { ...base, column: lookup.hidden(when.attributes, "record") };
    case "has_attribute_prefix":
      return { ...base, words: [when.prefix] };
    case "severity_at_least":
      return { ...base, number: when.number };
    case "span_status":
      return { ...base, number: STATUS[when.status] };
  }
}
