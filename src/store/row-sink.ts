import type { DuckDBConnection, DuckDBType } from "@duckdb/node-api";
import { type Column, nameInSql } from "./catalog.ts";
import { type Duck, quoteName } from "./duck.ts";
import type { Cell, TableRows } from "./table-rows.ts";

/** Rows of one data chunk: DuckDB's vector size. */
const CHUNK_ROWS = 2048;

/** A temporary table with the columns of its target that were ever written: declared tables are wide, rows are not. */
interface Stage {
  readonly name: string;
  columns: readonly Column[];
}

/**
 * Puts rows into tables so that a key (tags and time) is there once. The rows go into a temporary stage first; a join finds the
 * keys that are already stored, those rows are updated field by field and the rest is inserted. Doing this when writing keeps the
 * tables plain: reads cost nothing extra, there is no key index in memory, and the join reads only the row groups whose
 * times overlap the stage's (DuckDB pushes the join's bounds into the scan).
 */
export class RowSink {
  readonly #duck: Duck;
  readonly #stages = new Map<string, Stage>();

  constructor(duck: Duck) {
    this.#duck = duck;
  }

  /** Writes the rows of one table, inside the caller's transaction. */
  async put(rows: TableRows): Promise<void> {
    const { writer } = this.#duck;
    const target = nameInSql(rows.table);
    const stage = await this.#stageOf(rows, target);
    await this.#append(writer, stage, rows);
    const keys = keysMatch(rows, stage);
    const stored = await writer.runAndReadAll(
      `SELECT count(*) FROM ${target} t JOIN temp.main.${stage.name} s ON ${keys}`,
    );
    const isNew = Number(stored.getRows()[0]?.[0] ?? 0) === 0;
    if (!isNew) await this.#update(target, stage, keys);
    const rest = isNew ? "" : ` WHERE NOT EXISTS (FROM ${target} t WHERE ${keys})`;
    await writer.run(
      `INSERT INTO ${target} (${columnList(stage.columns)}) SELECT * FROM temp.main.${stage.name} s${rest}`,
    );
    await writer.run(`TRUNCATE temp.main.${stage.name}`);
  }

  /** Drops the stages: after a transaction that failed, nobody knows what they hold. */
  async reset(): Promise<void> {
    for (const { name } of this.#stages.values())
      await this.#duck.writer.run(`DROP TABLE IF EXISTS temp.main.${name}`);
    this.#stages.clear();
  }

  async #update(target: string, { name, columns }: Stage, keys: string): Promise<void> {
    const fields = columns.filter((column) => column.kind !== "tag");
    const sets = fields.map((column) => {
      const field = quoteName(column.physical);
      return `${field} = coalesce(s.${field}, t.${field})`;
    });
    if (sets.length > 0)
      await this.#duck.writer.run(
        `UPDATE ${target} AS t SET ${sets.join(", ")} FROM temp.main.${name} s WHERE ${keys}`,
      );
  }

  /** The stage of a table, with all columns that the rows have; it keeps those that earlier rows had. */
  async #stageOf(rows: TableRows, target: string): Promise<Stage> {
    const known = this.#stages.get(target);
    const before = known?.columns ?? [];
    const columns = [...rows.table.columns.values()].filter(
      (column) => rows.uses(column.index) || before.some((one) => isSame(one, column)),
    );
    const stage = known ?? { name: `stage_${this.#stages.size}`, columns };
    stage.columns = columns;
    const fits =
      before.length === columns.length && columns.every((one, i) => isSame(one, before[i]));
    if (known !== undefined && fits) return stage;
    await this.#duck.writer.run(
      `CREATE OR REPLACE TEMP TABLE ${stage.name} AS SELECT ${columnList(columns)} FROM ${target} LIMIT 0`,
    );
    this.#stages.set(target, stage);
    return stage;
  }

  async #append(
    connection: DuckDBConnection,
    { name, columns }: Stage,
    rows: TableRows,
  ): Promise<void> {
    const { DuckDBDataChunk, DuckDBTimestampNanosecondsValue } = this.#duck.engine;
    const appender = await connection.createAppender(name, "main", "temp");
    const types: DuckDBType[] = [];
    for (let i = 0; i <= columns.length; i++) types.push(appender.columnType(i));
    for (let from = 0; from < rows.count; from += CHUNK_ROWS) {
      const length = Math.min(CHUNK_ROWS, rows.count - from);
      const chunk = DuckDBDataChunk.create(types, length);
      const times = rows.times.slice(from, from + length);
      chunk.setColumnValues(
        0,
        times.map((time) => new DuckDBTimestampNanosecondsValue(time)),
      );
      for (const [i, { index }] of columns.entries())
        chunk.setColumnValues(i + 1, rows.slice(index, from, length) as Cell[]);
      appender.appendDataChunk(chunk);
    }
    appender.closeSync();
  }
}

/** The catalog may have been read anew: then the same column is another object. */
function isSame(a: Column, b: Column | undefined): boolean {
  return a.physical === b?.physical && a.kind === b.kind;
}

function columnList(columns: readonly Column[]): string {
  return ['"time"', ...columns.map(({ physical }) => quoteName(physical))].join(", ");
}

/** A tag that no row of the stage has is absent in all of them. */
function keysMatch(rows: TableRows, { columns }: Stage): string {
  const tags = [...rows.table.columns.values()].filter((column) => column.kind === "tag");
  return [
    't."time" = s."time"',
    ...tags.map((tag) => {
      const name = quoteName(tag.physical);
      return columns.includes(tag)
        ? `t.${name} IS NOT DISTINCT FROM s.${name}`
        : `t.${name} IS NULL`;
    }),
  ].join(" AND ");
}
