import { readFileSync } from "node:fs";
import { nearest } from "../lib/nearest.ts";
import { columnsInWords, matchInWords, rulesInWords } from "../series/tables/describe.ts";
import { exampleRows } from "../series/tables/example-rows.ts";
import { loadTables, shippedTables } from "../series/tables/load.ts";
import type { Table } from "../series/tables/tables.ts";
import { TableError } from "../series/tables/yaml-place.ts";
import { UsageError } from "./arguments.ts";
import type { Output } from "./output.ts";
import { tableText } from "./table-text.ts";

const USAGE = `weir series list                  the tables: what a row is, what makes two rows one, the file
weir series show <table>          one table: what makes a row, its columns and their sources, an example
weir series show <file.yaml>      the same for a table file of your own
weir series check <file.yaml> …   every mistake in table files, as file:line:column; exit code 1 if there is one
`;

/** `weir series`: shows the tables that rows are made by, and checks files of users. Returns the exit code. */
export function runSeries(args: readonly string[], output: Output): number {
  if (args.includes("--help") || args.includes("-h")) {
    output.out(USAGE);
    return 0;
  }
  const [command = "", ...rest] = args;
  const flag = args.find((arg) => arg.startsWith("-"));
  if (flag !== undefined) throw new UsageError(`unknown flag: ${flag} (see weir series --help)`);
  if (command === "list" && rest.length === 0) return list(output);
  if (command === "show" && rest.length === 1) return show(rest[0] ?? "", output);
  if (command === "check" && rest.length > 0) return check(rest, output);
  throw new UsageError(`expected one of these:\n${USAGE.trimEnd()}`);
}

function list({ out }: Output): number {
  const rows = shippedTables().map(({ measurement, doc, identity, file }) => [
    measurement,
    identity,
    `config/series/${file}`,
    // The first sentence: the rest is in `show`.
    doc.replace(/(?<=\.)\s.*/s, ""),
  ]);
  out(tableText([["table", "identity", "file", "doc"], ...rows]));
  return 0;
}

function show(name: string, output: Output): number {
  const shipped = shippedTables();
  if (!/\.ya?ml$/i.test(name)) {
    const table = shipped.find(({ measurement }) => measurement === name);
    if (table === undefined) throw new UsageError(unknownTable(name, shipped));
    output.out(page(table, shipped));
    return 0;
  }
  const tables = readTables([name], shipped, output);
  for (const table of tables ?? []) output.out(page(table, [...shipped, ...(tables ?? [])]));
  return tables === undefined ? 1 : 0;
}

function unknownTable(name: string, tables: readonly Table[]): string {
  const names = tables.map(({ measurement }) => measurement);
  const near = nearest(name, names);
  return `there is no table "${name}" (${near === undefined ? `tables: ${names.join(", ")}` : `did you mean "${near}"?`})`;
}

function check(files: readonly string[], output: Output): number {
  const shipped = shippedTables();
  const tables = readTables(files, shipped, output);
  if (tables === undefined) return 1;
  const all = [...shipped, ...tables];
  let mistakes = 0;
  for (const table of tables) {
    const wrong = exampleMistake(table, all);
    if (wrong !== undefined) {
      output.err(`${table.file}:${exampleStart(table.file)}:1: ${wrong}\n`);
      mistakes++;
    } else {
      const { file, measurement, columns } = table;
      output.out(`${file}: table ${measurement} with ${columns.length} columns\n`);
    }
  }
  return mistakes === 0 ? 0 : 1;
}

/** Where the example of a file begins. */
function exampleStart(file: string): number {
  const lines = readFileSync(file, "utf8").split("\n");
  return (
    1 +
    Math.max(
      0,
      lines.findIndex((line) => line.startsWith("example")),
    )
  );
}

function exampleMistake(table: Table, all: readonly Table[]): string | undefined {
  try {
    if (table.example !== undefined) exampleRows(table, table.example, all);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Tables of files, or undefined when something is wrong with them, which is then told. */
function readTables(
  names: readonly string[],
  known: readonly Table[],
  { err }: Output,
): Table[] | undefined {
  const files: { name: string; text: string }[] = [];
  const unreadable: string[] = [];
  for (const name of names) {
    try {
      files.push({ name, text: readFileSync(name, "utf8") });
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
      const why = code === "ENOENT" ? "there is no such file" : `it cannot be read (${code})`;
      unreadable.push(`${name}: ${why}`);
    }
  }
  const { tables, mistakes } = load(files, known);
  for (const text of [...unreadable, ...mistakes]) err(`${text}\n`);
  return unreadable.length + mistakes.length === 0 ? tables : undefined;
}

function load(
  files: readonly { readonly name: string; readonly text: string }[],
  known: readonly Table[],
): { readonly tables: Table[]; readonly mistakes: readonly string[] } {
  try {
    return { tables: loadTables(files, known), mistakes: [] };
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    return { tables: [], mistakes: error.mistakes };
  }
}

function page(table: Table, all: readonly Table[]): string {
  const { measurement, doc } = table;
  const columns = columnsInWords(table).map(({ name, kind, unit, doc: says, sources }) => {
    const from = sources.length === 0 ? "" : `\n    from ${sources.join(", ")}`;
    return `  ${name} (${kind}${unit === "" ? "" : `, ${unit}`}): ${says}${from}`;
  });
  const text = [
    `${measurement}: ${doc}`,
    "",
    "What makes a row",
    ...matchInWords(table).map((sentence) => `  ${sentence}`),
    "",
    "Columns, with the sources of their values in order",
    ...columns,
    "",
    "Besides",
    ...rulesInWords(table).map((sentence) => `  ${sentence}`),
    ...exampleLines(table, all),
  ];
  return `${text.join("\n").replaceAll("`", "")}\n`;
}

function exampleLines(table: Table, all: readonly Table[]): string[] {
  if (table.example === undefined) return [];
  const wrong = exampleMistake(table, all);
  if (wrong !== undefined) return ["", `No example can be shown: ${wrong}`];
  const { input, rows } = exampleRows(table, table.example, all);
  return [
    "",
    "An example",
    ...input.split("\n").map((line) => `  ${line}`),
    "becomes",
    ...rows
      .trimEnd()
      .split("\n")
      .map((line) => `  ${line}`),
    "and is found by",
    `  ${table.example.query}`,
  ];
}
