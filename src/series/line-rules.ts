import { NameMap } from "../line/name-map.ts";
import { Constants } from "../wire/copy.ts";
import type { PlanColumn, PlanTable, Text } from "./compile.ts";

/** A column that lines get from another column of theirs (rules with `lines: true`; mapping §9.7). */
export interface LineRule {
  /** Its number in `LineRules.all`. */
  readonly index: number;
  readonly column: PlanColumn;
  readonly source: PlanColumn;
  /** Text of the source → number of its word in `texts`. */
  readonly words: NameMap;
  readonly texts: readonly Text[];
  /** For all other texts; undefined: the text itself. */
  readonly rest: Text | undefined;
}

/** The rules for lines of all tables. */
export class LineRules {
  readonly all: LineRule[] = [];
  /** Memory of the texts. */
  readonly constants = new Constants(1 << 12);
  /** By index of the column in the plan. */
  readonly #byColumn: ReadonlyMap<number, LineRule>;

  constructor(tables: readonly PlanTable[]) {
    const byColumn = new Map<number, LineRule>();
    for (const { table, tags, fields } of tables) {
      const columns = [...tags, ...fields];
      for (const { name, otherwise } of table.columns)
        for (const { gives, lines } of otherwise) {
          const column = columns.find((c) => c.name === name);
          if (!lines || gives.of !== "column" || column === undefined) continue;
          const source = columns.find((c) => c.name === gives.column);
          if (source === undefined) continue;
          const words = [...gives.words.entries()];
          const rule: LineRule = {
            index: this.all.length,
            column,
            source,
            words: new NameMap(new Map(words.map(([word], i) => [word, i]))),
            texts: words.map(([, text]) => this.constants.add(text)),
            rest: gives.rest === undefined ? undefined : this.constants.add(gives.rest),
          };
          this.all.push(rule);
          byColumn.set(column.index, rule);
        }
    }
    this.#byColumn = byColumn;
  }

  /** The rule of a column, if it has one. */
  of(column: PlanColumn): LineRule | undefined {
    return this.#byColumn.get(column.index);
  }

  /** What the rule gives for the text in `bytes[from, end)`: a text in `constants`; undefined: the text itself. */
  textOf(rule: LineRule, bytes: Uint8Array, from: number, end: number): Text | undefined {
    const word = rule.words.get(bytes, from, end);
    return word < 0 ? rule.rest : rule.texts[word];
  }
}
