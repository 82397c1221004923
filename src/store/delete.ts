import type { DuckDBConnection } from "@duckdb/node-api";
import { type Catalog, nameInSql } from "./catalog.ts";
import { untilDeadline } from "./deadline.ts";
import { IGNORED } from "./dialect.ts";
import { type Duck, quoteName } from "./duck.ts";
import { checkQuery, QueryError } from "./guard.ts";
import type { Params } from "./query.ts";
import { bind, databaseNotFound, queryError } from "./query-errors.ts";
import { isRecord, type TreeNode } from "./syntax-tree.ts";
import type { StoreWriter } from "./writer.ts";

const IS_DELETE = new RegExp(`^${IGNORED}*delete\\b`, "i");
const DELETE = new RegExp(
  `^${IGNORED}*delete${IGNORED}+from${IGNORED}+("(?:[^"]|"")+"|\\w+)${IGNORED}*where\\b`,
  "i",
);

/** Whether a text is meant to remove rows. */
export function isDelete(sql: string): boolean {
  return IS_DELETE.test(sql);
}

export interface DeleteLimits {
  readonly timeoutMs: number;
  readonly graceMs: number;
}

/** Runs `DELETE FROM table WHERE condition`, between two writes. InfluxDB 3 Core has no DELETE; the documents of the platform use it. */
export class Deletions {
  readonly #duck: Duck;
  readonly #catalog: Catalog;
  readonly #writer: StoreWriter;
  readonly #limits: DeleteLimits;
  readonly #onStuck: () => void;

  constructor(
    duck: Duck,
    catalog: Catalog,
    writer: StoreWriter,
    limits: DeleteLimits,
    onStuck: () => void,
  ) {
    this.#duck = duck;
    this.#catalog = catalog;
    this.#writer = writer;
    this.#limits = limits;
    this.#onStuck = onStuck;
  }

  /** Resolves with the number of rows that are gone; rejects with a QueryError, and then all are there. */
  async run(database: string, sql: string, params: Params): Promise<bigint> {
    const schema = this.#catalog.schemaOf(database);
    if (schema === undefined) throw databaseNotFound(database);
    return await this.#writer.alone(async () => {
      const connection = await this.#duck.instance.connect();
      try {
        await connection.run(`USE ${quoteName(schema)}`);
        return await this.#delete(connection, database, sql, params);
      } catch (error) {
        throw queryError(error);
      } finally {
        connection.closeSync();
      }
    });
  }

  async #delete(
    connection: DuckDBConnection,
    database: string,
    sql: string,
    params: Params,
  ): Promise<bigint> {
    const { table, condition } = readDelete(sql);
    const { node, placeholders } = await checkQuery(
      connection,
      `SELECT 1 FROM ${table} WHERE (${condition}\n)`,
    );
    const name = plainTable(node);
    const target = name === undefined ? undefined : this.#catalog.findByPhysical(database, name);
    if (target === undefined)
      throw new QueryError(
        `query error: error while planning query: Error during planning: table 'public.iox.${table}' not found`,
      );
    const statement = `DELETE FROM ${nameInSql(target)} WHERE (${condition}\n)`;
    const work = connection.runAndReadAll(statement, bind(placeholders, params));
    const { timeoutMs: limitMs, graceMs } = this.#limits;
    const atMs = performance.now() + limitMs;
    const result = await untilDeadline(connection, work, {
      limitMs,
      atMs,
      graceMs,
      onStuck: this.#onStuck,
      // What was asked for is done, whether or not somebody waits for the number.
      gone: new AbortController().signal,
    });
    return BigInt(String(result.getRows()[0]?.[0] ?? 0));
  }
}

function readDelete(sql: string): { readonly table: string; readonly condition: string } {
  const [head, table] = DELETE.exec(sql) ?? [];
  if (head !== undefined && table !== undefined)
    return { table, condition: sql.slice(head.length).trimEnd().replace(/;$/, "") };
  throw new QueryError(
    "expected DELETE FROM <table> WHERE <condition>, one statement; WHERE true removes all rows",
  );
}

/** The table of a SELECT that has WHERE and nothing else: then the text is one condition for DELETE too. */
function plainTable(node: TreeNode): string | undefined {
  const { from_table: from, group_expressions: groups, modifiers } = node;
  const isPlain =
    node.type === "SELECT_NODE" &&
    Array.isArray(groups) &&
    groups.length === 0 &&
    Array.isArray(modifiers) &&
    modifiers.length === 0 &&
    node.having === null &&
    node.qualify === null &&
    node.sample === null;
  if (!isPlain || !isRecord(from) || from.type !== "BASE_TABLE" || from.schema_name !== "")
    throw new QueryError("expected DELETE FROM <table> WHERE <condition> and nothing behind it");
  return String(from.table_name);
}
