import type { DuckDBValue } from "@duckdb/node-api";
import type { CellText } from "./cells.ts";

export type Format = "json" | "jsonl" | "csv";

export const CONTENT_TYPE: Readonly<Record<Format, string>> = {
  json: "application/json",
  jsonl: "application/jsonl",
  csv: "text/csv",
};

/** Writes a result piece by piece in one of InfluxDB's formats. */
export class ResultText {
  readonly #format: Format;
  readonly #columns: readonly string[];
  readonly #floats: readonly boolean[];
  readonly #keys: readonly string[];
  readonly #cells: CellText;
  #isFirst = true;

  constructor(
    format: Format,
    columns: readonly string[],
    floats: readonly boolean[],
    cells: CellText,
  ) {
    this.#format = format;
    this.#columns = columns;
    this.#floats = floats;
    this.#keys = columns.map((name) => `${JSON.stringify(name)}:`);
    this.#cells = cells;
  }

  head(): string {
    if (this.#format === "json") return "[";
    return this.#format === "csv" ? `${this.#columns.map(csvText).join(",")}\n` : "";
  }

  rows(rows: readonly (readonly DuckDBValue[])[]): string {
    if (this.#format === "csv")
      return rows
        .map(
          (row) =>
            `${row.map((cell, i) => csvText(this.#cells.text(cell, this.#floats[i]))).join(",")}\n`,
        )
        .join("");
    const objects = rows.map((row) => this.#object(row));
    if (this.#format === "jsonl") return objects.map((text) => `${text}\n`).join("");
    const comma = this.#isFirst || objects.length === 0 ? "" : ",";
    if (objects.length > 0) this.#isFirst = false;
    return comma + objects.join(",");
  }

  tail(): string {
    return this.#format === "json" ? "]" : "";
  }

  #object(row: readonly DuckDBValue[]): string {
    const pairs: string[] = [];
    for (const [i, key] of this.#keys.entries()) {
      const text = this.#cells.json(row[i] ?? null, this.#floats[i]);
      if (text !== undefined) pairs.push(key + text);
    }
    return `{${pairs.join(",")}}`;
  }
}

function csvText(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
