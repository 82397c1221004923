import { columnsInWords, matchInWords, rulesInWords } from "../src/series/tables/describe.ts";
import { exampleRows } from "../src/series/tables/example-rows.ts";
import { type Keys, PARTS, type Shape, TABLE } from "../src/series/tables/grammar.ts";
import type { Table } from "../src/series/tables/tables.ts";

/** The pages of docs/series, by their names: one for each table, and the index. */
export function seriesPages(tables: readonly Table[]): ReadonlyMap<string, string> {
  const pages = new Map(
    tables.map((table) => [`${table.measurement}.md`, tablePage(table, tables)] as const),
  );
  return pages.set("README.md", indexPage(tables));
}

const NOTE = "<!-- Generated from config/series by `npm run docs`. -->";

function tablePage(table: Table, tables: readonly Table[]): string {
  const rows = columnsInWords(table).map(
    ({ name, kind, unit, doc, sources }) =>
      `| \`${name}\` | ${kind}${unit === "" ? "" : `, ${unit}`} | ${cell(doc)} | ${cell(sources.join(" · "))} |`,
  );
  return `${NOTE}
# ${table.measurement}

${table.doc}

## What makes a row

${bullets(matchInWords(table))}

## Columns

The first source that is present gives the value; of an attribute, the item's own goes before its resource's.

| column | kind | | from |
|---|---|---|---|
| \`time\` | time, ns | When it was; of a span, its start. | the item |
${rows.join("\n")}

${bullets(rulesInWords(table))}
${exampleOf(table, tables)}`;
}

function exampleOf(table: Table, tables: readonly Table[]): string {
  const { example, measurement } = table;
  if (example === undefined) throw new Error(`config/series/${measurement}.yaml has no example`);
  const { input, isLine, rows } = exampleRows(table, example, tables);
  return `
## Example

What is sent:

${fence(isLine ? "text" : "json", input)}

What is written:

${fence("text", rows.trimEnd())}

A query:

${fence("sql", example.query)}
`;
}

const OWN_TABLE = `measurement: orders
doc: One row for each order.
identity: exact
match:
  logs: { record_has_one_of_each: [[order.id]] } # log records with this attribute
columns:
  shop: { kind: tag, doc: The shop., from: [shop, service.name] } # the first that is present
  amount: { kind: float, unit: EUR, doc: What was paid., from: [order.amount] }
  id: { kind: text, doc: The order., from: [order.id] }
ids: true # trace_id and span_id`;

const OWN_TABLE_USED = `exporters:
  influxdb: { tables: [./orders.yaml] }
receivers:
  line_protocol: { tables: [./orders.yaml] }
extensions:
  embedded_store: { tables: [./orders.yaml] }`;

function indexPage(tables: readonly Table[]): string {
  const rows = tables.map(
    ({ measurement, identity, doc }) =>
      `| [\`${measurement}\`](${measurement}.md) | ${cell(doc)} | ${identity} |`,
  );
  const parts = Object.entries(PARTS).map(
    ([name, { keys }]) => `### \`${name}\`\n\n${keyTable(keys)}`,
  );
  return `${NOTE}
# Series

Each table says which log records, spans, data points and lines make its rows, and where each column comes from. The tables are files in
[config/series](../../config/series); the writers, the embedded store's columns and these pages are made of them.
\`npm run weir -- series show <table>\` prints one.

| table | one row is | identity |
|---|---|---|
${rows.join("\n")}

## A table of your own

Write a YAML file like those in \`config/series\`, for example \`orders.yaml\` beside the configuration:

${fence("yaml", OWN_TABLE)}

Check it with \`npm run weir -- series check orders.yaml\`, and look at what was understood with \`series show orders.yaml\`. Then name it where
rows are written, where lines of this name come in, and where the columns are to be there before the first row. In an exporter,
names of shipped tables beside the file choose among all tables; the file alone adds to them.

${fence("yaml", OWN_TABLE_USED)}

Editors complete and check a table file with [config/series.schema.json](../../config/series.schema.json): put
\`# yaml-language-server: $schema=<path to it>\` into its first line. The keys:

${keyTable(TABLE)}

${parts.join("\n\n")}
`;
}

function keyTable(keys: Keys): string {
  const rows = Object.entries(keys).map(
    ([name, { doc, shape, isNeeded }]) =>
      `| \`${name}\`${isNeeded ? " (needed)" : ""} | ${cell(shapeInWords(shape))} | ${cell(doc)} |`,
  );
  return ["| key | | |", "|---|---|---|", ...rows].join("\n");
}

function shapeInWords(shape: Shape): string {
  switch (shape.is) {
    case "text":
      return "text";
    case "number":
      return "number";
    case "boolean":
      return "true, false";
    case "scalar":
      return "text, number, true, false";
    case "word":
      return shape.words.map((word) => `\`${word}\``).join(", ");
    case "list":
      return `list of ${shapeInWords(shape.of)}`;
    case "map":
      return `map of names to ${shapeInWords(shape.of)}`;
    case "part":
      return `\`${shape.name}\`${PARTS[shape.name]?.isListed ? ", or a list of which all must hold" : ""}`;
    case "either":
      return shape.of.map(shapeInWords).join(" or ");
  }
}

function bullets(texts: readonly string[]): string {
  return texts.map((text) => `- ${text}`).join("\n");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

function fence(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}
