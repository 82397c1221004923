import type { ColumnKind, Table } from "../series/tables/tables.ts";
import type { Kind } from "./catalog.ts";

/** A table that is there before its first row. */
export interface DeclaredTable {
  readonly measurement: string;
  readonly columns: readonly { readonly name: string; readonly kind: Kind }[];
}

const KIND: Readonly<Record<ColumnKind, Kind>> = {
  tag: "tag",
  float: "float",
  integer: "integer",
  boolean: "boolean",
  text: "string",
};

/**
 * What the store makes of series tables: every column whose type is known, tags first. The table of data points is none: each metric
 * is a table of its own, known when it comes.
 */
export function declaredTables(tables: readonly Table[]): DeclaredTable[] {
  const named = tables.filter(({ match }) => match.points === undefined);
  return named.map(({ measurement, columns, extraTags, attributes }) => {
    const own = columns.map(({ name, kind }) => ({ name, kind: KIND[kind] }));
    return {
      measurement,
      columns: [
        ...own.filter(({ kind }) => kind === "tag"),
        ...extraTags.map((name) => ({ name, kind: "tag" as const })),
        ...own.filter(({ kind }) => kind !== "tag"),
        ...(attributes ? [{ name: "attributes", kind: "string" as const }] : []),
      ],
    };
  });
}
