import type { DuckDBConnection } from "@duckdb/node-api";
import type { DeclaredTable } from "./declared.ts";
import { quoteName, quoteText } from "./duck.ts";

/** Kinds of columns, in InfluxDB's words. The kind of the first write holds for ever. */
export type Kind = "tag" | "float" | "integer" | "uinteger" | "boolean" | "string";

/** Limits of InfluxDB 3 Core. */
export const MAX_COLUMNS = 500;
export const MAX_TABLES = 2000;

const SQL_TYPE: Readonly<Record<Kind, string>> = {
  tag: "VARCHAR",
  float: "DOUBLE",
  integer: "BIGINT",
  uinteger: "UBIGINT",
  boolean: "BOOLEAN",
  string: "VARCHAR",
};

export interface Column {
  readonly name: string;
  /** Name in the file: differs when another column's name differs only in case (DuckDB ignores case). */
  readonly physical: string;
  readonly kind: Kind;
  /** Position in the table; `time` is 0. */
  readonly index: number;
}

export interface Table {
  readonly database: string;
  readonly measurement: string;
  readonly schema: string;
  readonly physical: string;
  readonly columns: Map<string, Column>;
}

interface Database {
  readonly name: string;
  readonly schema: string;
  readonly tables: Map<string, Table>;
}

const SETUP = [
  "CREATE SCHEMA IF NOT EXISTS weir_catalog",
  "CREATE TABLE IF NOT EXISTS weir_catalog.databases (name VARCHAR, schema VARCHAR)",
  "CREATE TABLE IF NOT EXISTS weir_catalog.tables (db VARCHAR, measurement VARCHAR, physical VARCHAR)",
  "CREATE TABLE IF NOT EXISTS weir_catalog.columns (db VARCHAR, measurement VARCHAR, name VARCHAR, physical VARCHAR, kind VARCHAR, position INTEGER)",
  "CREATE TABLE IF NOT EXISTS weir_catalog.ranges (journal VARCHAR, route VARCHAR, first_seq BIGINT, first_item BIGINT, last_seq BIGINT, last_item BIGINT)",
];

/** A name that no other in `taken` equals when case is ignored. */
function freeName(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name.toLowerCase())) return name;
  for (let n = 2; ; n++) if (!taken.has(`${name}~${n}`.toLowerCase())) return `${name}~${n}`;
}

/**
 * What is stored where: databases (a schema each), measurements (a table each), their columns. Additions are made in memory at
 * once and put into the file by `flush`, before the rows that need them.
 */
export class Catalog {
  readonly #databases = new Map<string, Database>();
  readonly #declared: readonly DeclaredTable[];
  #pending: string[] = [];
  #tables = 0;

  constructor(declared: readonly DeclaredTable[]) {
    this.#declared = declared;
  }

  async load(connection: DuckDBConnection): Promise<void> {
    for (const sql of SETUP) await connection.run(sql);
    this.#databases.clear();
    this.#pending = [];
    this.#tables = 0;
    const read = async (sql: string) =>
      (await connection.runAndReadAll(sql)).getRows().map((row) => row.map(String));
    for (const [name = "", schema = ""] of await read("FROM weir_catalog.databases"))
      this.#databases.set(name, { name, schema, tables: new Map() });
    for (const [db = "", measurement = "", physical = ""] of await read("FROM weir_catalog.tables"))
      this.#addTable(db, measurement, physical);
    const columns = await read("FROM weir_catalog.columns ORDER BY position");
    for (const [db = "", measurement = "", name = "", physical = "", kind, index] of columns)
      this.#databases
        .get(db)
        ?.tables.get(measurement)
        ?.columns.set(name, { name, physical, kind: kind as Kind, index: Number(index) });
  }

  /** The schema of a database; undefined when nothing was ever written to it. */
  schemaOf(database: string): string | undefined {
    return this.#databases.get(database)?.schema;
  }

  find(database: string, measurement: string): Table | undefined {
    return this.#databases.get(database)?.tables.get(measurement);
  }

  /** The table that SQL means by a name: there, case does not matter. */
  findByPhysical(database: string, name: string): Table | undefined {
    const wanted = name.toLowerCase();
    for (const table of this.#databases.get(database)?.tables.values() ?? [])
      if (table.physical.toLowerCase() === wanted) return table;
    return undefined;
  }

  /** True when one more table may be made. */
  hasRoom(): boolean {
    return this.#tables < MAX_TABLES;
  }

  /** A new database with the declared tables, unless it is there. */
  makeDatabase(name: string): void {
    if (this.#databases.has(name)) return;
    const taken = new Set([...this.#databases.values()].map((db) => db.schema.toLowerCase()));
    const schema = freeName(`db_${name}`, taken);
    this.#databases.set(name, { name, schema, tables: new Map() });
    this.#pending.push(
      `CREATE SCHEMA ${quoteName(schema)}`,
      `INSERT INTO weir_catalog.databases VALUES (${quoteText(name)}, ${quoteText(schema)})`,
    );
    this.declareIn(name);
  }

  makeTable(database: string, measurement: string): Table {
    return this.#makeTable(database, measurement, []);
  }

  makeColumn(table: Table, name: string, kind: Kind): Column {
    const column = newColumn(table, name, kind);
    this.#pending.push(
      `ALTER TABLE ${nameInSql(table)} ADD COLUMN ${inSql(column)}`,
      `INSERT INTO weir_catalog.columns VALUES ${entryOf(table, column)}`,
    );
    return column;
  }

  /**
   * Makes what a database lacks of the declared tables; a newer version may declare more than the file has. A column that is there with
   * another kind keeps it. Returns those, as `table.column`.
   */
  declareIn(database: string): string[] {
    const others: string[] = [];
    for (const { measurement, columns } of this.#declared) {
      const known = this.find(database, measurement);
      if (known === undefined && this.hasRoom()) this.#makeTable(database, measurement, columns);
      if (known === undefined) continue;
      for (const { name, kind } of columns) {
        const column = known.columns.get(name);
        if (column === undefined && known.columns.size + 1 < MAX_COLUMNS)
          this.makeColumn(known, name, kind);
        else if (column !== undefined && column.kind !== kind)
          others.push(`${measurement}.${name}`);
      }
    }
    return others;
  }

  /** Names of all databases. */
  get databases(): string[] {
    return [...this.#databases.keys()];
  }

  #makeTable(database: string, measurement: string, columns: DeclaredTable["columns"]): Table {
    const known = [...(this.#databases.get(database)?.tables.values() ?? [])];
    const physical = freeName(measurement, new Set(known.map((t) => t.physical.toLowerCase())));
    const table = this.#addTable(database, measurement, physical);
    const made = columns.map(({ name, kind }) => newColumn(table, name, kind));
    const definitions = ['"time" TIMESTAMP_NS NOT NULL', ...made.map(inSql)];
    this.#pending.push(
      `CREATE TABLE ${nameInSql(table)} (${definitions.join(", ")})`,
      `INSERT INTO weir_catalog.tables VALUES (${[database, measurement, physical].map(quoteText).join(", ")})`,
    );
    if (made.length > 0)
      this.#pending.push(
        `INSERT INTO weir_catalog.columns VALUES ${made.map((column) => entryOf(table, column)).join(", ")}`,
      );
    return table;
  }

  /** Puts the additions into the file, in a transaction of their own; after a failure memory is as the file. */
  async flush(connection: DuckDBConnection): Promise<void> {
    if (this.#pending.length === 0) return;
    const statements = this.#pending;
    this.#pending = [];
    try {
      await connection.run("BEGIN");
      for (const sql of statements) await connection.run(sql);
      await connection.run("COMMIT");
    } catch (error) {
      await connection.run("ROLLBACK").catch(() => {});
      await this.load(connection);
      throw error;
    }
  }

  /** Forgets additions that were not flushed. */
  async forget(connection: DuckDBConnection): Promise<void> {
    if (this.#pending.length > 0) await this.load(connection);
  }

  #addTable(database: string, measurement: string, physical: string): Table {
    const db = this.#databases.get(database);
    if (db === undefined) throw new Error(`the catalog has no database ${database}`);
    const table = { database, measurement, schema: db.schema, physical, columns: new Map() };
    db.tables.set(measurement, table);
    this.#tables++;
    return table;
  }
}

/** Adds a column to the table in memory. */
function newColumn(table: Table, name: string, kind: Kind): Column {
  const taken = new Set([...table.columns.values()].map((c) => c.physical.toLowerCase()));
  const physical = freeName(name, taken.add("time"));
  const column = { name, physical, kind, index: table.columns.size + 1 };
  table.columns.set(name, column);
  return column;
}

function inSql({ physical, kind }: Column): string {
  return `${quoteName(physical)} ${SQL_TYPE[kind]}`;
}

/** A column's row in the catalog. */
function entryOf({ database, measurement }: Table, column: Column): string {
  const { name, physical, kind, index } = column;
  return `(${[database, measurement, name, physical, kind].map(quoteText).join(", ")}, ${index})`;
}

/** A table's name for SQL. */
export function nameInSql(table: Table): string {
  return `${quoteName(table.schema)}.${quoteName(table.physical)}`;
}
