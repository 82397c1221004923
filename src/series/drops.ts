import { REASONS, Reason } from "./values.ts";

/** Drops of one item that there is room for before more is made. */
const FIRST = 256;

/** What a drop is told by: columns by their index, and the tables that they stand in. */
export interface DropNames {
  readonly columns: readonly { readonly name: string }[];
  readonly tables: readonly {
    readonly table: { readonly measurement: string };
    readonly tags: readonly { readonly index: number }[];
    readonly fields: readonly { readonly index: number }[];
  }[];
}

/** Counts characters that were left out of names and tags, as `LineText` does. */
interface LossyText {
  readonly dropped: number;
}

/** Counts what was left out of rows: kept aside while an item is written, counted once it is in the slab. */
export class Drops {
  readonly #plan: DropNames;
  readonly #text: LossyText;
  /** By (column + 1) × reason; the first row is for what has no column: times, names. */
  readonly #totals: Int32Array;
  readonly #tables: string[];
  readonly #columns: string[];
  #item = new Int32Array(FIRST);
  #pending = 0;
  /** What the text had dropped before the item. */
  #droppedBefore = 0;
  #dirty = false;

  constructor(plan: DropNames, text: LossyText) {
    this.#plan = plan;
    this.#text = text;
    this.#totals = new Int32Array((plan.columns.length + plan.tables.length + 1) * REASONS.length);
    this.#tables = plan.columns.map(() => "");
    this.#columns = plan.columns.map((column) => column.name);
    for (const table of plan.tables)
      for (const column of [...table.tags, ...table.fields])
        this.#tables[column.index] = table.table.measurement;
  }

  /** A value of a column of the plan. */
  column(column: number, reason: number): void {
    this.#add(column, reason);
  }

  /** What has no column: a time out of range, an undeclared name. `table` -1: no table of the plan. */
  other(table: number, reason: number): void {
    this.#add(this.#plan.columns.length + table + 1, reason);
  }

  #add(row: number, reason: number): void {
    if (this.#pending === this.#item.length) {
      const item = new Int32Array(2 * this.#item.length);
      item.set(this.#item);
      this.#item = item;
    }
    this.#item[this.#pending++] = row * REASONS.length + reason;
  }

  /** The item is not written after all, or was only looked at. */
  forget(): void {
    this.#pending = 0;
    this.#droppedBefore = this.#text.dropped;
  }

  keep(): void {
    const characters = this.#text.dropped - this.#droppedBefore;
    if (this.#pending === 0 && characters === 0) return;
    for (let i = 0; i < this.#pending; i++) this.#totals[this.#item[i]!]!++;
    this.#pending = 0;
    this.#totals[this.#plan.columns.length * REASONS.length + Reason.characters]! += characters;
    this.#droppedBefore += characters;
    this.#dirty = true;
  }

  report(tell: (table: string, column: string, reason: string, n: number) => void): void {
    if (!this.#dirty) return;
    this.#dirty = false;
    const columns = this.#plan.columns.length;
    for (let i = 0; i < this.#totals.length; i++) {
      const n = this.#totals[i]!;
      if (n === 0) continue;
      this.#totals[i] = 0;
      const row = Math.floor(i / REASONS.length);
      const reason = REASONS[i % REASONS.length]!;
      if (row < columns) tell(this.#tables[row]!, this.#columns[row]!, reason, n);
      else {
        const table = this.#plan.tables[row - columns - 1]?.table.measurement ?? "";
        tell(table, reason === "range" ? "time" : "", reason, n);
      }
    }
  }
}
