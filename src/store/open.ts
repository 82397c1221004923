import { rename } from "node:fs/promises";
import type { DuckDBConnection } from "@duckdb/node-api";
import { Catalog } from "./catalog.ts";
import type { DeclaredTable } from "./declared.ts";
import { type Duck, type DuckOptions, databaseFile, openDuck, StoreError, textOf } from "./duck.ts";
import { StoredRanges } from "./ranges.ts";

/** What a store knows about its file when it starts. */
export interface OpenStore {
  readonly duck: Duck;
  readonly catalog: Catalog;
  readonly ranges: StoredRanges;
}

export interface OpenOptions extends DuckOptions {
  /** Tables that every database has from its first use. */
  readonly tables: readonly DeclaredTable[];
  /** Databases that are there from the start. */
  readonly databases: readonly string[];
  readonly log: (text: string) => void;
  readonly nowMs: () => number;
}

/** What DuckDB says of content that it cannot read. */
const DAMAGE =
  /not a valid DuckDB database file|Could not read enough bytes|Corrupt |Failure while replaying WAL|Serialization Error|Failed to deserialize|INTERNAL Error/;
/** Reasons that lie outside of the file: moving it away would not help, and the next start may well read it. */
const OUTSIDE =
  /Out of Memory|No space left|Permission denied|Input\/output error|Cannot open file/;

/**
 * Opens the database of a directory whatever its files hold: damaged ones are moved aside, with one line that says so. First only the
 * log of the last writes where the damage is there, because the rest of the rows is still good.
 */
export async function openStore(options: OpenOptions): Promise<OpenStore> {
  const path = databaseFile(options.directory);
  for (const files of [[`${path}.wal`], [path, `${path}.wal`]]) {
    try {
      return await read(options);
    } catch (error) {
      if (!isDamage(error)) throw startError(path, error);
      const why = firstLine(error);
      const isLogOnly = files.length === 1;
      if (isLogOnly && !why.includes("replaying WAL")) continue;
      const moved = await setAside(files, options.nowMs());
      const left = isLogOnly ? "its last writes are missing" : "starting empty";
      options.log(
        `ERROR: the store ${path} is damaged: moved to ${moved.join(", ")}, ${left}: ${why}`,
      );
    }
  }
  try {
    return await read(options);
  } catch (error) {
    throw startError(path, error);
  }
}

async function read(options: OpenOptions): Promise<OpenStore> {
  const duck = await openDuck(options);
  try {
    const catalog = new Catalog(options.tables);
    await catalog.load(duck.writer);
    await declare(catalog, duck.writer, options);
    const ranges = new StoredRanges();
    await ranges.load(duck.writer);
    return { duck, catalog, ranges };
  } catch (error) {
    duck.writer.closeSync();
    duck.instance.closeSync();
    throw error;
  }
}

async function declare(
  catalog: Catalog,
  writer: DuckDBConnection,
  { databases, log }: OpenOptions,
): Promise<void> {
  for (const name of catalog.databases) {
    const others = catalog.declareIn(name);
    if (others.length > 0)
      log(
        `database ${name} keeps the types that these columns have, which are not the declared ones: ${others.join(", ")}`,
      );
  }
  for (const name of databases) catalog.makeDatabase(name);
  await catalog.flush(writer);
}

function isDamage(error: unknown): boolean {
  const text = textOf(error);
  return !(error instanceof StoreError) && DAMAGE.test(text) && !OUTSIDE.test(text);
}

function startError(path: string, error: unknown): StoreError {
  return error instanceof StoreError
    ? error
    : new StoreError(`cannot open the store ${path}: ${firstLine(error)}`);
}

/** Renames those that exist; returns their new names. */
async function setAside(files: readonly string[], nowMs: number): Promise<string[]> {
  const time = new Date(nowMs).toISOString().replace(/[-:.]/g, "");
  const moved: string[] = [];
  for (const file of files) {
    const to = `${file}.quarantine-${time}`;
    try {
      await rename(file, to);
      moved.push(to);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") continue;
      throw new StoreError(
        `the store ${file} is damaged and cannot be moved aside: ${textOf(error)}. Move it yourself, or choose another --directory`,
      );
    }
  }
  return moved;
}

function firstLine(error: unknown): string {
  return textOf(error).split("\n")[0] ?? "";
}
