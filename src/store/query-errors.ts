import type { DuckDBValue } from "@duckdb/node-api";
import { textOf } from "./duck.ts";
import { QueryError } from "./guard.ts";
import { isOutOfMemory } from "./memory-turns.ts";

/** InfluxDB 3's words for a database that nobody has written to. */
export function databaseNotFound(name: string): QueryError {
  return new QueryError(`query error: database not found: ${name}`, 404);
}

/** What DuckDB says, in InfluxDB 3's words where it has some, else as it is. */
export function queryError(error: unknown): QueryError {
  if (error instanceof QueryError) return error;
  const text = textOf(error);
  const table = /^Catalog Error: Table with name "?(.+?)"? does not exist/.exec(text)?.[1];
  if (table !== undefined) {
    const name = table.includes(".") ? table : `iox.${table}`;
    return new QueryError(
      `query error: error while planning query: Error during planning: table 'public.${name}' not found`,
    );
  }
  if (isOutOfMemory(error))
    return new QueryError(
      "the query needs more memory than the store may use: ask for a shorter time range or fewer columns, or raise the store's memory limit",
    );
  return new QueryError(text);
}

/** The values that a query's placeholders need; those that it does not name are left out, as DuckDB would refuse them. */
export function bind(
  placeholders: readonly string[],
  params: ReadonlyMap<string, DuckDBValue>,
): Record<string, DuckDBValue> {
  return Object.fromEntries(
    placeholders.map((name) => {
      const value = params.get(name);
      if (value === undefined)
        throw new QueryError(`no value for the placeholder $${name}: give it in params`);
      return [name, value];
    }),
  );
}
