import { COLUMN, SOURCE } from "./grammar.ts";
import { readRule, readWords } from "./load-rules.ts";
import {
  COLUMN_KINDS,
  COLUMNS_MAX,
  type Column,
  ID_FORMS,
  LOG_PARTS,
  PLACES,
  RECORD_PARTS,
  type Source,
  SPAN_PARTS,
  TEXT_FORMS,
} from "./tables.ts";
import type { Place } from "./yaml-place.ts";

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
  if (columns.length > COLUMNS_MAX)
    place.wrong(
      `${columns.length} columns: InfluxDB 3 takes at most ${COLUMNS_MAX} tags and fields; make two tables of them`,
    );
  if (columns.length > 0 && columns.length === columns.filter((c) => c.kind === "tag").length)
    place.wrong("a table needs at least one column that is no tag");
  return [
    ...columns.filter((column) => column.kind === "tag"),
    ...columns.filter((column) => column.kind !== "tag"),
  ];
}

function readColumn(name: string, place: Place, columns: readonly string[]): Column {
  const at = place.members(COLUMN);
  const kind = at.kind?.word(COLUMN_KINDS) ?? "text";
  const sources = (at.from?.items() ?? []).flatMap((item) => readSource(item) ?? []);
  if (sources.length > SOURCES_MAX)
    at.from?.wrong(
      `column "${name}" has ${sources.length} sources, at most ${SOURCES_MAX} are allowed`,
    );
  const isText = kind === "tag" || kind === "text";
  if (!isText && (at.words ?? at.lower_case) !== undefined)
    place.wrong(`column "${name}": words and lower_case are for kind tag and text only`);
  const column = { name, kind, columns };
  return {
    name,
    kind,
    unit: at.unit?.text(),
    doc: at.doc?.text() ?? "",
    sources,
    lowerCase: at.lower_case?.boolean() ?? false,
    words: readWords(at.words),
    otherwise: (at.otherwise?.items() ?? []).flatMap((item) => readRule(item, column) ?? []),
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
      firstOfList: false,
      spansOnly: false,
    };
  }
  const at = place.members(SOURCE);
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
      form: at.form?.word([...ID_FORMS, ...TEXT_FORMS]),
      firstOfList: at.first_of_list?.boolean() ?? false,
      spansOnly: at.spans_only?.boolean() ?? false,
    };
  }
  return readPart(place, at);
}

function readPart(
  place: Place,
  at: Partial<Record<keyof typeof SOURCE, Place>>,
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
