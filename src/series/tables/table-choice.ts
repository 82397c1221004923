import { readFileSync } from "node:fs";
import { suggestion } from "../../lib/nearest.ts";
import { loadTables } from "./load.ts";
import type { Table } from "./tables.ts";
import { TableError } from "./yaml-place.ts";

/** What `tables:` of an exporter says, as people read it. */
export const TABLES_DOC =
  "Series tables to write: names, and paths of table files (./my-table.yaml, from the directory of this configuration). Files add tables; names choose among all, and without a name it is all. An item without a row here is counted as dropped.";

/** What `tables:` says where tables are only added. */
export const TABLE_FILES_DOC =
  "Files of series tables besides the shipped ones (./my-table.yaml, from the directory of this configuration).";

/** Tables of a choice, and all there are. */
export interface ChosenTables {
  readonly tables: readonly Table[];
  readonly declared: readonly Table[];
}

/** What is wrong with an entry of a list. */
export interface Mistake {
  readonly at: number;
  readonly message: string;
}

/** Reads the option `tables` of exporters: names of tables and paths of table files. */
export class TableChoice {
  readonly #shipped: readonly Table[];
  constructor(shipped: readonly Table[]) {
    this.#shipped = shipped;
  }

  /** What is wrong with the entries, each with its place in the list. */
  mistakes(entries: readonly string[]): readonly Mistake[] {
    const found: Mistake[] = [];
    let declared = this.#shipped;
    for (const [at, entry] of entries.entries()) {
      if (!isPath(entry)) continue;
      try {
        declared = [...declared, ...readTable(entry, declared)];
      } catch (error) {
        const messages = error instanceof TableError ? error.mistakes : [String(error)];
        for (const message of messages) found.push({ at, message });
      }
    }
    return found.length > 0 ? found : unknownNames(entries, declared);
  }

  /** Which of these names are no tables, beside `files` without mistakes. */
  nameMistakes(names: readonly string[], files: readonly string[]): readonly Mistake[] {
    return unknownNames(names, this.choose(files).declared);
  }

  /** The same where only paths of table files make sense. */
  fileMistakes(entries: readonly string[]): readonly Mistake[] {
    const names = entries.flatMap((entry, at) => (isPath(entry) ? [] : [{ entry, at }]));
    if (names.length === 0) return this.mistakes(entries);
    return names.map(({ entry, at }) => ({
      at,
      message: `expected the path of a table file, such as ./my-table.yaml, got "${entry}": tables are chosen in exporters`,
    }));
  }

  /** The tables of entries without mistakes; none: all. Throws what `mistakes` says. */
  choose(entries: readonly string[] = []): ChosenTables {
    let declared = this.#shipped;
    for (const entry of entries)
      if (isPath(entry)) declared = [...declared, ...readTable(entry, declared)];
    const names = entries.filter((entry) => !isPath(entry));
    const isChosen = (table: Table) => names.length === 0 || names.includes(table.measurement);
    return { declared, tables: declared.filter(isChosen) };
  }
}

/** Entries that are no path and no name of these tables. */
function unknownNames(entries: readonly string[], tables: readonly Table[]): Mistake[] {
  const names = tables.map((table) => table.measurement);
  return [...entries.entries()]
    .filter(([, entry]) => !isPath(entry) && !names.includes(entry))
    .map(([at, entry]) => ({
      at,
      message: `no series table is called "${entry}"${suggestion(entry, names)}`,
    }));
}

function isPath(entry: string): boolean {
  return /[/\\]|\.ya?ml$/i.test(entry);
}

function readTable(path: string, known: readonly Table[]): Table[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "there is no such file" : `cannot be read (${code})`;
    throw new TableError([`${path}: ${why}; paths that start with ./ begin at the configuration`]);
  }
  return loadTables([{ name: path, text }], known);
}
