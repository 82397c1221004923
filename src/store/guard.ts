import type { DuckDBConnection } from "@duckdb/node-api";

/** A query that is refused; the message is for the person who wrote it. */
export class QueryError extends Error {
  readonly status: number;
  constructor(message: string, status = 400) {
    super(message);
    this.status = status;
  }
}

/** What may run, and how its columns are to be ordered. */
export interface CheckedQuery {
  /** `SELECT *` alone: InfluxDB gives its columns in the order of their names. */
  readonly isStar: boolean;
}

/** What is looked at in DuckDB's syntax tree. */
interface TreeNode {
  readonly error?: unknown;
  readonly error_type?: unknown;
  readonly error_message?: unknown;
  readonly statements?: unknown;
  readonly node?: unknown;
  readonly class?: unknown;
  readonly type?: unknown;
  readonly function?: unknown;
  readonly function_name?: unknown;
  readonly table_name?: unknown;
  readonly select_list?: unknown;
  readonly from_table?: unknown;
}

/** Longest query text, in characters. */
const MAX_SQL = 1 << 20;

/** Functions that make a table and read nothing but their arguments. */
const TABLE_FUNCTIONS = new Set(["generate_series", "range", "unnest", "json_each", "json_tree"]);

/** Functions that tell about the machine or the process, wait, or run text. */
const REFUSED_FUNCTIONS =
  /^(?:getenv|current_setting|set_config|getvariable|write_log|nextval|currval|pg_sleep|sleep|query|query_table|which_secret|checkpoint|force_checkpoint|json_execute_serialized_sql|add_parquet_key|(?:read|duckdb|pragma|pg_read|pg_ls)_\w+)$/i;

/**
 * Lets through one SELECT (WITH, SHOW and DESCRIBE are SELECTs to DuckDB), alone or behind EXPLAIN, that uses no function of files or of the
 * system. The syntax tree is DuckDB's own, so text that looks harmless to us and not to DuckDB does not exist.
 */
export async function checkQuery(connection: DuckDBConnection, sql: string): Promise<CheckedQuery> {
  if (sql.length > MAX_SQL) throw new QueryError(`the query is longer than ${MAX_SQL} characters`);
  const tree = await parse(connection, withoutExplain(sql));
  if (tree.error === true) {
    const message = String(tree.error_message);
    if (tree.error_type === "not implemented")
      throw new QueryError(
        "only queries are allowed here: one SELECT, WITH, SHOW, DESCRIBE or EXPLAIN. Data goes in over /api/v3/write_lp",
      );
    throw new QueryError(`SQL error: ${message}`);
  }
  const statements = tree.statements;
  if (!Array.isArray(statements) || statements.length !== 1)
    throw new QueryError("one statement at a time: send the others as requests of their own");
  walk(statements[0], 0);
  return { isStar: isStarAlone(statements[0]) };
}

async function parse(connection: DuckDBConnection, sql: string): Promise<TreeNode> {
  const result = await connection.runAndReadAll("SELECT json_serialize_sql($1::VARCHAR)", [sql]);
  const tree: unknown = JSON.parse(String(result.getRows()[0]?.[0]));
  return isRecord(tree) ? tree : {};
}

/** EXPLAIN has no tree of its own: what it explains is looked at. */
function withoutExplain(sql: string): string {
  const head = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*explain\b(?:\s+analyze\b)?/i.exec(sql);
  return head === null ? sql : sql.slice(head[0].length);
}

const MAX_DEPTH = 2000;

function walk(node: unknown, depth: number): void {
  if (depth > MAX_DEPTH) throw new QueryError("the query is nested too deeply");
  if (Array.isArray(node)) {
    for (const child of node) walk(child, depth + 1);
    return;
  }
  if (!isRecord(node)) return;
  refuse(node);
  for (const child of Object.values(node))
    if (typeof child === "object" && child !== null) walk(child, depth + 1);
}

function refuse(node: TreeNode): void {
  if (node.type === "TABLE_FUNCTION") {
    const call = node.function;
    const name = isRecord(call) ? String(call.function_name).toLowerCase() : "";
    if (!TABLE_FUNCTIONS.has(name))
      throw new QueryError(`the table function ${name} is not allowed here`);
  }
  const name = node.function_name;
  if (typeof name === "string" && REFUSED_FUNCTIONS.test(name))
    throw new QueryError(`the function ${name} is not allowed here`);
  const table = node.table_name;
  if (node.type === "BASE_TABLE" && typeof table === "string" && /^(duckdb|pragma)_/i.test(table))
    throw new QueryError(`the table ${table} is not allowed here`);
}

function isStarAlone(statement: unknown): boolean {
  const node = isRecord(statement) ? statement.node : undefined;
  if (!isRecord(node) || node.type !== "SELECT_NODE") return false;
  const list = node.select_list;
  const from = node.from_table;
  if (isRecord(from) && from.type === "SHOW_REF") return false;
  return Array.isArray(list) && list.length === 1 && isRecord(list[0]) && list[0].class === "STAR";
}

function isRecord(value: unknown): value is TreeNode {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
