import type {
  DuckDBConnection,
  DuckDBDataChunk,
  DuckDBResult,
  DuckDBValue,
} from "@duckdb/node-api";
import type { Catalog } from "./catalog.ts";
import { type Deadline, untilDeadline } from "./deadline.ts";
import { toDuckSql } from "./dialect.ts";
import { type Duck, quoteName } from "./duck.ts";
import { checkQuery, QueryError } from "./guard.ts";
import { withoutIox } from "./iox.ts";
import type { MemoryTurns } from "./memory-turns.ts";
import { bind, databaseNotFound, queryError } from "./query-errors.ts";

export interface QueryLimits {
  /** Time that the database may work on one query, waiting for its turn included. */
  readonly timeoutMs: number;
  /** Time after an interrupt until the process is given up. */
  readonly graceMs: number;
  /** Queries that run at once: each may take a thread of the pool that the writer needs too. */
  readonly concurrency: number;
}

/** A result, read chunk by chunk. */
export interface OpenQuery {
  readonly columns: readonly string[];
  /** Which columns hold floats. */
  readonly floats: readonly boolean[];
  /** The next rows; undefined at the end. */
  next(): Promise<readonly (readonly DuckDBValue[])[] | undefined>;
  /** Ends the query, read to its end or not. */
  close(): void;
}

/** Values of placeholders by name. */
export type Params = ReadonlyMap<string, DuckDBValue>;

interface Started {
  readonly result: DuckDBResult;
  readonly isStar: boolean;
  readonly names: readonly (string | undefined)[];
}

/** Runs read-only queries, each on a connection of its own, and stops those that take too long. */
export class QueryDesk {
  readonly #duck: Duck;
  readonly #catalog: Catalog;
  readonly #limits: QueryLimits;
  readonly #onStuck: () => void;
  readonly #turns: MemoryTurns;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(
    duck: Duck,
    catalog: Catalog,
    limits: QueryLimits,
    turns: MemoryTurns,
    onStuck: () => void,
  ) {
    this.#duck = duck;
    this.#catalog = catalog;
    this.#limits = limits;
    this.#turns = turns;
    this.#onStuck = onStuck;
  }

  /** Starts a query; rejects with a QueryError when it is refused or wrong. It is stopped when its reader has `gone`. */
  async open(database: string, sql: string, params: Params, gone: AbortSignal): Promise<OpenQuery> {
    const schema = this.#catalog.schemaOf(database);
    if (schema === undefined) throw databaseNotFound(database);
    const { timeoutMs: limitMs, graceMs } = this.#limits;
    const atMs = performance.now() + limitMs;
    const deadline = { limitMs, atMs, graceMs, onStuck: this.#onStuck, gone };
    await this.#enter(atMs);
    try {
      const duckSql = toDuckSql(withoutIox(sql, database));
      return await this.#turns.run((leave) =>
        this.#started(schema, duckSql, params, deadline, leave),
      );
    } catch (error) {
      this.#leave();
      throw queryError(error);
    }
  }

  /** Up to the first rows: most queries that want too much memory fail before those. */
  async #started(
    schema: string,
    sql: string,
    params: Params,
    deadline: Deadline,
    leave: () => void,
  ): Promise<OpenQuery> {
    deadline.gone.throwIfAborted();
    const connection = await this.#duck.instance.connect();
    try {
      const work = start(connection, schema, sql, params);
      const started = await untilDeadline(connection, work, deadline);
      const first = await untilDeadline(connection, started.result.fetchChunk(), deadline);
      return this.#opened(connection, started, first, deadline, leave);
    } catch (error) {
      connection.closeSync();
      throw error;
    }
  }

  #opened(
    connection: DuckDBConnection,
    { result, isStar, names: given }: Started,
    first: DuckDBDataChunk | null,
    deadline: Deadline,
    leave: () => void,
  ): OpenQuery {
    // A name that differs from another only in case is stored as `name~2`.
    const own = result.columnNames().map((name) => name.replace(/~\d+$/, ""));
    const names = own.length === given.length ? own.map((name, i) => given[i] ?? name) : own;
    const order = names.map((_, i) => i);
    if (isStar) order.sort((a, b) => compare(names[a] as string, names[b] as string));
    const { DOUBLE, FLOAT } = this.#duck.engine.DuckDBTypeId;
    const floats = order.map((i) => [DOUBLE, FLOAT].includes(result.columnTypeId(i)));
    let ahead: DuckDBDataChunk | null | undefined = first;
    let isClosed = false;
    return {
      floats,
      columns: order.map((i) => names[i] as string),
      next: async () => {
        const chunk =
          ahead === undefined
            ? await untilDeadline(connection, result.fetchChunk(), deadline).catch((error) => {
                throw queryError(error);
              })
            : ahead;
        ahead = undefined;
        if (chunk === null || chunk.rowCount === 0) return undefined;
        const rows = chunk.getRows();
        return isStar ? rows.map((row) => order.map((i) => row[i] as DuckDBValue)) : rows;
      },
      close: () => {
        if (isClosed) return;
        isClosed = true;
        connection.closeSync();
        leave();
        this.#leave();
      },
    };
  }

  async #enter(deadlineMs: number): Promise<void> {
    if (this.#running < this.#limits.concurrency) {
      this.#running++;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const late = setTimeout(() => {
      this.#waiting.splice(this.#waiting.indexOf(turn), 1);
      reject(new QueryError("this service is overloaded, please try again later", 503));
    }, deadlineMs - performance.now());
    const turn = () => {
      clearTimeout(late);
      resolve();
    };
    this.#waiting.push(turn);
    await promise;
  }

  /** Hands the place to the next that waits. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running--;
    else next();
  }
}

async function start(
  connection: DuckDBConnection,
  schema: string,
  sql: string,
  params: Params,
): Promise<Started> {
  const { isStar, names, placeholders } = await checkQuery(connection, sql);
  const values = bind(placeholders, params);
  await connection.run(`USE ${quoteName(schema)}`);
  await connection.run("BEGIN TRANSACTION READ ONLY");
  return { result: await connection.stream(sql, values), isStar, names };
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
