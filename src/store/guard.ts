import type { DuckDBConnection } from "@duckdb/node-api";
import { IGNORED } from "./dialect.ts";
import { resultNames } from "./result-names.ts";
import { isRecord, syntaxTree, type TreeNode } from "./syntax-tree.ts";

/** A query that is refused; the message is for the person who wrote it. */
export class QueryError extends Error {
  readonly status: number;
  constructor(message: string, status = 400) {
    super(message);
    this.status = status;
  }
}

/** What may run, and what is known of it. */
export interface CheckedQuery {
  /** The tree of the one statement. */
  readonly node: TreeNode;
  /** `SELECT *` alone: InfluxDB gives its columns in the order of their names. */
  readonly isStar: boolean;
  /** InfluxDB's names for the items of the select list, where they are not what the query says itself. */
  readonly names: readonly (string | undefined)[];
  /** Names of its placeholders, `a` for `$a`. */
  readonly placeholders: readonly string[];
}

/** Functions that make a table and read nothing but their arguments. */
const TABLE_FUNCTIONS = new Set(["generate_series", "range", "unnest", "json_each", "json_tree"]);

/** Functions that tell about the machine or the process, wait, or run text. */
const REFUSED_FUNCTIONS =
  /^(?:getenv|current_setting|set_config|getvariable|write_log|nextval|currval|pg_sleep|sleep|query|query_table|which_secret|checkpoint|force_checkpoint|json_execute_serialized_sql|add_parquet_key|(?:read|duckdb|pragma|pg_read|pg_ls)_\w+)$/i;

/** Lets through one SELECT (WITH, SHOW and DESCRIBE are SELECTs to DuckDB), alone or behind EXPLAIN, that uses no function of files or of the system. */
export async function checkQuery(connection: DuckDBConnection, sql: string): Promise<CheckedQuery> {
  // DuckDB's lexer looks for the end of each anew: 20,000 of them keep it busy for 10 s, and it cannot be interrupted.
  if (sql.split("/*").length > MAX_COMMENTS)
    throw new QueryError(`the query has more than ${MAX_COMMENTS} comments in /* */: use --`);
  const tree = await syntaxTree(connection, withoutExplain(sql));
  if (tree.error === true) {
    const message = String(tree.error_message);
    if (/only select/i.test(message))
      throw new QueryError(
        "only queries are allowed here: one SELECT, WITH, SHOW, DESCRIBE or EXPLAIN. Data goes in over /api/v3/write_lp",
      );
    throw new QueryError(`SQL error: ${message}`);
  }
  const statements = tree.statements;
  if (!Array.isArray(statements) || statements.length !== 1)
    throw new QueryError("one statement at a time: send the others as requests of their own");
  const [statement] = statements as [unknown];
  walk(statement, 0);
  const node = isRecord(statement) && isRecord(statement.node) ? statement.node : {};
  return {
    node,
    isStar: isStarAlone(node),
    names: resultNames(node),
    placeholders: placeholdersOf(statement),
  };
}

function placeholdersOf(statement: unknown): string[] {
  const entries = isRecord(statement) ? statement.named_param_map : [];
  return (Array.isArray(entries) ? entries : []).map((entry: unknown) =>
    isRecord(entry) ? String(entry.key) : "",
  );
}

const MAX_COMMENTS = 100;

const EXPLAIN = new RegExp(`^${IGNORED}*explain\\b(?:\\s+analyze\\b)?`, "i");

/** EXPLAIN has no tree of its own: what it explains is looked at. */
function withoutExplain(sql: string): string {
  return sql.replace(EXPLAIN, "");
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

function isStarAlone(node: TreeNode): boolean {
  if (node.type !== "SELECT_NODE") return false;
  const list = node.select_list;
  const from = node.from_table;
  if (isRecord(from) && from.type === "SHOW_REF") return false;
  return Array.isArray(list) && list.length === 1 && isRecord(list[0]) && list[0].class === "STAR";
}
