import { quoteText } from "./duck.ts";

/**
 * InfluxDB 3 shows the tables of a database in the schema `iox` of the catalog `public`, and tells about them in `information_schema`: what
 * Grafana's SQL editor and other tools ask. DuckDB has other names for both.
 */
const NAME = String.raw`(?:"(?:[^"]|"")*"|[A-Za-z_]\w*)`;
const CHAIN = String.raw`${NAME}(?:\s*\.\s*${NAME})*`;
/** Strings and comments, which stay as they are, or names with dots between them. */
const TOKENS = new RegExp(
  String.raw`('(?:[^']|'')*'|--[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/|$))|(${CHAIN})`,
  "g",
);
const SHOW_TABLES = /^\s*show\s+tables\s*;?\s*$/i;
const SHOW_COLUMNS = new RegExp(
  String.raw`^\s*show\s+columns\s+(?:from|in)\s+(${CHAIN})\s*;?\s*$`,
  "i",
);
const TYPES = `CASE kind WHEN 'time' THEN 'Timestamp(Nanosecond, None)' WHEN 'tag' THEN 'Dictionary(Int32, Utf8)' WHEN 'float' THEN 'Float64'
 WHEN 'integer' THEN 'Int64' WHEN 'uinteger' THEN 'UInt64' WHEN 'boolean' THEN 'Boolean' ELSE 'Utf8' END`;

/** A query in InfluxDB's names → in DuckDB's, for connections whose schema is that of `database`. */
export function withoutIox(sql: string, database: string): string {
  if (SHOW_TABLES.test(sql))
    return `SELECT table_catalog, table_schema, table_name, table_type FROM ${tablesOf(database)} ORDER BY table_name`;
  const shown = SHOW_COLUMNS.exec(sql)?.[1];
  if (shown !== undefined) {
    const name = quoteText(plain(own(partsOf(shown)).join(".")));
    return `SELECT table_catalog, table_schema, table_name, column_name, data_type, is_nullable FROM ${columnsOf(database)} WHERE lower(table_name) = lower(${name}) ORDER BY ordinal_position`;
  }
  return sql.replace(TOKENS, (text: string, kept: string | undefined) =>
    kept === undefined && text.includes(".") ? inDuck(text, database) : text,
  );
}

function inDuck(chain: string, database: string): string {
  const parts = partsOf(chain);
  const lower = parts.map((part) => plain(part).toLowerCase());
  if (lower[0] === "public") lower.shift();
  if (lower.length === 2 && lower[0] === "information_schema") {
    if (lower[1] === "tables") return tablesOf(database);
    if (lower[1] === "columns") return columnsOf(database);
  }
  const rest = own(parts);
  return rest.length === parts.length ? chain : rest.join(".");
}

/** Names without `iox` or `public.iox` before them. */
function own(parts: readonly string[]): readonly string[] {
  const [first, second] = parts.map((part) => plain(part).toLowerCase());
  if (first === "public" && second === "iox" && parts.length > 2) return parts.slice(2);
  return first === "iox" && parts.length > 1 ? parts.slice(1) : parts;
}

function partsOf(chain: string): string[] {
  return chain.match(new RegExp(NAME, "g")) ?? [];
}

/** A name without its quotes. */
function plain(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

function tablesOf(database: string): string {
  return `(SELECT 'public' AS table_catalog, 'iox' AS table_schema, physical AS table_name, 'BASE TABLE' AS table_type
 FROM weir_catalog.tables WHERE db = ${quoteText(database)})`;
}

function columnsOf(database: string): string {
  return `(SELECT 'public' AS table_catalog, 'iox' AS table_schema, t.physical AS table_name, c.physical AS column_name, position AS ordinal_position,
 CASE kind WHEN 'time' THEN 'NO' ELSE 'YES' END AS is_nullable, ${TYPES} AS data_type
 FROM weir_catalog.tables AS t JOIN (SELECT db, measurement, physical, kind, position FROM weir_catalog.columns
 UNION ALL SELECT db, measurement, 'time', 'time', 0 FROM weir_catalog.tables) AS c ON c.db = t.db AND c.measurement = t.measurement
 WHERE t.db = ${quoteText(database)})`;
}
