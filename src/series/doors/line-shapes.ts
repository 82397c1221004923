import type { Table } from "../tables/tables.ts";

/** What the door needs to know of a table: the way back from a row to a log record (mapping §6). */
export interface LineShape {
  readonly measurement: string;
  /** The column that becomes the record's body. */
  readonly body?: string;
  readonly tags: ReadonlySet<string>;
  readonly fields: ReadonlySet<string>;
  /** Rows are told apart within one request, so requests must not be merged. */
  readonly spread: boolean;
  readonly severity?: {
    readonly column: string;
    readonly levels: ReadonlyMap<string, number>;
    /** Texts of the column are put into lower case first. */
    readonly anyCase?: boolean;
    /** The column that gives it where the other is not there, and the level of texts that are not in its map; 0 is none. */
    readonly from?: {
      readonly column: string;
      readonly levels: ReadonlyMap<string, number>;
      readonly rest: number;
    };
  };
  /** The tag that becomes the resource's `service.name`. */
  readonly service?: string;
}

/** One shape for each table; the one of data points is the name of no line. */
export function lineShapes(tables: readonly Table[]): LineShape[] {
  const named = tables.filter(({ match }) => match.points === undefined);
  return named.map((table) => {
    const names = (isTag: boolean) =>
      table.columns.filter((column) => (column.kind === "tag") === isTag).map((c) => c.name);
    return {
      measurement: table.measurement,
      tags: new Set([...names(true), ...table.extraTags]),
      fields: new Set([...names(false), ...table.extraFields]),
      spread: table.identity === "spread",
      ...(table.body === undefined ? {} : { body: table.body }),
      ...(table.severity === undefined ? {} : { severity: severityOf(table, table.severity) }),
      ...(table.service === undefined ? {} : { service: table.service }),
    };
  });
}

/** The severity of a line, also where its column is one that the table derives for lines from another (`lines: true`). */
function severityOf(
  { columns }: Table,
  { column, levels }: NonNullable<Table["severity"]>,
): NonNullable<LineShape["severity"]> {
  const own = columns.find(({ name }) => name === column);
  const byWord = own === undefined ? [] : levelsOf(own.words, levels);
  const anyCase = own?.lowerCase ?? false;
  const severity = { column, levels: new Map([...levels, ...byWord]), anyCase };
  const gives = own?.otherwise.find(({ lines }) => lines)?.gives;
  if (gives?.of !== "column") return severity;
  const rest = gives.rest === undefined ? 0 : (levels.get(gives.rest) ?? 0);
  const from = { column: gives.column, levels: new Map(levelsOf(gives.words, levels)), rest };
  return { ...severity, from };
}

/** The levels of words that stand for other texts. */
function levelsOf(
  words: ReadonlyMap<string, string>,
  levels: ReadonlyMap<string, number>,
): (readonly [string, number])[] {
  return [...words].flatMap(([word, text]) => {
    const level = levels.get(text);
    return level === undefined ? [] : ([[word, level]] as const);
  });
}
