import type { TableChoice } from "./table-choice.ts";
import type { Table } from "./tables.ts";

/** What `spans:` of a receiver of lines says, as people read it. */
export const SPANS_DOC =
  "Names of series tables whose lines become spans instead of log records, beside those whose file says spans: true. Needs a pipeline of traces.";

/** The options of a receiver of lines that say so. */
export interface SpanOptions {
  readonly tables?: readonly string[] | undefined;
  readonly spans?: readonly string[] | undefined;
}

/** What is wrong with these options, each with its path. */
export function lineTableMistakes(
  choice: TableChoice,
  { tables = [], spans = [] }: SpanOptions,
): { readonly path: (string | number)[]; readonly message: string }[] {
  const mistakes = choice.fileMistakes(tables);
  if (mistakes.length > 0)
    return mistakes.map(({ at, message }) => ({ path: ["tables", at], message }));
  return choice
    .nameMistakes(spans, tables)
    .map(({ at, message }) => ({ path: ["spans", at], message }));
}

/** The tables whose lines become spans. */
export function spanTables(choice: TableChoice, { tables, spans = [] }: SpanOptions): Table[] {
  return choice
    .choose(tables)
    .declared.filter((table) => table.spans === true || spans.includes(table.measurement));
}

/** Why a receiver of lines with these options has no spans for a pipeline. */
export function lacksSpans(
  choice: TableChoice,
  options: SpanOptions,
  signal: string,
): string | undefined {
  if (signal !== "traces" || spanTables(choice, options).length > 0) return undefined;
  return "its lines become log records; name the tables whose lines are to be spans, for example spans: [requests]";
}

/** What such options need of the pipelines. */
export function needsOfSpans(choice: TableChoice, { tables = [], spans }: SpanOptions) {
  const needs: { signal: "traces"; path: (string | number)[]; why: string }[] = [];
  const add = (path: (string | number)[], why: string) =>
    needs.push({ signal: "traces", path, why: `${why}, and there is no pipeline for them` });
  if (spans !== undefined) add(["spans"], "spans: lines become spans");
  for (const at of tables.keys()) {
    const before = choice.choose(tables.slice(0, at)).declared.length;
    for (const table of choice.choose(tables.slice(0, at + 1)).declared.slice(before))
      if (table.spans === true)
        add(
          ["tables", at],
          `table "${table.measurement}" has spans: true, so its lines become spans`,
        );
  }
  return needs;
}
