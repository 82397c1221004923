import type { Column } from "../../src/series/tables/tables.ts";
import type { Json } from "../support/otlp.ts";

/** Values of OTLP as text of a row, the obvious way: what the slow twins of the writers share. */
export type Value = { [kind: string]: unknown };
export interface Attribute {
  name: string;
  value: Value;
}
export type Dialect = "v3" | "v2" | "v1";

export const list = (json: unknown): Json[] => (json as Json[] | undefined) ?? [];

export function attributesOf(json: Json): Attribute[] {
  return list(json["attributes"]).map((one) => ({
    name: String(one["key"] ?? ""),
    value: (one["value"] as Value | undefined) ?? {},
  }));
}

export function kindOf(value: Value | undefined): string {
  return Object.keys(value ?? {})[0] ?? "none";
}

export function isText(value: Value | undefined, isTag: boolean): boolean {
  const kind = kindOf(value);
  return kind !== "none" && !(isTag && kind === "stringValue" && value?.["stringValue"] === "");
}

/** What a text, number or boolean is in a column with words; undefined: the column has none, or the value is something else. */
export function wordOf(
  value: Value,
  { lowerCase, words }: Pick<Column, "lowerCase" | "words">,
  isUint: boolean,
): string | undefined {
  if (!lowerCase && words.size === 0) return undefined;
  if (!["stringValue", "intValue", "doubleValue", "boolValue"].includes(kindOf(value)))
    return undefined;
  const text = plain(value, isUint);
  const lower = lowerCase ? text?.toLowerCase() : text;
  return lower === undefined ? undefined : (words.get(lower) ?? lower);
}

export function valueText(
  value: Value,
  column: Column,
  divideBy: number,
  dialect: Dialect,
  isUint: boolean,
): string | undefined {
  const word = wordOf(value, column, isUint);
  const known = word === undefined ? value : { stringValue: word };
  switch (column.kind) {
    case "tag":
      return tagText(known, dialect, isUint);
    case "text": {
      const text = plain(known, isUint);
      return text === undefined ? undefined : quoted(text);
    }
    case "boolean": {
      const text = String(value["boolValue"] ?? value["stringValue"]);
      return text === "true" || text === "false" ? text : undefined;
    }
    case "integer": {
      const number = integerOf(value, isUint);
      return number === undefined ? undefined : `${number}i`;
    }
    case "float": {
      const number = floatOf(value, isUint);
      return number === undefined ? undefined : decimal(number / divideBy);
    }
  }
}

const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const numberText = (value: Value) => {
  const text = value["stringValue"];
  return typeof text === "string" && text.length <= 400 && JSON_NUMBER.test(text)
    ? text
    : undefined;
};

export function integerOf(value: Value, isUint: boolean): bigint | undefined {
  let number: bigint | undefined;
  if (value["intValue"] !== undefined) {
    number = BigInt(String(value["intValue"]));
    if (isUint) number = BigInt.asUintN(64, number);
  } else if (value["doubleValue"] !== undefined) {
    const double = Number(value["doubleValue"]);
    if (Number.isInteger(double)) number = BigInt(double);
  } else {
    const text = numberText(value);
    if (text === undefined) return undefined;
    if (/^-?\d+$/.test(text)) number = BigInt(text);
    else if (Number.isInteger(Number(text))) number = BigInt(Number(text));
  }
  return number !== undefined && BigInt.asIntN(64, number) === number ? number : undefined;
}

function floatOf(value: Value, isUint: boolean): number | undefined {
  let number = Number.NaN;
  const exact = (integer: bigint) =>
    BigInt(Number(integer)) === integer ? Number(integer) : Number.NaN;
  if (value["intValue"] !== undefined) {
    const integer = BigInt(String(value["intValue"]));
    number = exact(isUint ? BigInt.asUintN(64, integer) : integer);
  } else if (value["doubleValue"] !== undefined) number = Number(value["doubleValue"]);
  else {
    const text = numberText(value);
    if (text !== undefined && Number.isFinite(Number(text)))
      number =
        /^-?\d+$/.test(text) && Number.isNaN(exact(BigInt(text))) ? Number.NaN : Number(text);
  }
  return Number.isFinite(number) ? number : undefined;
}

export function decimal(number: number): string {
  return Object.is(number, -0) ? "-0" : String(number);
}

/** The value as text, undefined for NaN and ±Inf. */
export function plain(value: Value, isUint: boolean): string | undefined {
  const kind = kindOf(value);
  if (kind === "stringValue" || kind === "bytesValue") return String(value[kind]);
  if (kind === "intValue")
    return String(isUint ? BigInt.asUintN(64, BigInt(String(value[kind]))) : value[kind]);
  if (kind === "doubleValue")
    return Number.isFinite(Number(value[kind])) ? decimal(Number(value[kind])) : undefined;
  if (kind === "boolValue") return String(value[kind]);
  return kind === "none" ? undefined : json(value);
}

export function json(value: Value): string {
  const kind = kindOf(value);
  if (kind === "stringValue" || kind === "bytesValue") return JSON.stringify(String(value[kind]));
  if (kind === "intValue" || kind === "boolValue") return String(value[kind]);
  if (kind === "doubleValue") {
    const number = Number(value[kind]);
    return Number.isFinite(number) ? decimal(number) : `"${number}"`;
  }
  const values = list((value[kind] as Json | undefined)?.["values"]);
  if (kind === "arrayValue") return `[${values.map((one) => json(one)).join(",")}]`;
  if (kind !== "kvlistValue") return "null";
  const members = values.map(
    (one) =>
      `${JSON.stringify(String(one["key"] ?? ""))}:${json((one["value"] as Value | undefined) ?? {})}`,
  );
  return `{${members.join(",")}}`;
}

/** InfluxDB 1 has no unsigned integers: they are integers, and those above are left out. */
export function anyText(
  value: Value,
  isUint: boolean,
  dialect: Dialect = "v3",
): string | undefined {
  const text = plain(value, isUint);
  if (text === undefined) return undefined;
  const kind = kindOf(value);
  if (kind === "intValue" && isUint && dialect === "v1")
    return BigInt(String(text)) < 2n ** 63n ? `${text}i` : undefined;
  if (kind === "intValue") return `${text}${isUint ? "u" : "i"}`;
  return kind === "doubleValue" || kind === "boolValue" ? text : quoted(text);
}

export function tagText(value: Value, dialect: Dialect, isUint: boolean): string | undefined {
  const text = plain(value, isUint);
  return text === undefined ? undefined : tagEscaped(text, dialect) || undefined;
}

export function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** Mapping §1.8 and §9.10: control characters go, a newline becomes the two characters \n, backslashes at the end go. */
function cleaned(text: string, dialect: Dialect, structure: RegExp): string {
  const kept = [...text].filter((c) => c === "\n" || !(c < " " || c === "\u007f")).join("");
  const trimmed = kept.replace(/\\+$/, "");
  const doubled = dialect === "v3" ? trimmed.replace(/\\(?=[\\,= \n])/g, "\\\\") : trimmed;
  return doubled.replace(structure, "\\$&").replace(/\n/g, "\\n");
}

export const tagEscaped = (text: string, dialect: Dialect) => cleaned(text, dialect, /[,= ]/g);
/** A measurement may not start with `#`: that would be a comment. */
export function measurementText(text: string, dialect: Dialect): string {
  const chars = [...text];
  const start = chars.findIndex((c) => c === "\n" || !(c === "#" || c < " " || c === "\u007f"));
  return start < 0 ? "" : cleaned(chars.slice(start).join(""), dialect, /[, ]/g);
}
