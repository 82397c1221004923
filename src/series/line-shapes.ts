import type { Table } from "./tables.ts";

/** What the door for lines needs to know of a table: the way back from a row to a log record. */
export interface LineShape {
  readonly measurement: string;
  /** The column that becomes the record's body. */
  readonly body?: string;
  readonly tags: ReadonlySet<string>;
  readonly fields: ReadonlySet<string>;
  /** Rows are told apart within one request, so requests must not be merged. */
  readonly spread: boolean;
  readonly severity?: { readonly column: string; readonly levels: ReadonlyMap<string, number> };
  /** The tag that becomes the resource's `service.name`. */
  readonly service?: string;
}

/** One shape for each table. */
export function lineShapes(tables: readonly Table[]): LineShape[] {
  return tables.map((table) => {
    const names = (isTag: boolean) =>
      table.columns.filter((column) => (column.kind === "tag") === isTag).map((c) => c.name);
    return {
      measurement: table.measurement,
      tags: new Set([...names(true), ...table.extraTags]),
      fields: new Set([...names(false), ...table.extraFields]),
      spread: table.identity === "spread",
      ...(table.body === undefined ? {} : { body: table.body }),
      ...(table.severity === undefined ? {} : { severity: table.severity }),
      ...(table.service === undefined ? {} : { service: table.service }),
    };
  });
}
