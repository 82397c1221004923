import type { DuckDBConnection } from "@duckdb/node-api";

/** A node of DuckDB's syntax tree: the members that are looked at. */
export interface TreeNode {
  readonly error?: unknown;
  readonly error_type?: unknown;
  readonly error_message?: unknown;
  readonly statements?: unknown;
  readonly named_param_map?: unknown;
  readonly node?: unknown;
  readonly class?: unknown;
  readonly type?: unknown;
  readonly id?: unknown;
  readonly key?: unknown;
  readonly value?: unknown;
  readonly is_null?: unknown;
  readonly alias?: unknown;
  readonly children?: unknown;
  readonly distinct?: unknown;
  readonly is_operator?: unknown;
  readonly column_names?: unknown;
  readonly function?: unknown;
  readonly function_name?: unknown;
  readonly schema_name?: unknown;
  readonly table_name?: unknown;
  readonly select_list?: unknown;
  readonly from_table?: unknown;
  readonly modifiers?: unknown;
  readonly group_expressions?: unknown;
  readonly having?: unknown;
  readonly qualify?: unknown;
  readonly sample?: unknown;
}

/** DuckDB's own reading of SELECT statements: text that looks harmless to us and not to DuckDB does not exist. */
export async function syntaxTree(connection: DuckDBConnection, sql: string): Promise<TreeNode> {
  const result = await connection.runAndReadAll("SELECT json_serialize_sql($1::VARCHAR)", [sql]);
  const tree: unknown = JSON.parse(String(result.getRows()[0]?.[0]));
  return isRecord(tree) ? tree : {};
}

export function isRecord(value: unknown): value is TreeNode {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
