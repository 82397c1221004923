import {
  COLUMN_KINDS,
  DERIVATIONS,
  ID_FORMS,
  LOG_PARTS,
  PLACES,
  RECORD_PARTS,
  SPAN_KINDS,
  SPAN_PARTS,
  SPAN_STATUSES,
  TEXT_FORMS,
} from "./tables.ts";

/** What may stand somewhere in a table file. */
export type Shape =
  | { readonly is: "text" | "number" | "boolean" | "scalar" }
  | { readonly is: "word"; readonly words: readonly string[] }
  | { readonly is: "list" | "map"; readonly of: Shape }
  | { readonly is: "part"; readonly name: string }
  | { readonly is: "either"; readonly of: readonly Shape[] };

/** One key of a map with known keys. */
export interface Key {
  readonly doc: string;
  readonly shape: Shape;
  readonly isNeeded?: boolean;
}
export type Keys = Readonly<Record<string, Key>>;

const text: Shape = { is: "text" };
const number: Shape = { is: "number" };
const boolean: Shape = { is: "boolean" };
const texts = listOf(text);
const scalars: Shape = { is: "map", of: { is: "scalar" } };

function word(words: readonly string[]): Shape {
  return { is: "word", words };
}
function listOf(of: Shape): Shape {
  return { is: "list", of };
}
function part(name: string): Shape {
  return { is: "part", name };
}

/**
 * The grammar of a table file, said once: the loader takes its keys from here, and the JSON Schema for editors and the page about
 * table files are made of it.
 */
export const TABLE = {
  measurement: { doc: "Name of the table.", shape: text, isNeeded: true },
  doc: { doc: "What one row is.", shape: text, isNeeded: true },
  identity: {
    doc: "exact: two rows with equal tags and time are one. spread: items that would be one row move apart by nanoseconds.",
    shape: word(["exact", "spread"]),
    isNeeded: true,
  },
  match: {
    doc: "Which OTLP items make a row. Lines of this name, and log records whose event_name it is, always do.",
    shape: part("match"),
  },
  columns: {
    doc: "Tags and fields by name.",
    shape: { is: "map", of: part("column") },
    isNeeded: true,
  },
  required: {
    doc: "Columns without which an OTLP item makes no row. Lines are kept as sent.",
    shape: texts,
  },
  extra_tags: { doc: "Attributes that become tags under their own names.", shape: texts },
  extra_fields: {
    doc: "Attributes that become fields under their own names; *_cost means all names with that end.",
    shape: texts,
  },
  attributes: {
    doc: "Whether the other attributes go into the text field attributes, as one JSON object. Default true.",
    shape: boolean,
  },
  resource_attributes: {
    doc: "Puts attributes of the resource there too.",
    shape: part("resource_attributes"),
  },
  ids: {
    doc: "Adds the columns trace_id and span_id: the item's own, else from its attributes.",
    shape: boolean,
  },
  body: { doc: "The text column that a line's record carries as its body.", shape: text },
  empty_field: {
    doc: "The text column that is written empty where a row would have no field.",
    shape: text,
  },
  service: { doc: "The tag that is the service's name on the way back.", shape: text },
  severity: { doc: "Which severity a line's record gets.", shape: part("severity") },
  spans: {
    doc: "true: lines become spans on the way back, not log records (see the line_protocol receiver). Default false.",
    shape: boolean,
  },
  example: {
    doc: "One item or line and a query, for the documentation.",
    shape: part("example"),
  },
} as const satisfies Keys;

export const MATCH = {
  logs: { doc: "Log records.", shape: part("log_match") },
  spans: { doc: "Spans.", shape: part("span_match") },
  points: {
    doc: "Data points: each metric is a measurement of its own.",
    shape: part("point_match"),
  },
} as const satisfies Keys;

const oneOfEach = {
  doc: "Lists of attributes: of each, the item itself has at least one that is not empty. No list: every item.",
  shape: listOf(texts),
} as const;

export const LOG_MATCH = {
  record_has_one_of_each: { ...oneOfEach, isNeeded: true },
} as const satisfies Keys;

export const SPAN_MATCH = {
  record_has_one_of_each: oneOfEach,
  kind: { doc: "Kinds of spans; none: any.", shape: listOf(word(SPAN_KINDS)) },
  or_no_parent: { doc: "Also spans of another kind that have no parent.", shape: boolean },
  also_matches: { doc: "Only spans that make a row in this table too.", shape: text },
  and_one_of: {
    doc: "Only spans for which one of these holds.",
    shape: listOf(part("conditions")),
  },
} as const satisfies Keys;

export const POINT_MATCH = {
  clash_suffix: {
    doc: "Behind the name of a metric that is called as a table.",
    shape: text,
    isNeeded: true,
  },
} as const satisfies Keys;

export const COLUMN = {
  kind: { doc: "A tag, or the type of a field.", shape: word(COLUMN_KINDS), isNeeded: true },
  unit: { doc: "Unit of the number.", shape: text },
  doc: { doc: "What it says.", shape: text, isNeeded: true },
  from: {
    doc: "Where the value comes from: the first source that is present. A plain name is an attribute of the item, else of its resource.",
    shape: listOf({ is: "either", of: [text, part("source")] }),
    isNeeded: true,
  },
  lower_case: { doc: "Text is put into lower case.", shape: boolean },
  words: {
    doc: "Texts that are replaced; of a number or boolean, as it is written.",
    shape: { is: "map", of: text },
  },
  otherwise: {
    doc: "Where no source is present: the first rule that holds and has a value gives it.",
    shape: listOf(part("rule")),
  },
} as const satisfies Keys;

export const SOURCE = {
  attribute: { doc: "Name of an attribute.", shape: text },
  place: {
    doc: "Where the attribute is looked up; both: the item, then its resource.",
    shape: word(PLACES),
  },
  divide_by: { doc: "The number is divided by it.", shape: number },
  form: {
    doc: "How the text must be written to count; ids are taken out of it.",
    shape: word([...ID_FORMS, ...TEXT_FORMS]),
  },
  first_of_list: { doc: "Of a list, its first element.", shape: boolean },
  spans_only: { doc: "Not for log records.", shape: boolean },
  record: { doc: "A part of the log record or span.", shape: word(RECORD_PARTS) },
  log: { doc: "A part of the log record.", shape: word(LOG_PARTS) },
  span: { doc: "A part of the span.", shape: word(SPAN_PARTS) },
  exception_event: { doc: "An attribute of the span's first exception event.", shape: text },
} as const satisfies Keys;

export const RULE = {
  value: {
    doc: "This value.",
    shape: { is: "either", of: [text, number, boolean] },
  },
  column: { doc: "The value of another column.", shape: text },
  before_first: { doc: "Of it, what stands before the first of this text.", shape: text },
  before_last: { doc: "Of it, what stands before the last of this text.", shape: text },
  words: {
    doc: "What stands for each word of the other column.",
    shape: { is: "map", of: text },
  },
  rest: { doc: "What stands for all other words.", shape: text },
  sum: { doc: "The sum of these columns, which hold integers.", shape: texts },
  derive: { doc: "A derivation that is no data.", shape: word(DERIVATIONS) },
  when: { doc: "Only where this holds.", shape: part("conditions") },
  lines: { doc: "Also for lines, which otherwise get no column that they lack.", shape: boolean },
  spans_only: { doc: "Not for log records.", shape: boolean },
} as const satisfies Keys;

export const CONDITION = {
  column: { doc: "Looks at the sources of this column.", shape: text },
  is: { doc: "The column is this integer.", shape: number },
  is_not: { doc: "The column is there, and not this integer.", shape: number },
  at_least: { doc: "The column is this integer or more.", shape: number },
  is_none_of: { doc: "The column is there, and none of these texts.", shape: texts },
  attributes: { doc: "Looks at these attributes.", shape: texts },
  contain: { doc: "One of the attributes holds one of these words, in any case.", shape: texts },
  equal: {
    doc: "The first of the attributes that is present is one of these texts.",
    shape: texts,
  },
  has_one_of: { doc: "The item itself has one of these attributes.", shape: texts },
  has_none_of: { doc: "The item itself has none of these attributes.", shape: texts },
  has_attribute_prefix: { doc: "Some attribute of the item starts so.", shape: text },
  severity_at_least: { doc: "The log record is this severe, 1 to 24.", shape: number },
  span_status: { doc: "The status of the span.", shape: word(SPAN_STATUSES) },
} as const satisfies Keys;

export const RESOURCE_ATTRIBUTES = {
  prefix: { doc: "What their names get in front.", shape: text, isNeeded: true },
  except: { doc: "Beginnings of names that are left out, such as service.", shape: texts },
} as const satisfies Keys;

export const SEVERITY = {
  column: { doc: "The column that says it.", shape: text, isNeeded: true },
  levels: {
    doc: "Severity, 1 to 24, by the text of the column.",
    shape: { is: "map", of: number },
    isNeeded: true,
  },
} as const satisfies Keys;

export const EXAMPLE = {
  line: { doc: "A line.", shape: text },
  log: { doc: "A log record.", shape: part("example_log") },
  span: { doc: "A span.", shape: part("example_span") },
  point: { doc: "A data point.", shape: part("example_point") },
  resource: { doc: "Attributes of the item's resource.", shape: scalars },
  query: { doc: "A query over such rows.", shape: text, isNeeded: true },
} as const satisfies Keys;

export const EXAMPLE_LOG = {
  body: { doc: "Its body.", shape: text },
  severity_text: { doc: "Its severity as a word.", shape: text },
  severity_number: { doc: "Its severity, 1 to 24.", shape: number },
  event_name: { doc: "Its event_name.", shape: text },
  attributes: { doc: "Its attributes.", shape: scalars },
} as const satisfies Keys;

export const EXAMPLE_SPAN = {
  name: { doc: "Its name.", shape: text, isNeeded: true },
  kind: { doc: "Its kind.", shape: word(SPAN_KINDS), isNeeded: true },
  duration_ms: { doc: "How long it took.", shape: number, isNeeded: true },
  status: { doc: "Its status.", shape: word(SPAN_STATUSES) },
  status_message: { doc: "Message of its status.", shape: text },
  attributes: { doc: "Its attributes.", shape: scalars },
  exception: { doc: "Attributes of its exception event.", shape: scalars },
} as const satisfies Keys;

export const EXAMPLE_POINT = {
  metric: { doc: "Name of the metric.", shape: text, isNeeded: true },
  unit: { doc: "Unit of the metric.", shape: text },
  gauge: { doc: "Value of a gauge.", shape: number, isNeeded: true },
  attributes: { doc: "Attributes of the point.", shape: scalars },
} as const satisfies Keys;

/** The maps that others refer to by name. */
export const PARTS: Readonly<Record<string, { readonly keys: Keys; readonly isListed?: boolean }>> =
  {
    match: { keys: MATCH },
    log_match: { keys: LOG_MATCH },
    span_match: { keys: SPAN_MATCH },
    point_match: { keys: POINT_MATCH },
    column: { keys: COLUMN },
    source: { keys: SOURCE },
    rule: { keys: RULE },
    /** One condition, or a list of which all must hold. */
    conditions: { keys: CONDITION, isListed: true },
    resource_attributes: { keys: RESOURCE_ATTRIBUTES },
    severity: { keys: SEVERITY },
    example: { keys: EXAMPLE },
    example_log: { keys: EXAMPLE_LOG },
    example_span: { keys: EXAMPLE_SPAN },
    example_point: { keys: EXAMPLE_POINT },
  };
