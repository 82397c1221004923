import type { Column, Condition, IdForm, Source, Table } from "../../src/series/tables.ts";
import { decodeRequest, type Json } from "../support/otlp.ts";

/**
 * The obvious twin of the line writer, for log records: decodes with protobufjs into objects, and applies the tables with strings, BigInt
 * and maps. Shares only the tables with it (and, as the specification names no hash, FNV-1a over the row's text).
 */
export type Value = { [kind: string]: unknown };
export interface Attribute {
  name: string;
  value: Value;
}
type Pair = readonly [name: string, text: string];
interface Item {
  record: Map<string, Value>;
  resource: Map<string, Value>;
  list: Attribute[];
  log: Json;
  scope: string;
}
export type Dialect = "v3" | "v2" | "v1";

export function slowLines(
  bytes: Uint8Array,
  tables: readonly Table[],
  dialect: Dialect,
  arrivalMs: number,
): { text: string; rows: number; dropped: number } {
  const frame = new Frame(tables, dialect, BigInt(arrivalMs) * 1_000_000n);
  let dropped = 0;
  for (const item of itemsOf(bytes)) if (frame.item(item) === 0) dropped++;
  return { text: frame.text, rows: frame.rows, dropped };
}

export const list = (json: unknown): Json[] => (json as Json[] | undefined) ?? [];

function itemsOf(bytes: Uint8Array): Item[] {
  const request = decodeRequest("logs", bytes);
  return list(request["resourceLogs"]).flatMap((resourceLogs) => {
    const resource = attributesOf((resourceLogs["resource"] as Json | undefined) ?? {});
    return list(resourceLogs["scopeLogs"]).flatMap((scopeLogs) =>
      list(scopeLogs["logRecords"]).map((log) => ({
        log,
        scope: String((scopeLogs["scope"] as Json | undefined)?.["name"] ?? ""),
        resource: new Map(resource.map(({ name, value }) => [name, value])),
        record: new Map(attributesOf(log).map(({ name, value }) => [name, value])),
        list: attributesOf(log),
      })),
    );
  });
}

export function attributesOf(json: Json): Attribute[] {
  return list(json["attributes"]).map((one) => ({
    name: String(one["key"] ?? ""),
    value: (one["value"] as Value | undefined) ?? {},
  }));
}

export function kindOf(value: Value | undefined): string {
  return Object.keys(value ?? {})[0] ?? "none";
}

class Frame {
  text = "";
  rows = 0;
  readonly #tables: readonly Table[];
  readonly #dialect: Dialect;
  readonly #arrival: bigint;
  readonly #taken = new Set<string>();
  constructor(tables: readonly Table[], dialect: Dialect, arrival: bigint) {
    this.#tables = tables;
    this.#dialect = dialect;
    this.#arrival = arrival;
  }

  /** Number of rows. */
  item(item: Item): number {
    const before = this.rows;
    const eventName = String(item.log["eventName"] ?? "");
    const named = this.#tables.find((table) => table.measurement === eventName);
    if (item.record.has("weir.tags") && eventName !== "") {
      this.#line(item, eventName, named);
      return this.rows - before;
    }
    const hasRequired = (table: Table) =>
      table.required.every((name) => {
        const column = table.columns.find((c) => c.name === name) as Column;
        return present(item, column).length > 0;
      });
    if (named !== undefined && hasRequired(named)) this.#row(item, named);
    else
      for (const table of this.#tables) {
        const groups = table.match.logs?.oneOfEach;
        if (groups === undefined || (named !== undefined && groups.length > 0)) continue;
        const matches = groups.every((names) =>
          names.some((name) => isText(item.record.get(name), true)),
        );
        if (matches && hasRequired(table)) this.#row(item, table);
      }
    return this.rows - before;
  }

  #row(item: Item, table: Table): void {
    const tags: string[] = [];
    const fields: string[] = [];
    for (const column of table.columns) {
      const text = columnText(item, table, column, this.#dialect);
      if (text !== undefined)
        (column.kind === "tag" ? tags : fields).push(`${column.name}=${text}`);
    }
    const tagOf = (v: Value | undefined) =>
      isText(v, true) ? tagText(v as Value, this.#dialect, false) : undefined;
    const fieldOf = (v: Value | undefined) =>
      isText(v, false) ? anyText(v as Value, false) : undefined;
    for (const name of table.extraTags) {
      const text = tagOf(item.record.get(name));
      if (text !== undefined) tags.push(`${nameText(name, this.#dialect)}=${text}`);
    }
    for (const name of table.extraFields) {
      const text = fieldOf(item.record.get(name));
      if (text !== undefined) fields.push(`${nameText(name, this.#dialect)}=${text}`);
    }
    const declared = new Set(
      table.columns.flatMap((c) => c.sources.flatMap((s) => (s.of === "attribute" ? s.name : []))),
    );
    for (const name of ["weir.tags", "weir.uint", ...table.extraTags, ...table.extraFields])
      declared.add(name);
    const rest = [...item.record].filter(
      ([name, value]) => !declared.has(name) && kindOf(value) !== "none",
    );
    rest.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    if (table.attributes && rest.length > 0)
      fields.push(
        `attributes=${quoted(`{${rest.map(([n, v]) => `${JSON.stringify(n)}:${json(v)}`).join(",")}}`)}`,
      );
    this.#end(table.measurement, tags, fields, table, this.#time(item, false));
  }

  /** A record that came as a line: everything under its own name. */
  #line(item: Item, eventName: string, table: Table | undefined): void {
    const names = (key: string) =>
      new Set(
        list((item.record.get(key)?.["arrayValue"] as Json | undefined)?.["values"]).flatMap((v) =>
          "stringValue" in v ? String(v["stringValue"]) : [],
        ),
      );
    const tagNames = names("weir.tags");
    const uints = names("weir.uint");
    const tags: Pair[] = [];
    const fields: Pair[] = [];
    const own = new Map(item.record);
    own.delete("weir.tags");
    own.delete("weir.uint");
    const traceId = String(item.log["traceId"] ?? "");
    const spanId = String(item.log["spanId"] ?? "");
    for (const column of table?.columns ?? []) {
      let value: Value | undefined;
      if (!tagNames.has(column.name)) {
        value = own.get(column.name);
        own.delete(column.name);
      }
      if (kindOf(value) === "none") value = undefined;
      const isUint = uints.has(column.name);
      const id = { trace_id: traceId, span_id: spanId }[column.name] ?? "";
      if (/[1-9a-f]/.test(id)) value = { stringValue: id };
      else if (
        value === undefined &&
        column.name === table?.body &&
        !hadValue(item, column.name, tagNames)
      )
        value = item.log["body"] as Value | undefined;
      else if (!item.record.has(column.name)) value = derivedOfLine(item, table, column, tagNames);
      const text =
        value && valueText(value, column, 1, this.#dialect, isUint && kindOf(value) === "intValue");
      if (text === undefined) continue;
      const isClash = column.kind !== "tag" && tagNames.has(column.name);
      (column.kind === "tag" ? tags : fields).push([`${column.name}${isClash ? "_" : ""}`, text]);
    }
    for (const name of [...(table?.extraTags ?? []), ...(table?.extraFields ?? [])]) {
      const value = own.get(name);
      if (value === undefined || tagNames.has(name)) continue;
      own.delete(name);
      const isTag = table?.extraTags.includes(name) === true;
      const isUint = uints.has(name) && kindOf(value) === "intValue";
      const text = isTag ? tagText(value, this.#dialect, isUint) : anyText(value, isUint);
      if (text !== undefined) (isTag ? tags : fields).push([nameText(name, this.#dialect), text]);
    }
    const ids: Record<string, string> = { trace_id: traceId, span_id: spanId };
    for (const [name, id] of Object.entries(ids))
      if (/[1-9a-f]/.test(id) && !tagNames.has(name)) own.delete(name);
    for (const { name, value } of lastOf(item.list, own)) {
      const key = nameText(name, this.#dialect);
      if (key === "" || kindOf(value) === "none") continue;
      const isUint = uints.has(name) && kindOf(value) === "intValue";
      const text = tagNames.has(name)
        ? tagText(value, this.#dialect, isUint)
        : anyText(value, isUint);
      if (text !== undefined)
        (tagNames.has(name) ? tags : fields).push([key === "time" ? "time_" : key, text]);
    }
    if (table === undefined || !table.columns.some((c) => c.name === "trace_id"))
      for (const [name, id] of [
        ["trace_id", traceId],
        ["span_id", spanId],
      ] as const)
        if (/[1-9a-f]/.test(id))
          fields.push([`${name}${tagNames.has(name) ? "_" : ""}`, `"${id}"`]);
    const measurement = table?.measurement ?? measurementText(eventName, this.#dialect);
    if (measurement === "") return;
    const taken = new Set<string>();
    const unique = (pair: Pair) => renamed(pair, taken);
    this.#end(
      measurement,
      tags.flatMap(unique),
      fields.flatMap(unique),
      table,
      this.#time(item, true),
    );
  }

  #end(
    measurement: string,
    tags: string[],
    fields: string[],
    table: Table | undefined,
    time: bigint,
  ): void {
    if (fields.length === 0) {
      if (table?.emptyField === undefined) return;
      fields.push(`${table.emptyField}=""`);
    }
    const series = [measurement, ...tags].join(",");
    const content = `${series} ${fields.join(",")}`;
    let at = time;
    if (table?.identity === "spread") {
      const resolution = [1_000_000_000n, 1_000_000n, 1000n].find((r) => time % r === 0n) ?? 1n;
      at += fnv(content) % resolution;
      while (this.#taken.has(`${series} ${at}`)) at += 1n;
      this.#taken.add(`${series} ${at}`);
    }
    this.rows++;
    this.text += `${content} ${at}\n`;
  }

  #time(item: Item, isLine: boolean): bigint {
    const own = BigInt(String(item.log["timeUnixNano"] ?? 0));
    const time = own === 0n ? BigInt(String(item.log["observedTimeUnixNano"] ?? 0)) : own;
    const signed = BigInt.asIntN(64, time);
    const isIn =
      signed < 2n ** 63n - 1n && (signed >= 0n || (isLine && signed >= -(2n ** 63n) + 2n));
    return time === 0n || !isIn ? this.#arrival : signed;
  }
}

/** The pair under a name that is not taken: with up to eight underscores more, else none. */
function renamed([name, text]: Pair, taken: Set<string>): string[] {
  for (let i = 0; i <= 8; i++) {
    const wanted = name + "_".repeat(i);
    if (taken.has(wanted)) continue;
    taken.add(wanted);
    return [`${wanted}=${text}`];
  }
  return [];
}

function hadValue(item: Item, name: string, tagNames: Set<string>): boolean {
  return !tagNames.has(name) && item.record.has(name);
}

/** What a rule for lines makes of another column that the line has as a text. */
function derivedOfLine(
  item: Item,
  table: Table | undefined,
  column: Column,
  tagNames: Set<string>,
): Value | undefined {
  const gives = column.otherwise.find((rule) => rule.lines)?.gives;
  if (gives?.of !== "column" || tagNames.has(column.name) || tagNames.has(gives.column))
    return undefined;
  const text = item.record.get(gives.column)?.["stringValue"];
  const isTag = table?.columns.some((c) => c.name === gives.column && c.kind === "tag");
  if (typeof text !== "string" || (isTag && text === "")) return undefined;
  return { stringValue: gives.words.get(text) ?? gives.rest ?? text };
}

/** Attributes whose name is still in `left`, the last of equal names only, in their order. */
function lastOf(all: Attribute[], left: Map<string, Value>): Attribute[] {
  const last = new Map(all.map(({ name }, i) => [name, i]));
  return all.filter(({ name }, i) => left.has(name) && last.get(name) === i);
}

/** Row content as the specification's "hash(row content)": FNV-1a of 32 bits. */
function fnv(text: string): bigint {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return BigInt(hash);
}

export function isText(value: Value | undefined, isTag: boolean): boolean {
  const kind = kindOf(value);
  return kind !== "none" && !(isTag && kind === "stringValue" && value?.["stringValue"] === "");
}

interface Found {
  value: Value;
  divideBy: number;
  form: IdForm | undefined;
  key: string;
}

/** Every source of a column that is present, in order. */
function present(item: Item, column: Column): Found[] {
  const found: Found[] = [];
  const isTag = column.kind === "tag";
  const add = (value: Value | undefined, source: Source, place: string) => {
    if (value === undefined || !isText(value, isTag)) return;
    const isAttribute = source.of === "attribute";
    found.push({
      value,
      divideBy: (isAttribute ? source.divideBy : undefined) ?? 1,
      form: isAttribute && source.form !== "method_path" ? source.form : undefined,
      key: isAttribute ? `${place} ${source.name}` : "",
    });
  };
  for (const source of column.sources) {
    if (source.of === "attribute" && !source.spansOnly) {
      const onRecord = () => add(item.record.get(source.name), source, "record");
      const onResource = () => add(item.resource.get(source.name), source, "resource");
      if (source.place.startsWith("resource")) onResource();
      if (source.place !== "resource") onRecord();
      if (source.place === "both") onResource();
    } else if (source.of === "log" || source.of === "record")
      add(partOf(item, source.part), source, "");
  }
  return found;
}

function partOf(item: Item, part: string): Value | undefined {
  const { log } = item;
  const text = (value: unknown) => (value ? { stringValue: String(value) } : undefined);
  const id = (value: unknown) => (/[1-9a-f]/.test(String(value ?? "")) ? text(value) : undefined);
  if (part === "body") return log["body"] as Value | undefined;
  if (part === "severity_text") return text(log["severityText"]);
  if (part === "event_name") return text(log["eventName"]);
  if (part === "trace_id") return id(log["traceId"]);
  if (part === "span_id") return id(log["spanId"]);
  if (part === "scope_name") return text(item.scope);
  return log["severityNumber"] ? { intValue: String(log["severityNumber"]) } : undefined;
}

function columnText(
  item: Item,
  table: Table,
  column: Column,
  dialect: Dialect,
): string | undefined {
  const found = present(item, column);
  const first = found[0];
  if (first === undefined) {
    const text = column.otherwise
      .filter(({ gives, spansOnly }) => gives.of === "value" && !spansOnly)
      .filter(({ when }) => holds(item, table, when))
      .map(({ gives }) => (gives.of === "value" ? gives.text : ""))[0];
    return text && (column.kind === "tag" ? tagEscaped(text, dialect) : quoted(text));
  }
  if (first.form !== undefined) {
    const id = idOf(item, table, column, found);
    return id === undefined ? undefined : quoted(id);
  }
  return valueText(first.value, column, first.divideBy, dialect, false);
}

function idOf(item: Item, table: Table, column: Column, found: Found[]): string | undefined {
  const isTrace = column.name === "trace_id";
  const trace = table.columns.find((c) => c.name === "trace_id") as Column;
  for (const { value, form, key } of found) {
    if (form === undefined) continue;
    const id = readId(value, form, isTrace);
    if (id === undefined) continue;
    if (!isTrace && form === "traceparent") {
      const winner = present(item, trace).find(
        (one) => one.form === undefined || readId(one.value, one.form, true) !== undefined,
      );
      if (winner?.key !== key) continue;
    }
    return id;
  }
  return undefined;
}

function readId(value: Value, form: IdForm, isTrace: boolean): string | undefined {
  const raw = value["stringValue"] ?? value["intValue"];
  if (
    raw === undefined ||
    (value["stringValue"] !== undefined && Buffer.byteLength(String(raw)) > 512)
  )
    return undefined;
  const text = String(raw).toLowerCase();
  const ok = (id: string | undefined) => (id !== undefined && /[1-9a-f]/.test(id) ? id : undefined);
  const hex = isTrace ? /^[0-9a-f]{32}$/ : /^[0-9a-f]{16}$/;
  if (form === "traceparent") {
    const parts = text.split("-");
    const [version = "", traceId = "", spanId = "", flags = ""] = parts;
    const isValid =
      /^[0-9a-f]{2}$/.test(version) &&
      version !== "ff" &&
      /^[0-9a-f]{32}$/.test(traceId) &&
      /^[0-9a-f]{16}$/.test(spanId) &&
      /^[0-9a-f]{2}$/.test(flags) &&
      (parts.length === 4 || version !== "00");
    return isValid ? ok(isTrace ? traceId : spanId) : undefined;
  }
  if (form === "xray")
    return ok(
      /(?:^|;)\s*root=1-([0-9a-f]{8}-[0-9a-f]{24})(?:;|$)/.exec(text)?.[1]?.replace("-", ""),
    );
  if (hex.test(text)) return ok(text);
  if (form !== "datadog" || !/^\d{1,39}$/.test(text) || BigInt(text) >= 2n ** 128n)
    return undefined;
  return ok(BigInt(text).toString(16).padStart(32, "0"));
}

function holds(item: Item, table: Table, when: Condition): boolean {
  switch (when.test) {
    case "always":
      return true;
    case "severity_at_least":
      return Math.min(Number(item.log["severityNumber"] ?? 0), 255) >= when.number;
    case "has_attribute_prefix":
      return item.list.some(
        (one) => kindOf(one.value) !== "none" && one.name.startsWith(when.prefix),
      );
    case "contains":
      return when.attributes.some((name) =>
        [item.record, item.resource].some((place) => {
          const text = String(place.get(name)?.["stringValue"] ?? "").toLowerCase();
          return when.words.some((word) => text.includes(word));
        }),
      );
    case "is":
    case "is_not": {
      const column = table.columns.find((c) => c.name === when.column) as Column;
      const first = present(item, column)[0];
      const text = first && integerOf(first.value, false);
      if (text === undefined) return false;
      return (text === BigInt(when.number)) === (when.test === "is");
    }
    default:
      return false;
  }
}

export function valueText(
  value: Value,
  column: Column,
  divideBy: number,
  dialect: Dialect,
  isUint: boolean,
): string | undefined {
  let known = value;
  if (kindOf(value) === "stringValue" && (column.lowerCase || column.words.size > 0)) {
    const text = String(value["stringValue"]);
    const lower = column.lowerCase ? text.toLowerCase() : text;
    known = { stringValue: column.words.get(lower) ?? lower };
  }
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

function integerOf(value: Value, isUint: boolean): bigint | undefined {
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
function plain(value: Value, isUint: boolean): string | undefined {
  const kind = kindOf(value);
  if (kind === "stringValue" || kind === "bytesValue") return String(value[kind]);
  if (kind === "intValue")
    return String(isUint ? BigInt.asUintN(64, BigInt(String(value[kind]))) : value[kind]);
  if (kind === "doubleValue")
    return Number.isFinite(Number(value[kind])) ? decimal(Number(value[kind])) : undefined;
  if (kind === "boolValue") return String(value[kind]);
  return kind === "none" ? undefined : json(value);
}

function json(value: Value): string {
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

function anyText(value: Value, isUint: boolean): string | undefined {
  const text = plain(value, isUint);
  if (text === undefined) return undefined;
  const kind = kindOf(value);
  if (kind === "intValue") return `${text}${isUint ? "u" : "i"}`;
  return kind === "doubleValue" || kind === "boolValue" ? text : quoted(text);
}

export function tagText(value: Value, dialect: Dialect, isUint: boolean): string | undefined {
  const text = plain(value, isUint);
  return text === undefined ? undefined : tagEscaped(text, dialect) || undefined;
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** Mapping §1.8 and §9.10: control characters go, a newline becomes the two characters \n, backslashes at the end go. */
function cleaned(text: string, dialect: Dialect, structure: RegExp): string {
  const kept = [...text].filter((c) => c === "\n" || !(c < " " || c === "\u007f")).join("");
  const trimmed = kept.replace(/\\+$/, "");
  const doubled = dialect === "v3" ? trimmed.replace(/\\(?=[\\,= \n])/g, "\\\\") : trimmed;
  return doubled.replace(structure, "\\$&").replace(/\n/g, "\\n");
}

const tagEscaped = (text: string, dialect: Dialect) => cleaned(text, dialect, /[,= ]/g);
export const nameText = tagEscaped;
/** A measurement may not start with `#`: that would be a comment. */
export function measurementText(text: string, dialect: Dialect): string {
  const chars = [...text];
  const start = chars.findIndex((c) => c === "\n" || !(c === "#" || c < " " || c === "\u007f"));
  return start < 0 ? "" : cleaned(chars.slice(start).join(""), dialect, /[, ]/g);
}
