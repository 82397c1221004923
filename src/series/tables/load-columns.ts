import { COLUMN, SOURCE } from "./grammar.ts";
import { readRule, readWords } from "./load-rules.ts";
import {
  COLUMN_KINDS,
  COLUMNS_MAX,
  type Column,
  type ColumnKind,
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
  const sources = (at.from?.items() ?? []).flatMap((item) => readSource(item, kind) ?? []);
  if (sources.length > SOURCES_MAX)
    at.from?.wrong(
      `column "${name}" has ${sources.length} sources, at most ${SOURCES_MAX} are allowed`,
    );
  const isText = kind === "tag" || kind === "text";
  if (!isText && (at.words ?? at.lower_case) !== undefined)
    place.wrong(`column "${name}": words and lower_case are for kind tag and text only`);
  const words = readWords(at.words);
  const isLowerCase = at.lower_case?.boolean() ?? false;
  const unmet = [...words.keys()].find((word) => isLowerCase && word !== word.toLowerCase());
  if (unmet !== undefined)
    at.words?.wrong(
      `word "${unmet}" is never met: lower_case comes first, so write it in lower case`,
    );
  const column = { name, kind, columns };
  return {
    name,
    kind,
    unit: at.unit?.text(),
    doc: at.doc?.text() ?? "",
    sources,
    lowerCase: isLowerCase,
    words,
    otherwise: (at.otherwise?.items() ?? []).flatMap((item) => readRule(item, column) ?? []),
  };
}

/** What a source is taken from, of which it has one; the other keys say more of an attribute. */
const ORIGINS = ["attribute", "record", "log", "span", "exception_event"] as const;
type Sources = Partial<Record<keyof typeof SOURCE, Place>>;

/** A plain text is an attribute; a map names an attribute with details, or a part of the record. */
function readSource(place: Place, kind: ColumnKind): Source | undefined {
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
  if (ORIGINS.filter((origin) => at[origin] !== undefined).length !== 1)
    return place.wrong(
      `${place.what} must be the name of an attribute, or a map with exactly one of ${ORIGINS.join(", ")}`,
    );
  return at.attribute === undefined ? readPart(place, at) : readAttribute(at.attribute, at, kind);
}

function readAttribute(place: Place, at: Sources, kind: ColumnKind): Source | undefined {
  const name = place.text();
  const divideBy = at.divide_by?.number();
  if (divideBy !== undefined && !(divideBy > 0 && divideBy < Number.POSITIVE_INFINITY))
    at.divide_by?.wrong("divide_by must be more than 0, and finite");
  if (kind !== "float") at.divide_by?.wrong("divide_by is for columns of kind float only");
  if (kind !== "tag" && kind !== "text")
    at.form?.wrong("form is for columns of kind tag and text only");
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

function readPart(place: Place, at: Sources): Source | undefined {
  const origins: readonly string[] = ORIGINS;
  const more = Object.keys(at).find((key) => !origins.includes(key));
  if (more !== undefined) return place.wrong(`${more} is for attributes only`);
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
  const name = at.exception_event?.text();
  return name === undefined ? undefined : { of: "exception_event", name };
}
