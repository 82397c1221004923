import type {
  Column,
  Condition,
  Derivation,
  Form,
  Given,
  LogMatch,
  Rule,
  Source,
  SpanMatch,
  Table,
} from "./tables.ts";

/** A column in words, for the command line and the documentation. Names stand in back quotes. */
export interface ColumnWords {
  readonly name: string;
  readonly kind: string;
  readonly unit: string;
  readonly doc: string;
  /** Where its value comes from, in order, derivations last. */
  readonly sources: readonly string[];
}

export function columnsInWords(table: Table): ColumnWords[] {
  const without = table.match.points === undefined ? [] : ["the point"];
  return table.columns.map((column) => ({
    name: column.name,
    kind: column.kind,
    unit: column.unit ?? "",
    doc: column.doc,
    sources: [
      ...(column.sources.length > 0 ? column.sources.map(sourceInWords) : without),
      ...wordsOf(column),
      ...column.otherwise.map((rule) => `else ${ruleInWords(rule)}`),
    ],
  }));
}

/** What makes two rows one, and what happens to values without a column, one sentence each. */
export function rulesInWords(table: Table): string[] {
  const { extraTags, extraFields, extraFieldEnds, attributes, resourceAttributes } = table;
  const fields = [...extraFields, ...extraFieldEnds.map((end) => `*${end}`)];
  const rest = attributes ? "the text field `attributes`, as one JSON object" : "no column";
  return [
    table.identity === "exact"
      ? "Rows with equal tags and equal time are one row, and the later one's fields win."
      : "A time in whole seconds, milliseconds or microseconds gets a fraction of that unit, worked out from the row's content; rows of one request that share tags and time all the same move on by 1 ns. So each item keeps its row, and a request that is sent again writes the same rows.",
    ...(extraTags.length > 0 ? [besides(extraTags, "tag")] : []),
    ...(fields.length > 0 ? [besides(fields, "field")] : []),
    table.match.points === undefined
      ? `Other attributes of OTLP items go into ${rest}. Lines keep every tag and field.`
      : "Attributes of the point are tags under their own names.",
    ...(resourceAttributes === undefined
      ? []
      : [
          `Attributes of the resource go there too, with ${code(resourceAttributes.prefix)} in front${
            resourceAttributes.except.length > 0
              ? `, but not those that start with ${list(resourceAttributes.except.map(code), "or")}`
              : ""
          }.`,
        ]),
  ];
}

function besides(names: readonly string[], kind: string): string {
  const are = names.length === 1 ? `is a ${kind}` : `are ${kind}s`;
  return `Of OTLP items, ${list(names.map(code), "and")} ${are} besides.`;
}

/** Which items make a row of the table, one sentence each. */
export function matchInWords({ measurement, match, required }: Table): string[] {
  const { logs, spans, points } = match;
  const needs = required.length === 0 ? "" : ` It needs ${list(required.map(code), "and")}.`;
  if (points !== undefined)
    return [
      "A data point of a metric whose name is no `<table>.<column>`. The metric's name is the measurement.",
    ];
  return [
    `A line, or a JSON point, named ${code(measurement)}. Its tags and fields are kept under their names; where the table has a column of the name, as this column.`,
    `A log record whose \`event_name\` is ${code(measurement)}.${needs}`,
    `A data point of a gauge or sum named ${code(`${measurement}.<column>`)}: its value is that column, its attributes are the others, and tags where the table does not declare them.`,
    ...(logs === undefined ? [] : [`A log record${hasInWords(logs)}.${needs}`]),
    ...(spans === undefined ? [] : [`A span${spanInWords(spans)}.${needs}`]),
  ];
}

function hasInWords({ oneOfEach }: LogMatch): string {
  if (oneOfEach.length === 0) return ", any";
  const each = oneOfEach.map((names) =>
    names.length === 1 ? code(names[0] ?? "") : `one of ${list(names.map(code), "or")}`,
  );
  return ` that has itself ${each.join(", and ")}`;
}

function spanInWords(match: SpanMatch): string {
  const { kinds, orNoParent, alsoMatches, oneOf } = match;
  const parts: string[] = [];
  if (kinds.length > 0)
    parts.push(`of kind ${list(kinds, "or")}${orNoParent ? ", or without a parent," : ""}`);
  if (alsoMatches !== undefined) parts.push(`that makes a row in ${code(alsoMatches)} too`);
  const has = match.oneOfEach.length > 0 ? hasInWords(match) : "";
  const ways = oneOf.map(conditionInWords);
  const where = ways.length > 1 ? `, if one of these holds: ${ways.join("; ")}` : "";
  const only = ways.length === 1 ? `, if ${ways[0]}` : "";
  const text = `${parts.length > 0 ? ` ${parts.join(" and ")}` : ""}${has}${where}${only}`;
  return text === "" ? ", any" : text;
}

function sourceInWords(source: Source): string {
  switch (source.of) {
    case "attribute": {
      const notes = [
        ...(source.place === "both" ? [] : [PLACE[source.place]]),
        ...(source.form === undefined ? [] : [FORM[source.form]]),
        ...(source.firstOfList ? ["the first of a list"] : []),
        ...(source.divideBy === undefined ? [] : [`divided by ${source.divideBy}`]),
        ...(source.spansOnly ? ["spans only"] : []),
      ];
      return `${code(source.name)}${notes.length > 0 ? ` (${notes.join(", ")})` : ""}`;
    }
    case "exception_event":
      return `${code(source.name)} of the span's first exception event`;
    case "record":
      return `the item's ${spaced(source.part)}`;
    case "log":
      return `the log record's ${spaced(source.part)}`;
    case "span":
      return `the span's ${spaced(source.part).replace(/^duration (?=.*s$)/, "duration in ")}`;
  }
}

/** How a text must be written to count. */
const FORM: Readonly<Record<Form, string>> = {
  trace_id: "32 hex digits",
  span_id: "16 hex digits",
  datadog: "32 hex digits or decimal",
  traceparent: "the id in it",
  xray: "its `Root`",
  method_path: "if written `METHOD:/…`",
};
const PLACE = {
  record: "of the item only",
  resource: "of the resource only",
  resource_first: "of the resource, else of the item",
} as const;

function wordsOf({ lowerCase, words }: Column): string[] {
  const replaced = Array.from(words, ([from, to]) => `${code(from)} → ${code(to)}`).join(", ");
  return [
    ...(lowerCase ? ["put into lower case"] : []),
    ...(words.size > 0 ? [`replaced: ${replaced}`] : []),
  ];
}

function ruleInWords({ gives, when, lines, spansOnly }: Rule): string {
  const where = when.test === "always" ? "" : ` where ${conditionInWords(when)}`;
  const notes = [...(lines ? ["also for lines"] : []), ...(spansOnly ? ["spans only"] : [])];
  return `${givenInWords(gives)}${where}${notes.length > 0 ? ` (${notes.join(", ")})` : ""}`;
}

function givenInWords(gives: Given): string {
  switch (gives.of) {
    case "value":
      return code(gives.text);
    case "sum":
      return `the sum of ${list(gives.columns.map(code), "and")}`;
    case "derivation":
      return DERIVATION[gives.name];
    case "column": {
      const { before, words, rest } = gives;
      const end = before && `${before.last ? "the last" : "the first"} ${code(before.text)}`;
      const from = end === undefined ? code(gives.column) : `${code(gives.column)} before ${end}`;
      const map = Array.from(words, ([word, to]) => `${code(word)} → ${code(to)}`);
      if (rest !== undefined) map.push(`others → ${code(rest)}`);
      return map.length > 0 ? `from ${from}: ${map.join(", ")}` : from;
    }
  }
}

const DERIVATION: Readonly<Record<Derivation, string>> = {
  request_route:
    "derived: the method and `http.route`, or the span's name, or the path with ids replaced by `{id}`; of RPC `RPC:/service/method`",
};

function conditionInWords(condition: Condition): string {
  switch (condition.test) {
    case "always":
      return "anything";
    case "all":
      return condition.of.map(conditionInWords).join(" and ");
    case "is":
      return `${code(condition.column)} is ${condition.number}`;
    case "is_not":
      return `${code(condition.column)} is not ${condition.number}`;
    case "at_least":
      return `${code(condition.column)} is ${condition.number} or more`;
    case "is_none_of":
      return `${code(condition.column)} is there and not ${list(condition.texts.map(code), "or")}`;
    case "contains":
      return `${list(condition.attributes.map(code), "or")} contains ${list(condition.words.map(code), "or")}`;
    case "equals":
      return `${list(condition.attributes.map(code), "or")} is ${list(condition.texts.map(code), "or")}`;
    case "has_one_of":
      return `the item has ${list(condition.attributes.map(code), "or")}`;
    case "has_none_of":
      return `the item has none of ${list(condition.attributes.map(code), "and")}`;
    case "has_attribute_prefix":
      return `some attribute starts with ${code(condition.prefix)}`;
    case "severity_at_least":
      return `the severity number is ${condition.number} or more`;
    case "span_status":
      return `the span's status is ${condition.status}`;
  }
}

function code(text: string): string {
  return `\`${text}\``;
}

function spaced(name: string): string {
  return name.replaceAll("_", " ");
}

/** `a, b or c`. */
function list(texts: readonly string[], last: "and" | "or"): string {
  if (texts.length < 2) return texts.join("");
  return `${texts.slice(0, -1).join(", ")} ${last} ${texts.at(-1)}`;
}
