import type { DuckDBValue } from "@duckdb/node-api";
import type { CellText } from "./cells.ts";
import { QueryError } from "./guard.ts";

export type Format = "json" | "jsonl" | "csv" | "pretty";

export const CONTENT_TYPE: Readonly<Record<Format, string>> = {
  json: "application/json",
  jsonl: "application/jsonl",
  csv: "text/csv",
  pretty: "text/plain; charset=utf-8",
};

/** A table is aligned when all of it is there: longer ones, in characters, are refused. */
const PRETTY_MAX = 8 << 20;

/** Writes a result piece by piece in one of InfluxDB's formats. */
export class ResultText {
  readonly #format: Format;
  readonly #columns: readonly string[];
  readonly #floats: readonly boolean[];
  readonly #keys: readonly string[];
  readonly #cells: CellText;
  #isFirst = true;
  readonly #pretty: string[][] = [];
  #prettySize = 0;

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
      return rows.map((row) => `${this.#texts(row).map(csvText).join(",")}\n`).join("");
    if (this.#format === "pretty") return this.#keep(rows);
    const objects = rows.map((row) => this.#object(row));
    if (this.#format === "jsonl") return objects.map((text) => `${text}\n`).join("");
    const comma = this.#isFirst || objects.length === 0 ? "" : ",";
    if (objects.length > 0) this.#isFirst = false;
    return comma + objects.join(",");
  }

  tail(): string {
    if (this.#format === "pretty") return prettyText([[...this.#columns], ...this.#pretty]);
    return this.#format === "json" ? "]" : "";
  }

  #texts(row: readonly DuckDBValue[]): string[] {
    return row.map((cell, i) => this.#cells.text(cell, this.#floats[i]));
  }

  #keep(rows: readonly (readonly DuckDBValue[])[]): string {
    for (const row of rows) {
      const texts = this.#texts(row);
      this.#pretty.push(texts);
      this.#prettySize += texts.reduce((size, text) => size + text.length, 0);
    }
    if (this.#prettySize > PRETTY_MAX)
      throw new QueryError(
        "the result is too long for format pretty: add a LIMIT, or ask for csv or jsonl",
      );
    return "";
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

/** A table with frames, as InfluxDB 3 prints it. A line break in a cell stays one: such a row takes several lines. */
function prettyText(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((text) => text.split("\n")));
  const widths = (cells[0] ?? []).map((_, i) =>
    cells.reduce(
      (widest, row) => Math.max(widest, ...(row[i] ?? []).map((line) => [...line].length)),
      0,
    ),
  );
  const rule = `+${widths.map((width) => "-".repeat(width + 2)).join("+")}+`;
  const put = (row: readonly (readonly string[])[]) =>
    Array.from({ length: Math.max(...row.map((lines) => lines.length)) }, (_, n) => {
      const padded = row.map((lines, i) => {
        const line = lines[n] ?? "";
        return ` ${line}${" ".repeat((widths[i] ?? 0) - [...line].length)} `;
      });
      return `|${padded.join("|")}|`;
    });
  const [head = [], ...body] = cells;
  return `${[rule, ...put(head), rule, ...body.flatMap(put), rule].join("\n")}\n`;
}
