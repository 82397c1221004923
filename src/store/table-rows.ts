import type { Column, Table } from "./catalog.ts";

export type Cell = string | number | bigint | boolean | null;

/**
 * Rows of one table on their way to the file, by column. Rows with equal tags and time are one row: each field of a later one
 * replaces the earlier one's, as in InfluxDB.
 */
export class TableRows {
  readonly table: Table;
  /** Nanoseconds. */
  readonly times: bigint[] = [];
  readonly #cells: Cell[][] = [];
  readonly #rowOfKey = new Map<string, number>();

  constructor(table: Table) {
    this.table = table;
  }

  get count(): number {
    return this.times.length;
  }

  /** Adds a row: `columns[i]` gets `cells[i]`, all others null. */
  add(time: bigint, columns: readonly Column[], cells: readonly Cell[], size: number): void {
    let key = String(time);
    const tags: string[] = [];
    for (let i = 0; i < size; i++)
      if (columns[i]?.kind === "tag") tags.push(`\n${columns[i]?.index}\n${cells[i]}`);
    if (tags.length > 0) key += tags.sort().join("");
    let row = this.#rowOfKey.get(key);
    if (row === undefined) {
      row = this.times.length;
      this.times.push(time);
      this.#rowOfKey.set(key, row);
    }
    for (let i = 0; i < size; i++) {
      const column = columns[i];
      if (column !== undefined) this.#column(column.index)[row] = cells[i] ?? null;
    }
  }

  /** Whether some row has the column. */
  uses(index: number): boolean {
    return this.#cells[index] !== undefined;
  }

  /** `length` values of a column from row `from`, nulls filled in. */
  slice(index: number, from: number, length: number): Cell[] {
    const cells = this.#cells[index] ?? [];
    return Array.from({ length }, (_, i) => cells[from + i] ?? null);
  }

  #column(index: number): Cell[] {
    const known = this.#cells[index];
    if (known !== undefined) return known;
    const fresh: Cell[] = [];
    this.#cells[index] = fresh;
    return fresh;
  }
}
