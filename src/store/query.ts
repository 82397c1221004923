import type { DuckDBConnection, DuckDBResult, DuckDBValue } from "@duckdb/node-api";
import type { Catalog } from "./catalog.ts";
import { toDuckSql } from "./dialect.ts";
import { type Duck, quoteName, textOf } from "./duck.ts";
import { checkQuery, QueryError } from "./guard.ts";

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
  next(): Promise<DuckDBValue[][] | undefined>;
  /** Ends the query, read to its end or not. */
  close(): void;
}

/** Runs read-only queries, each on a connection of its own, and stops those that take too long. */
export class QueryDesk {
  readonly #duck: Duck;
  readonly #catalog: Catalog;
  readonly #limits: QueryLimits;
  /** A query ignores its interrupt: nothing but the end of the process stops it. */
  readonly #onStuck: () => void;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(duck: Duck, catalog: Catalog, limits: QueryLimits, onStuck: () => void) {
    this.#duck = duck;
    this.#catalog = catalog;
    this.#limits = limits;
    this.#onStuck = onStuck;
  }

  /** Starts a query; rejects with a QueryError when it is refused or wrong. */
  async open(database: string, sql: string): Promise<OpenQuery> {
    const schema = this.#catalog.schemaOf(database);
    if (schema === undefined) throw new QueryError(`database not found: ${database}`, 404);
    const deadlineMs = performance.now() + this.#limits.timeoutMs;
    await this.#enter(deadlineMs);
    let connection: DuckDBConnection | undefined;
    try {
      connection = await this.#duck.instance.connect();
      const timed = <T>(work: Promise<T>) =>
        this.#timed(connection as DuckDBConnection, work, deadlineMs);
      const result = await timed(start(connection, schema, toDuckSql(sql)));
      return this.#opened(connection, result.result, result.isStar, timed);
    } catch (error) {
      connection?.closeSync();
      this.#leave();
      throw error instanceof QueryError ? error : new QueryError(textOf(error));
    }
  }

  #opened(
    connection: DuckDBConnection,
    result: DuckDBResult,
    isStar: boolean,
    timed: <T>(work: Promise<T>) => Promise<T>,
  ): OpenQuery {
    // A name that differs from another only in case is stored as `name~2`.
    const names = result.columnNames().map((name) => name.replace(/~\d+$/, ""));
    const order = names.map((_, i) => i);
    if (isStar) order.sort((a, b) => compare(names[a] as string, names[b] as string));
    const { DOUBLE, FLOAT } = this.#duck.engine.DuckDBTypeId;
    const floats = order.map((i) => [DOUBLE, FLOAT].includes(result.columnTypeId(i)));
    let isClosed = false;
    return {
      floats,
      columns: order.map((i) => names[i] as string),
      next: async () => {
        const chunk = await timed(result.fetchChunk());
        if (chunk === null || chunk.rowCount === 0) return undefined;
        const rows = chunk.getRows();
        return isStar ? rows.map((row) => order.map((i) => row[i] as DuckDBValue)) : rows;
      },
      close: () => {
        if (isClosed) return;
        isClosed = true;
        connection.closeSync();
        this.#leave();
      },
    };
  }

  /** Waits for work on a connection until the deadline; then interrupts it, and gives the process up when that does not help. */
  async #timed<T>(connection: DuckDBConnection, work: Promise<T>, deadlineMs: number): Promise<T> {
    let isLate = false;
    let stuck: NodeJS.Timeout | undefined;
    const late = setTimeout(
      () => {
        isLate = true;
        connection.interrupt();
        stuck = setTimeout(this.#onStuck, this.#limits.graceMs);
      },
      Math.max(0, deadlineMs - performance.now()),
    );
    try {
      return await work;
    } catch (error) {
      if (isLate)
        throw new QueryError(
          `the query was stopped after ${this.#limits.timeoutMs} ms: ask for a shorter time range or fewer columns`,
        );
      throw error;
    } finally {
      clearTimeout(late);
      clearTimeout(stuck);
    }
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

async function start(connection: DuckDBConnection, schema: string, sql: string) {
  const { isStar } = await checkQuery(connection, sql);
  await connection.run(`USE ${quoteName(schema)}`);
  await connection.run("BEGIN TRANSACTION READ ONLY");
  return { result: await connection.stream(sql), isStar };
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
