import type { DuckDBConnection, DuckDBType } from "@duckdb/node-api";
import { nameInSql } from "./catalog.ts";
import { type Duck, quoteName } from "./duck.ts";
import type { Cell, TableRows } from "./table-rows.ts";

/** Rows of one data chunk: DuckDB's vector size. */
const CHUNK_ROWS = 2048;

interface Stage {
  readonly name: string;
  columns: number;
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
    await this.#append(writer, stage.name, rows);
    const keys = keysMatch(rows);
    const stored = await writer.runAndReadAll(
      `SELECT count(*) FROM ${target} t JOIN temp.main.${stage.name} s ON ${keys}`,
    );
    const isNew = Number(stored.getRows()[0]?.[0] ?? 0) === 0;
    if (!isNew) await this.#update(rows, target, stage.name, keys);
    const rest = isNew ? "" : ` WHERE NOT EXISTS (FROM ${target} t WHERE ${keys})`;
    await writer.run(`INSERT INTO ${target} SELECT * FROM temp.main.${stage.name} s${rest}`);
    await writer.run(`TRUNCATE temp.main.${stage.name}`);
  }

  /** Drops the stages: after a transaction that failed, nobody knows what they hold. */
  async reset(): Promise<void> {
    for (const { name } of this.#stages.values())
      await this.#duck.writer.run(`DROP TABLE IF EXISTS temp.main.${name}`);
    this.#stages.clear();
  }

  async #update(rows: TableRows, target: string, stage: string, keys: string): Promise<void> {
    const fields = [...rows.table.columns.values()].filter((column) => column.kind !== "tag");
    const sets = fields.map((column) => {
      const name = quoteName(column.physical);
      return `${name} = coalesce(s.${name}, t.${name})`;
    });
    if (sets.length > 0)
      await this.#duck.writer.run(
        `UPDATE ${target} AS t SET ${sets.join(", ")} FROM temp.main.${stage} s WHERE ${keys}`,
      );
  }

  /** A temporary table of the target's shape. */
  async #stageOf(rows: TableRows, target: string): Promise<Stage> {
    const columns = rows.table.columns.size;
    const known = this.#stages.get(target);
    if (known?.columns === columns) return known;
    const stage = known ?? { name: `stage_${this.#stages.size}`, columns };
    stage.columns = columns;
    await this.#duck.writer.run(
      `CREATE OR REPLACE TEMP TABLE ${stage.name} AS FROM ${target} LIMIT 0`,
    );
    this.#stages.set(target, stage);
    return stage;
  }

  async #append(connection: DuckDBConnection, stage: string, rows: TableRows): Promise<void> {
    const { DuckDBDataChunk, DuckDBTimestampNanosecondsValue } = this.#duck.engine;
    const appender = await connection.createAppender(stage, "main", "temp");
    const types: DuckDBType[] = [];
    for (let i = 0; i <= rows.table.columns.size; i++) types.push(appender.columnType(i));
    for (let from = 0; from < rows.count; from += CHUNK_ROWS) {
      const length = Math.min(CHUNK_ROWS, rows.count - from);
      const chunk = DuckDBDataChunk.create(types, length);
      const times = rows.times.slice(from, from + length);
      chunk.setColumnValues(
        0,
        times.map((time) => new DuckDBTimestampNanosecondsValue(time)),
      );
      for (let i = 1; i < types.length; i++)
        chunk.setColumnValues(i, rows.slice(i, from, length) as Cell[]);
      appender.appendDataChunk(chunk);
    }
    appender.closeSync();
  }
}

function keysMatch(rows: TableRows): string {
  const tags = [...rows.table.columns.values()].filter((column) => column.kind === "tag");
  return [
    't."time" = s."time"',
    ...tags.map(({ physical }) => {
      const name = quoteName(physical);
      return `t.${name} IS NOT DISTINCT FROM s.${name}`;
    }),
  ].join(" AND ");
}
