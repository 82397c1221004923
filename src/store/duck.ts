import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { MACROS } from "./macros.ts";

/** The database engine's module: loaded when the store starts, because it is an optional package of 68 MB. */
export type Engine = typeof import("@duckdb/node-api");

const SPILL_MAX = "1GiB";

/** A store that cannot start; the message is for the person who started it. */
export class StoreError extends Error {}

/** An open database file. */
export interface Duck {
  readonly engine: Engine;
  readonly instance: DuckDBInstance;
  /** The only connection that writes. */
  readonly writer: DuckDBConnection;
}

export interface DuckOptions {
  readonly directory: string;
  readonly createDirectory: boolean;
  /** DuckDB's notation: "512MiB". */
  readonly memoryLimit: string;
}

/** The database of a directory. Its log of the last writes has the same name and `.wal`. */
export function databaseFile(directory: string): string {
  return join(directory, "store.duckdb");
}

/** Opens the database of a directory, sandboxed: no files, no extensions, no settings after this. Rejects with DuckDB's error, or a StoreError. */
export async function openDuck(options: DuckOptions): Promise<Duck> {
  const engine = await loadEngine();
  if (options.createDirectory) await mkdir(options.directory, { recursive: true });
  const path = databaseFile(options.directory);
  const instance = await openFile(engine, path, options.memoryLimit);
  const writer = await instance.connect();
  try {
    await writer.run("SET GLOBAL TimeZone = 'UTC'");
    for (const macro of MACROS) await writer.run(`CREATE OR REPLACE MACRO main.${macro}`);
    await writer.run("SET lock_configuration = true");
    return { engine, instance, writer };
  } catch (error) {
    writer.closeSync();
    instance.closeSync();
    throw error;
  }
}

async function loadEngine(): Promise<Engine> {
  try {
    return await import("@duckdb/node-api");
  } catch (error) {
    throw new StoreError(
      `the embedded store needs the optional package @duckdb/node-api, and it does not load on ${process.platform}-${process.arch}: ` +
        `${textOf(error).split("\n")[0]}. Install it (npm install without --omit=optional), or send the data to an InfluxDB 3 instead`,
    );
  }
}

/** Another process has the file. */
export class StoreInUse extends StoreError {}

async function openFile(engine: Engine, path: string, memoryLimit: string) {
  try {
    return await engine.DuckDBInstance.create(path, {
      memory_limit: memoryLimit,
      // A query that does not fit the memory may use so much disk, and not all that is free.
      max_temp_directory_size: SPILL_MAX,
      enable_external_access: "false",
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
      integer_division: "true",
      default_null_order: "nulls_last_on_asc_first_on_desc",
    });
  } catch (error) {
    const text = textOf(error);
    if (/set lock on file|being used by another process/i.test(text)) {
      const owner = /PID (\d+)/.exec(text)?.[1];
      throw new StoreInUse(
        `the store ${path} is in use by another process${owner === undefined ? "" : ` (PID ${owner})`}: stop it, or choose another --directory`,
      );
    }
    throw error;
  }
}

/** What an error says. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** An identifier in SQL. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A string in SQL. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
