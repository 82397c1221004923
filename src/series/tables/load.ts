import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  LOG_MATCH,
  MATCH,
  POINT_MATCH,
  RESOURCE_ATTRIBUTES,
  SEVERITY,
  SPAN_MATCH,
  TABLE,
} from "./grammar.ts";
import { RESERVED, readColumns } from "./load-columns.ts";
import { readExample } from "./load-example.ts";
import { idColumns } from "./load-ids.ts";
import { readCondition } from "./load-rules.ts";
import {
  type Column,
  type Condition,
  type LogMatch,
  type Match,
  type PointMatch,
  SPAN_KINDS,
  type SpanMatch,
  type Table,
} from "./tables.ts";
import { Mistakes, openYaml, type Place, proposal } from "./yaml-place.ts";

/** Written as it is, but for escapes of comma, space and equals sign. */
const EXTRA_NAME = /^[^\p{Cc}\\]+$/u;
const SHIPPED = join(import.meta.dirname, "..", "..", "..", "config", "series");

/**
 * Reads tables from YAML, which may refer to the tables that are `known` already and may not have their names. Throws one Error that
 * names every mistake of all files as `file:line:column: what`.
 */
export function loadTables(
  files: readonly { readonly name: string; readonly text: string }[],
  known: readonly Table[] = [],
): Table[] {
  const mistakes = new Mistakes();
  const tables: Table[] = [];
  const references: Reference[] = [];
  for (const { name, text } of files) {
    const place = openYaml(name, text, mistakes);
    if (place === undefined) continue;
    if (!place.isMap) {
      place.wrong(`a table is a map with ${Object.keys(TABLE).join(", ")}`);
      continue;
    }
    const table = readTable(name, place, references);
    const at = place.member("measurement");
    if (tables.some((other) => other.measurement === table.measurement))
      at.wrong(`measurement "${table.measurement}" is declared twice`);
    if (known.some((other) => other.measurement === table.measurement))
      at.wrong(`measurement "${table.measurement}" is a table already: choose another name`);
    tables.push(table);
  }
  for (const reference of references) checkReference(reference, [...known, ...tables]);
  mistakes.throwIfAny();
  return tables;
}

/** A table's name in another table, looked up once all are read. */
interface Reference {
  readonly place: Place;
  readonly name: string;
}

function checkReference({ place, name }: Reference, tables: readonly Table[]): void {
  const found = tables.find((table) => table.measurement === name);
  const names = tables.map((table) => table.measurement);
  if (found === undefined) place.wrong(`there is no table "${name}"${proposal(name, names)}`);
  else if (found.match.spans === undefined)
    place.wrong(`table "${name}" has no rows from spans, so nothing would match`);
  else if (found.match.spans.alsoMatches !== undefined)
    place.wrong(`table "${name}" depends on another table itself; name that one`);
}

/** The tables that come with the package, whatever the working directory. */
export function shippedTables(): readonly Table[] {
  const names = readdirSync(SHIPPED)
    .filter((name) => name.endsWith(".yaml"))
    .sort();
  return loadTables(
    names.map((name) => ({ name, text: readFileSync(join(SHIPPED, name), "utf8") })),
  );
}

function readTable(file: string, place: Place, references: Reference[]): Table {
  const at = place.members(TABLE);
  const measurement = at.measurement?.text() ?? "";
  if (measurement !== "" && (!EXTRA_NAME.test(measurement) || measurement.startsWith("#")))
    at.measurement?.wrong(
      `${JSON.stringify(measurement)} cannot be a measurement: no control characters, no backslash, no # in front`,
    );
  const own = at.columns === undefined ? [] : readColumns(at.columns);
  const ids = at.ids?.boolean() === true ? idColumns() : [];
  for (const { name } of ids)
    if (own.some((column) => column.name === name))
      at.ids?.wrong(`ids: true adds column "${name}", which the table has already`);
  const columns = [...own, ...ids];
  const extraTags = undeclared(at.extra_tags?.items(), columns, []);
  const [ends, extraFields] = byEnd(at.extra_fields);
  const attributes = at.attributes?.boolean() ?? true;
  if (!attributes)
    at.resource_attributes?.wrong(
      "they would go into attributes, which attributes: false leaves out",
    );
  return {
    file,
    measurement,
    doc: at.doc?.text() ?? "",
    identity: at.identity?.word(["exact", "spread"]) ?? "exact",
    match:
      at.match === undefined
        ? { logs: undefined, spans: undefined }
        : readMatch(at.match, columns, references),
    columns,
    required: (at.required?.items() ?? []).flatMap((item) => columnName(item, columns) ?? []),
    extraTags,
    extraFields: undeclared(extraFields, columns, extraTags),
    extraFieldEnds: ends,
    attributes,
    resourceAttributes: readResource(at.resource_attributes),
    body: textColumn(at.body, columns),
    emptyField: textColumn(at.empty_field, columns),
    service: tagColumn(at.service, columns),
    severity: at.severity === undefined ? undefined : readSeverity(at.severity, columns),
    spans: at.spans?.boolean() ?? false,
    example: at.example && readExample(at.example),
  };
}

/** A column that exists. */
export function columnName(
  place: Place | undefined,
  columns: readonly { readonly name: string }[],
): string | undefined {
  const name = place?.text();
  if (name === undefined || columns.some((column) => column.name === name)) return name;
  const names = columns.map((column) => column.name);
  return place?.wrong(`${place.what}: there is no column "${name}"${proposal(name, names)}`);
}

function textColumn(place: Place | undefined, columns: readonly Column[]): string | undefined {
  const name = columnName(place, columns);
  const column = columns.find((c) => c.name === name);
  if (column === undefined || column.kind === "text") return name;
  return place?.wrong(`${place.what}: column "${name}" must have kind: text`);
}

function tagColumn(place: Place | undefined, columns: readonly Column[]): string | undefined {
  const name = columnName(place, columns);
  const column = columns.find((c) => c.name === name);
  if (column === undefined || column.kind === "tag") return name;
  return place?.wrong(`${place.what}: column "${name}" must have kind: tag`);
}

/** Names of attributes that become columns as they are: no two may be written alike. */
function undeclared(
  items: readonly Place[] | undefined,
  columns: readonly Column[],
  others: readonly string[],
): string[] {
  const names: string[] = [];
  for (const item of items ?? []) {
    const name = item.text();
    if (name === undefined) continue;
    if (columns.some((column) => column.name === name)) item.wrong(`"${name}" is a column already`);
    else if ([...names, ...others].includes(name)) item.wrong(`"${name}" is named twice`);
    else if (RESERVED.has(name)) item.wrong(`"${name}" is reserved and cannot be a column`);
    else if (!EXTRA_NAME.test(name))
      item.wrong(`${JSON.stringify(name)} cannot be a column: no control characters, no backslash`);
    else names.push(name);
  }
  return names;
}

/** Of `extra_fields`: the ends that stand as `*_cost`, and the other items. */
function byEnd(place: Place | undefined): [string[], Place[]] {
  const ends: string[] = [];
  const others: Place[] = [];
  for (const item of place?.items() ?? []) {
    const name = item.isText ? (item.text() ?? "") : "";
    if (!name.startsWith("*")) others.push(item);
    else if (name.length < 3 || !EXTRA_NAME.test(name) || name.includes("*", 1))
      item.wrong(`"${name}" must be * and the end of a name, such as *_cost`);
    else ends.push(name.slice(1));
  }
  return [ends, others];
}

function readResource(place: Place | undefined): Table["resourceAttributes"] {
  if (place === undefined) return undefined;
  const at = place.members(RESOURCE_ATTRIBUTES);
  const prefix = at.prefix?.text();
  if (prefix === undefined) return undefined;
  if (!EXTRA_NAME.test(prefix)) at.prefix?.wrong("no control characters, no backslash");
  return { prefix, except: at.except?.texts() ?? [] };
}

function readSeverity(place: Place, columns: readonly Column[]): Table["severity"] {
  const at = place.members(SEVERITY);
  const column = columnName(at.column, columns);
  const levels = new Map<string, number>();
  for (const { name, value } of at.levels?.entries() ?? []) {
    const number = value.integer();
    if (number !== undefined && (number < 1 || number > 24))
      value.wrong(`severity ${number} of "${name}" must be 1 to 24`);
    if (number !== undefined) levels.set(name, number);
  }
  const kind = columns.find(({ name }) => name === column)?.kind;
  if (kind !== undefined && kind !== "tag" && kind !== "text")
    at.column?.wrong(`${at.column.what}: column "${column}" must have kind: tag or text`);
  return column === undefined ? undefined : { column, levels };
}

function readMatch(place: Place, columns: readonly Column[], references: Reference[]): Match {
  const at = place.members(MATCH);
  return {
    logs: at.logs === undefined ? undefined : readLogMatch(at.logs),
    spans: at.spans === undefined ? undefined : readSpanMatch(at.spans, columns, references),
    points: at.points === undefined ? undefined : readPointMatch(at.points),
  };
}

function readPointMatch(place: Place): PointMatch {
  const at = place.members(POINT_MATCH);
  return { clashSuffix: at.clash_suffix?.text() ?? "" };
}

function readLogMatch(place: Place): LogMatch {
  const at = place.members(LOG_MATCH);
  return { oneOfEach: readOneOfEach(at.record_has_one_of_each) };
}

function readSpanMatch(
  place: Place,
  columns: readonly Column[],
  references: Reference[],
): SpanMatch {
  const at = place.members(SPAN_MATCH);
  const alsoMatches = at.also_matches?.text();
  if (at.also_matches !== undefined && alsoMatches !== undefined)
    references.push({ place: at.also_matches, name: alsoMatches });
  return {
    oneOfEach: readOneOfEach(at.record_has_one_of_each),
    kinds: (at.kind?.items() ?? []).flatMap((item) => item.word(SPAN_KINDS) ?? []),
    orNoParent: at.or_no_parent?.boolean() ?? false,
    alsoMatches,
    oneOf: readOneOf(at.and_one_of, columns),
  };
}

function readOneOf(place: Place | undefined, columns: readonly Column[]): Condition[] {
  if (place?.isEmptyList === true) place.wrong(`${place.what} must have at least one condition`);
  const names = columns.map((column) => column.name);
  return (place?.items() ?? []).flatMap((item) => readCondition(item, names) ?? []);
}

function readOneOfEach(place: Place | undefined): string[][] {
  return (place?.items() ?? []).map((item) => {
    const names = item.items();
    if (item.isList && names.length === 0)
      item.wrong(`${item.what} must name at least one attribute`);
    return names.flatMap((name) => name.text() ?? []);
  });
}
