import type { Column, Table } from "../../src/series/tables/tables.ts";
import type { Json } from "../support/otlp.ts";
import { columnText, holds, type Item, itemsOf, present } from "./slow-columns.ts";
import {
  type Attribute,
  anyText,
  type Dialect,
  isText,
  json,
  kindOf,
  list,
  measurementText,
  quoted,
  tagEscaped,
  tagText,
  type Value,
  valueText,
} from "./slow-values.ts";

/**
 * The obvious twin of the writer of log records and spans: decodes with protobufjs into objects, and applies the tables with strings, BigInt
 * and maps. Shares only the tables with it (and, as the specification names no hash, FNV-1a over the row's text).
 */
type Pair = readonly [name: string, text: string];
export function slowLines(
  bytes: Uint8Array,
  tables: readonly Table[],
  dialect: Dialect,
  arrivalMs: number,
  signal: "logs" | "traces" = "logs",
): { text: string; rows: number; dropped: number } {
  // The table of data points has no rows from log records and spans, not even by its name.
  const own = tables.filter(({ match }) => match.points === undefined);
  const frame = new Frame(own, dialect, BigInt(arrivalMs) * 1_000_000n);
  let dropped = 0;
  for (const item of itemsOf(signal, bytes)) if (frame.item(item) === 0) dropped++;
  return { text: frame.text, rows: frame.rows, dropped };
}

const KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"];
/** Characters that a name loses or gets more of when it is written. */
const isChanged = (name: string) => [...name].some((c) => c < " " || c === "\u007f" || c === "\\");
const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) =>
  Buffer.compare(Buffer.from(a), Buffer.from(b));

function hasRequired(item: Item, table: Table): boolean {
  return table.required.every((name) => {
    const column = table.columns.find((c) => c.name === name) as Column;
    return present(item, column).length > 0;
  });
}

/** Whether something is there that a field may be made of. */
function mayHaveField(item: Item, table: Table): boolean {
  const fields = table.columns.filter(({ kind }) => kind !== "tag");
  if (table.emptyField !== undefined || fields.some((c) => c.otherwise.length > 0)) return true;
  if (fields.some((column) => present(item, column).length > 0)) return true;
  if (table.extraFields.some((name) => isText(item.record.get(name), false))) return true;
  const declared = declaredNames(table);
  const takesAny = table.attributes || table.extraFieldEnds.length > 0;
  return takesAny && item.list.some(({ name }) => !declared.has(name));
}

function declaredNames(table: Table): Set<string> {
  const sources = table.columns.flatMap((c) => c.sources);
  return new Set([
    ...sources.flatMap((source) => (source.of === "attribute" ? source.name : [])),
    ...["weir.tags", "weir.uint", ...table.extraTags, ...table.extraFields],
  ]);
}

function hasGroups(item: Item, groups: readonly (readonly string[])[]): boolean {
  return groups.every((names) => names.some((name) => isText(item.record.get(name), true)));
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
    const lineName = String(item.log[item.signal === "traces" ? "name" : "eventName"] ?? "");
    if (item.record.has("weir.tags") && lineName !== "") {
      this.#line(
        item,
        lineName,
        this.#tables.find((table) => table.measurement === lineName),
      );
      return this.rows - before;
    }
    if (item.signal === "traces") {
      for (const table of this.#tables) if (this.#matchesSpan(item, table)) this.#row(item, table);
      return this.rows - before;
    }
    const named = this.#tables.find((table) => table.measurement === lineName);
    const isOfName =
      named !== undefined &&
      !isOfEverySpan(named) &&
      hasRequired(item, named) &&
      mayHaveField(item, named);
    if (!isOfName || losesBody(item, named))
      for (const table of this.#tables) {
        const groups = table.match.logs?.oneOfEach;
        if (groups === undefined || (named !== undefined && groups.length > 0)) continue;
        if (hasGroups(item, groups) && hasRequired(item, table)) this.#row(item, table);
      }
    if (isOfName) this.#row(item, named);
    return this.rows - before;
  }

  #matchesSpan(item: Item, table: Table): boolean {
    const match = table.match.spans;
    if (match === undefined || !hasGroups(item, match.oneOfEach) || !hasRequired(item, table))
      return false;
    const other = this.#tables.find(({ measurement }) => measurement === match.alsoMatches);
    if (other !== undefined && !this.#matchesSpan(item, other)) return false;
    const kind = KINDS[Number(item.log["kind"] ?? 0)] ?? "unspecified";
    const hasParent = /[1-9a-f]/.test(String(item.log["parentSpanId"] ?? ""));
    const isKind = match.kinds.length === 0 || match.kinds.some((one) => one === kind);
    if (!isKind && !(match.orNoParent && !hasParent)) return false;
    return match.oneOf.length === 0 || match.oneOf.some((when) => holds(item, table, when));
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
      if (text !== undefined) tags.push(`${tagEscaped(name, this.#dialect)}=${text}`);
    }
    for (const name of table.extraFields) {
      const text = fieldOf(item.record.get(name));
      if (text !== undefined) fields.push(`${tagEscaped(name, this.#dialect)}=${text}`);
    }
    const declared = declaredNames(table);
    const rest = new Map<string, string>();
    for (const [name, value] of [...item.record].sort(byName)) {
      if (declared.has(name) || kindOf(value) === "none") continue;
      const isField =
        table.extraFieldEnds.some((end) => name.endsWith(end) && name !== end) && !isChanged(name);
      const text = isField ? anyText(value, false) : undefined;
      if (text === undefined) rest.set(name, json(value));
      else fields.push(`${tagEscaped(name, this.#dialect)}=${text}`);
    }
    const { resourceAttributes } = table;
    for (const [name, value] of resourceAttributes === undefined ? [] : item.resource) {
      const full = `${resourceAttributes?.prefix}${name}`;
      const isExcepted = resourceAttributes?.except.some((start) => name.startsWith(start));
      if (!isExcepted && kindOf(value) !== "none" && !rest.has(full)) rest.set(full, json(value));
    }
    const all = [...rest].sort(byName).map(([name, text]) => `${JSON.stringify(name)}:${text}`);
    if (table.attributes && all.length > 0)
      fields.push(`attributes=${quoted(`{${all.join(",")}}`)}`);
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
    for (const name of fieldsSentAsTags(item, table)) tagNames.delete(name);
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
      const text = isTag
        ? tagText(value, this.#dialect, isUint)
        : anyText(value, isUint, this.#dialect);
      if (text !== undefined) (isTag ? tags : fields).push([tagEscaped(name, this.#dialect), text]);
    }
    const ids: Record<string, string> = { trace_id: traceId, span_id: spanId };
    for (const [name, id] of Object.entries(ids))
      if (/[1-9a-f]/.test(id) && !tagNames.has(name)) own.delete(name);
    for (const { name, value } of lastOf(item.list, own)) {
      const key = tagEscaped(name, this.#dialect);
      if (key === "" || kindOf(value) === "none") continue;
      const isUint = uints.has(name) && kindOf(value) === "intValue";
      const text = tagNames.has(name)
        ? tagText(value, this.#dialect, isUint)
        : anyText(value, isUint, this.#dialect);
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
    const own = BigInt(
      String(item.log[item.signal === "logs" ? "timeUnixNano" : "startTimeUnixNano"] ?? 0),
    );
    const time = own === 0n ? BigInt(String(item.log["observedTimeUnixNano"] ?? 0)) : own;
    const signed = BigInt.asIntN(64, time);
    const isIn =
      signed < 2n ** 63n - 1n && (signed >= 0n || (isLine && signed >= -(2n ** 63n) + 2n));
    return time === 0n || !isIn ? this.#arrival : signed;
  }
}

/** The table `spans`, and those like it. */
function isOfEverySpan({ match: { logs, spans } }: Table): boolean {
  const asksNothing =
    spans?.oneOfEach.length === 0 && spans.kinds.length === 0 && spans.oneOf.length === 0;
  return logs === undefined && asksNothing && spans.alsoMatches === undefined;
}

/** Whether the record has a body, for which its table has no column; that of every record has none to lose. */
function losesBody(item: Item, table: Table): boolean {
  const body = item.log["body"] as Value | undefined;
  if (kindOf(body) === "none" || body?.["stringValue"] === "") return false;
  if (table.match.logs?.oneOfEach.length === 0) return false;
  return !table.columns.some((c) => c.sources.some((s) => s.of === "log" && s.part === "body"));
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

/** Declared fields that the record has as tags, and has no other value for: they are fields all the same. */
function fieldsSentAsTags(item: Item, table: Table | undefined): string[] {
  const ids: Record<string, unknown> = {
    trace_id: item.log["traceId"],
    span_id: item.log["spanId"],
  };
  return (table?.columns ?? [])
    .filter(({ name, kind }) => kind !== "tag" && item.record.has(name))
    .filter(({ name }) => !/[1-9a-f]/.test(String(ids[name] ?? "")))
    .filter(
      ({ name }) =>
        name !== table?.body || kindOf(item.log["body"] as Value | undefined) === "none",
    )
    .map(({ name }) => name);
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
