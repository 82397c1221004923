import type { LineShape } from "./door.ts";
import type { Table } from "./tables.ts";

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
      ...(table.severity === undefined ? {} : { severity: table.severity }),
      ...(table.service === undefined ? {} : { service: table.service }),
    };
  });
}
