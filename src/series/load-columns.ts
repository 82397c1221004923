import {
  COLUMN_KINDS,
  type Column,
  type Condition,
  ID_FORMS,
  LOG_PARTS,
  PLACES,
  RECORD_PARTS,
  type Rule,
  type Source,
  SPAN_PARTS,
} from "./tables.ts";
import { type Place, proposal } from "./yaml-place.ts";

const COLUMN_KEYS = ["kind", "unit", "doc", "from", "lower_case", "words", "otherwise"] as const;
const SOURCE_KEYS = [
  "attribute",
  "place",
  "divide_by",
  "form",
  "spans_only",
  "record",
  "log",
  "span",
  "exception_event",
] as const;
const CONDITION_KEYS = [
  "column",
  "is",
  "is_not",
  "attributes",
  "contain",
  "has_attribute_prefix",
  "severity_at_least",
  "span_status",
] as const;
/** A plan keeps one bit for each place of each source. */
const SOURCES_MAX = 15;
const NAME = /^[A-Za-z_][\w.-]*$/;
/** Names that a row has itself. */
export const RESERVED = new Set(["time", "attributes"]);

/** The columns of a table, tags first. */
export function readColumns(place: Place): Column[] {
  const entries = place.entries();
  const names = entries.map((entry) => entry.name);
  const columns = entries.map(({ name, key, value }) => {
    if (RESERVED.has(name)) key.wrong(`"${name}" is reserved and cannot be a column`);
    if (!NAME.test(name)) key.wrong(`"${name}" cannot be a column: use letters, digits, _ . -`);
    return readColumn(name, value, names);
  });
  if (columns.length > 0 && columns.length === columns.filter((c) => c.kind === "tag").length)
    place.wrong("a table needs at least one column that is no tag");
  return [
    ...columns.filter((column) => column.kind === "tag"),
    ...columns.filter((column) => column.kind !== "tag"),
  ];
}

function readColumn(name: string, place: Place, columns: readonly string[]): Column {
  const at = place.members(COLUMN_KEYS, ["kind", "doc", "from"]);
  const kind = at.kind?.word(COLUMN_KINDS) ?? "text";
  const sources = (at.from?.items() ?? []).flatMap((item) => readSource(item) ?? []);
  if (sources.length > SOURCES_MAX)
    at.from?.wrong(
      `column "${name}" has ${sources.length} sources, at most ${SOURCES_MAX} are allowed`,
    );
  const words = new Map<string, string>();
  for (const { name: word, value } of at.words?.entries() ?? []) {
    const text = value.text();
    if (text !== undefined) words.set(word, text);
  }
  const isText = kind === "tag" || kind === "text";
  if (!isText && (at.words ?? at.otherwise ?? at.lower_case) !== undefined)
    place.wrong(`column "${name}": words, lower_case and otherwise are for kind tag and text only`);
  return {
    name,
    kind,
    unit: at.unit?.text(),
    doc: at.doc?.text() ?? "",
    sources,
    lowerCase: at.lower_case?.boolean() ?? false,
    words,
    otherwise: (at.otherwise?.items() ?? []).flatMap((item) => readRule(item, columns) ?? []),
  };
}

/** A plain text is an attribute; a map names an attribute with details, or a part of the record. */
function readSource(place: Place): Source | undefined {
  if (!place.isMap) {
    const name = place.text();
    if (name === undefined) return undefined;
    return {
      of: "attribute",
      name,
      place: "both",
      divideBy: undefined,
      form: undefined,
      spansOnly: false,
    };
  }
  const at = place.members(SOURCE_KEYS);
  if (at.attribute !== undefined) {
    const name = at.attribute.text();
    const divideBy = at.divide_by?.number();
    if (divideBy !== undefined && !(divideBy > 0))
      at.divide_by?.wrong("divide_by must be more than 0");
    if (name === undefined) return undefined;
    return {
      of: "attribute",
      name,
      place: at.place?.word(PLACES) ?? "both",
      divideBy,
      form: at.form?.word(ID_FORMS),
      spansOnly: at.spans_only?.boolean() ?? false,
    };
  }
  return readPart(place, at);
}

function readPart(
  place: Place,
  at: Partial<Record<(typeof SOURCE_KEYS)[number], Place>>,
): Source | undefined {
  if (at.record !== undefined) {
    const part = at.record.word(RECORD_PARTS);
    return part && { of: "record", part };
  }
  if (at.log !== undefined) {
    const part = at.log.word(LOG_PARTS);
    return part && { of: "log", part };
  }
  if (at.span !== undefined) {
    const part = at.span.word(SPAN_PARTS);
    return part && { of: "span", part };
  }
  if (at.exception_event !== undefined) {
    const name = at.exception_event.text();
    return name === undefined ? undefined : { of: "exception_event", name };
  }
  return place.wrong(
    `${place.what} must be the name of an attribute, or a map with attribute, record, log, span or exception_event`,
  );
}

function readRule(place: Place, columns: readonly string[]): Rule | undefined {
  const at = place.members(["value", "when"], ["value"]);
  const value = at.value?.text();
  const when =
    at.when === undefined ? ({ test: "always" } as const) : readCondition(at.when, columns);
  return value === undefined || when === undefined ? undefined : { value, when };
}

function readCondition(place: Place, columns: readonly string[]): Condition | undefined {
  const at = place.members(CONDITION_KEYS);
  if (at.column !== undefined) {
    const column = at.column.text();
    if (column === undefined) return undefined;
    if (!columns.includes(column))
      return at.column.wrong(`there is no column "${column}"${proposal(column, columns)}`);
    const test = at.is === undefined ? "is_not" : "is";
    const number = (at.is ?? at.is_not)?.number();
    if (number === undefined) return place.wrong("a condition on a column needs is or is_not");
    return { test, column, number };
  }
  if (at.attributes !== undefined) {
    const words = at.contain?.texts().map((word) => word.toLowerCase());
    if (words === undefined) return place.wrong("a condition on attributes needs contain");
    return { test: "contains", attributes: at.attributes.texts(), words };
  }
  const prefix = at.has_attribute_prefix?.text();
  if (prefix !== undefined) return { test: "has_attribute_prefix", prefix };
  const number = at.severity_at_least?.number();
  if (number !== undefined) return { test: "severity_at_least", number };
  const status = at.span_status?.word(["unset", "ok", "error"]);
  if (status !== undefined) return { test: "span_status", status };
  return place.wrong(`${place.what} must have one of ${CONDITION_KEYS.join(", ")}`);
}
