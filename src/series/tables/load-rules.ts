import { CONDITION, RULE } from "./grammar.ts";
import {
  type ColumnKind,
  type Condition,
  DERIVATIONS,
  type Given,
  type Rule,
  SPAN_STATUSES,
} from "./tables.ts";
import { type Place, proposal } from "./yaml-place.ts";

/** The column whose rule is read, and the names of all columns of its table. */
interface Of {
  readonly name: string;
  readonly kind: ColumnKind;
  readonly columns: readonly string[];
}

/** One entry of `otherwise`. */
export function readRule(place: Place, of: Of): Rule | undefined {
  const at = place.members(RULE);
  const gives = readGiven(place, at, of);
  const always: Condition = { test: "always" };
  const when = at.when === undefined ? always : readCondition(at.when, of.columns);
  const lines = at.lines?.boolean() ?? false;
  if (lines && (at.column === undefined || at.when !== undefined))
    at.lines?.wrong("lines: true is for rules of another column without a condition only");
  if (gives === undefined || when === undefined) return undefined;
  return { gives, when, lines, spansOnly: at.spans_only?.boolean() ?? false };
}

type Members = Partial<Record<keyof typeof RULE, Place>>;

function readGiven(place: Place, at: Members, of: Of): Given | undefined {
  const given = [at.value, at.column, at.sum, at.derive].filter((one) => one !== undefined);
  if (given.length !== 1)
    return place.wrong(`${place.what} must have exactly one of value, column, sum, derive`);
  if (at.column === undefined && (at.before_first ?? at.before_last ?? at.words ?? at.rest))
    return place.wrong("before_first, before_last, words and rest are for rules of another column");
  if (at.value !== undefined) return readValue(at.value, of);
  if (at.column !== undefined) return readOther(at.column, at, of);
  if (at.sum !== undefined) {
    if (of.kind !== "integer") return at.sum.wrong("sum is for columns of kind integer only");
    if (at.sum.isEmptyList) return at.sum.wrong("sum must name at least one column");
    return { of: "sum", columns: at.sum.items().flatMap((one) => existing(one, of) ?? []) };
  }
  if (!isText(of.kind)) return at.derive?.wrong("derive is for columns of kind tag and text only");
  const name = at.derive?.word(DERIVATIONS);
  return name && { of: "derivation", name };
}

function isText(kind: ColumnKind): boolean {
  return kind === "tag" || kind === "text";
}

function readValue(place: Place, of: Of): Given | undefined {
  if (isText(of.kind)) {
    const text = place.text();
    return text === undefined ? undefined : { of: "value", text };
  }
  if (of.kind === "boolean") {
    const value = place.boolean();
    return value === undefined ? undefined : { of: "value", text: String(value) };
  }
  const number = place.number();
  if (number === undefined) return undefined;
  if (!Number.isFinite(number) || (of.kind === "integer" && !Number.isSafeInteger(number)))
    return place.wrong(`${number} is no ${of.kind}`);
  return { of: "value", text: String(number) };
}

function readOther(place: Place, at: Members, of: Of): Given | undefined {
  const column = existing(place, of);
  if (!isText(of.kind))
    return place.wrong("a rule of another column is for kind tag and text only");
  if (column === of.name) return place.wrong(`column "${column}" cannot be filled from itself`);
  if (at.before_first !== undefined && at.before_last !== undefined)
    return place.wrong("use before_first or before_last, not both");
  const text = (at.before_last ?? at.before_first)?.text();
  const before = text === undefined ? undefined : { text, last: at.before_last !== undefined };
  const words = readWords(at.words);
  const rest = at.rest?.text();
  return column === undefined ? undefined : { of: "column", column, before, words, rest };
}

function existing(place: Place, { columns }: { readonly columns: readonly string[] }) {
  const column = place.text();
  if (column === undefined || columns.includes(column)) return column;
  return place.wrong(`there is no column "${column}"${proposal(column, columns)}`);
}

/** A map of words to what stands for them. */
export function readWords(place: Place | undefined): Map<string, string> {
  const words = new Map<string, string>();
  for (const { name, value } of place?.entries() ?? []) {
    const text = value.text();
    if (text !== undefined) words.set(name, text);
  }
  return words;
}

/** One condition, or a list of which all must hold. */
export function readCondition(place: Place, columns: readonly string[]): Condition | undefined {
  if (place.isMap) return readTest(place, columns);
  const of = place.items().flatMap((one) => readTest(one, columns) ?? []);
  if (place.isEmptyList) return place.wrong(`${place.what} must have at least one condition`);
  return { test: "all", of };
}

type Tests = Partial<Record<keyof typeof CONDITION, Place>>;

/** Which keys make a condition: the second of two says how the first is looked at. */
const FORMS: readonly (readonly (keyof typeof CONDITION)[])[] = [
  ["column", "is"],
  ["column", "is_not"],
  ["column", "at_least"],
  ["column", "is_none_of"],
  ["attributes", "contain"],
  ["attributes", "equal"],
  ["has_one_of"],
  ["has_none_of"],
  ["has_attribute_prefix"],
  ["severity_at_least"],
  ["span_status"],
];

function readTest(place: Place, columns: readonly string[]): Condition | undefined {
  const at = place.members(CONDITION);
  const keys = Object.keys(at);
  if (!FORMS.some((form) => form.length === keys.length && form.every((key) => key in at)))
    return place.wrong(
      `${place.what} must be one of ${FORMS.map((form) => form.join(" with ")).join(", ")}; where several must hold, make a list of them`,
    );
  if (at.column !== undefined) return readColumnTest(at.column, at, columns);
  if (at.attributes !== undefined) {
    const attributes = some(at.attributes);
    if (at.equal !== undefined) return { test: "equals", attributes, texts: some(at.equal) };
    const words = some(at.contain).map((word) => word.toLowerCase());
    return { test: "contains", attributes, words };
  }
  if (at.has_one_of !== undefined) return { test: "has_one_of", attributes: some(at.has_one_of) };
  if (at.has_none_of !== undefined)
    return { test: "has_none_of", attributes: some(at.has_none_of) };
  const prefix = at.has_attribute_prefix?.text();
  if (prefix !== undefined) return { test: "has_attribute_prefix", prefix };
  const number = at.severity_at_least?.integer();
  if (number !== undefined) return { test: "severity_at_least", number };
  const status = at.span_status?.word(SPAN_STATUSES);
  return status && { test: "span_status", status };
}

function readColumnTest(
  place: Place,
  at: Tests,
  columns: readonly string[],
): Condition | undefined {
  const column = existing(place, { columns });
  if (column === undefined) return undefined;
  if (at.is_none_of !== undefined)
    return { test: "is_none_of", column, texts: some(at.is_none_of) };
  for (const test of ["is", "is_not", "at_least"] as const) {
    const number = at[test]?.integer();
    if (number !== undefined) return { test, column, number };
  }
  return undefined;
}

/** Texts of a list that must not be empty. */
function some(place: Place | undefined): string[] {
  if (place?.isEmptyList === true) place.wrong(`${place.what} must name at least one`);
  return place?.texts() ?? [];
}
