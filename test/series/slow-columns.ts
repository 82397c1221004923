import type {
  Column,
  Condition,
  IdForm,
  Rule,
  Source,
  Table,
} from "../../src/series/tables/tables.ts";
import { decodeRequest, type Json } from "../support/otlp.ts";
import { slowRoute } from "./slow-route.ts";
import {
  type Attribute,
  attributesOf,
  type Dialect,
  integerOf,
  isText,
  json,
  kindOf,
  list,
  plain,
  quoted,
  tagEscaped,
  type Value,
  valueText,
  wordOf,
} from "./slow-values.ts";

/** Sources, rules and conditions of the tables, the obvious way. */
export interface Item {
  signal: "logs" | "traces";
  record: Map<string, Value>;
  resource: Map<string, Value>;
  list: Attribute[];
  /** The log record or span. */
  log: Json;
  scope: string;
}

const PLACES = {
  logs: ["resourceLogs", "scopeLogs", "logRecords"],
  traces: ["resourceSpans", "scopeSpans", "spans"],
} as const;

export function itemsOf(signal: "logs" | "traces", bytes: Uint8Array): Item[] {
  const [ofResource, ofScope, ofItems] = PLACES[signal];
  return list(decodeRequest(signal, bytes)[ofResource]).flatMap((one) => {
    const resource = attributesOf((one["resource"] as Json | undefined) ?? {});
    return list(one[ofScope]).flatMap((scoped) =>
      list(scoped[ofItems]).map((log) => ({
        signal,
        log,
        scope: String((scoped["scope"] as Json | undefined)?.["name"] ?? ""),
        resource: new Map(resource.map(({ name, value }) => [name, value])),
        record: new Map(attributesOf(log).map(({ name, value }) => [name, value])),
        list: attributesOf(log),
      })),
    );
  });
}

interface Found {
  value: Value;
  source: Source;
  key: string;
}

/** Every source of a column that is present, in order. */
export function present(item: Item, column: Pick<Column, "kind" | "sources">): Found[] {
  const found: Found[] = [];
  const add = (value: Value | undefined, source: Source, place: string) => {
    if (value === undefined || !isText(value, column.kind === "tag")) return;
    found.push({ value, source, key: source.of === "attribute" ? `${place} ${source.name}` : "" });
  };
  for (const source of column.sources) {
    if (source.of === "attribute") {
      if (source.spansOnly && item.signal === "logs") continue;
      const onRecord = () => add(item.record.get(source.name), source, "record");
      const onResource = () => add(item.resource.get(source.name), source, "resource");
      if (source.place.startsWith("resource")) onResource();
      if (source.place !== "resource") onRecord();
      if (source.place === "both") onResource();
    } else if (source.of === "exception_event") {
      if (item.signal === "traces") add(exceptionOf(item).get(source.name), source, "");
    } else if (source.of === "record" || (source.of === "log") === (item.signal === "logs"))
      add(partOf(item, source.part), source, "");
  }
  return found;
}

function exceptionOf({ log }: Item): Map<string, Value> {
  const event = list(log["events"]).find((one) => one["name"] === "exception");
  return new Map(attributesOf(event ?? {}).map(({ name, value }) => [name, value]));
}

const text = (value: unknown) => (value ? { stringValue: String(value) } : undefined);
const id = (value: unknown) => (/[1-9a-f]/.test(String(value ?? "")) ? text(value) : undefined);

function partOf(item: Item, part: string): Value | undefined {
  const { log } = item;
  if (part === "trace_id") return id(log["traceId"]);
  if (part === "span_id") return id(log["spanId"]);
  if (part === "scope_name") return text(item.scope);
  if (item.signal === "traces") return spanPart(log, part);
  if (part === "body") return log["body"] as Value | undefined;
  if (part === "severity_text") return text(log["severityText"]);
  if (part === "event_name") return text(log["eventName"]);
  return log["severityNumber"] ? { intValue: String(log["severityNumber"]) } : undefined;
}

const KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"];
const kindWord = (span: Json) => KINDS[Number(span["kind"] ?? 0)] ?? "unspecified";
const statusOf = (span: Json) => (span["status"] as Json | undefined) ?? {};
const statusWord = (span: Json) =>
  ["unset", "ok", "error"][Number(statusOf(span)["code"] ?? 0)] ?? "unset";

function spanPart(span: Json, part: string): Value | undefined {
  if (part === "name") return text(span["name"]);
  if (part === "kind") return text(kindWord(span));
  if (part === "status") return text(statusWord(span));
  if (part === "status_message") return text(statusOf(span)["message"]);
  if (part === "parent_span_id") return id(span["parentSpanId"]);
  if (part === "trace_state") return text(span["traceState"]);
  if (part === "events")
    return text(
      list(span["events"]).length && `[${list(span["events"]).map(eventJson).join(",")}]`,
    );
  if (part === "links")
    return text(list(span["links"]).length && `[${list(span["links"]).map(linkJson).join(",")}]`);
  const start = BigInt(String(span["startTimeUnixNano"] ?? 0));
  const end = BigInt(String(span["endTimeUnixNano"] ?? 0));
  if (start === 0n || end === 0n || end < start) return undefined;
  const nanos = end - start;
  if (part === "duration_ns") return { intValue: String(nanos) };
  if (part === "duration_whole_ms") return { intValue: String(nanos / 1_000_000n) };
  return { doubleValue: Number(nanos) / (part === "duration_s" ? 1e9 : 1e6) };
}

const members = (one: Json) =>
  attributesOf(one)
    .map(({ name, value }) => `${JSON.stringify(name)}:${json(value)}`)
    .join(",");
const eventJson = (event: Json) =>
  `{"name":${JSON.stringify(event["name"] ?? "")},"time_unix_nano":"${event["timeUnixNano"] ?? 0}","attributes":{${members(event)}}}`;
const linkJson = (link: Json) =>
  `{"trace_id":"${link["traceId"] ?? ""}","span_id":"${link["spanId"] ?? ""}","attributes":{${members(link)}}}`;

/** What a value is once its source is done with it; undefined: it counts as absent. */
function usable(item: Item, table: Table, column: Column, found: Found): Value | undefined {
  const { source } = found;
  let { value } = found;
  if (source.of !== "attribute") return value;
  if (source.firstOfList && kindOf(value) === "arrayValue") {
    value = (list((value["arrayValue"] as Json)["values"])[0] ?? {}) as Value;
    if (!isText(value, column.kind === "tag")) return undefined;
  }
  if (source.form === undefined) return value;
  if (source.form === "method_path")
    return /^[A-Z_]+:\//.test(String(value["stringValue"] ?? "")) ? value : undefined;
  return text(idOf(item, table, column, { ...found, value }, source.form));
}

/** The first value that counts. */
function firstValue(item: Item, table: Table, column: Column): [Value, Source] | undefined {
  for (const found of present(item, column)) {
    const value = usable(item, table, column, found);
    if (value !== undefined) return [value, found.source];
  }
  return undefined;
}

export function columnText(
  item: Item,
  table: Table,
  column: Column,
  dialect: Dialect,
): string | undefined {
  const found = firstValue(item, table, column);
  if (found === undefined) {
    const given = ruled(item, table, column, 0);
    if (given === undefined) return undefined;
    if (column.kind === "tag") return tagEscaped(given, dialect) || undefined;
    return column.kind === "text" ? quoted(given) : given + (column.kind === "integer" ? "i" : "");
  }
  const [value, source] = found;
  return valueText(
    value,
    column,
    (source.of === "attribute" && source.divideBy) || 1,
    dialect,
    false,
  );
}

/** What the rules of a column give, as text. */
function ruled(item: Item, table: Table, column: Column, steps: number): string | undefined {
  for (const rule of column.otherwise) {
    if ((rule.spansOnly && item.signal === "logs") || !holds(item, table, rule.when)) continue;
    const given = givenText(item, table, rule, steps);
    if (given !== undefined) return given;
  }
  return undefined;
}

function givenText(item: Item, table: Table, rule: Rule, steps: number): string | undefined {
  const { gives } = rule;
  const named = (name: string) => table.columns.find((c) => c.name === name) as Column;
  switch (gives.of) {
    case "value":
      return gives.text;
    case "derivation":
      return slowRoute(
        (names) => {
          const sources = names.map((name) => attribute(name));
          return String(present(item, { kind: "tag", sources })[0]?.value["stringValue"] ?? "");
        },
        item.signal === "traces" ? String(item.log["name"] ?? "") : "",
      );
    case "sum": {
      const sum = gives.columns
        .map((name) => integerOfColumn(item, table, named(name), steps))
        .reduce<bigint | undefined>(
          (a, b) => (a === undefined || b === undefined ? undefined : a + b),
          0n,
        );
      return sum === undefined || !Number.isSafeInteger(Number(sum)) ? undefined : String(sum);
    }
    case "column": {
      let other = columnPlain(item, table, named(gives.column), steps + 1);
      if (other === undefined) return undefined;
      if (gives.before !== undefined) {
        const { text: before, last } = gives.before;
        const at = last ? other.lastIndexOf(before) : other.indexOf(before);
        if (at < 0) return undefined;
        other = other.slice(0, at);
      }
      if (other === "") return undefined;
      return gives.words.get(other) ?? gives.rest ?? other;
    }
  }
}

/** A column's text before it is escaped. */
function columnPlain(item: Item, table: Table, column: Column, steps: number): string | undefined {
  if (steps > 8) return undefined;
  const found = firstValue(item, table, column);
  if (found === undefined) return ruled(item, table, column, steps);
  return wordOf(found[0], column, false) ?? plain(found[0], false);
}

function integerOfColumn(
  item: Item,
  table: Table,
  column: Column,
  steps: number,
): bigint | undefined {
  if (steps > 8) return undefined;
  const safe = (n: bigint | undefined) =>
    n !== undefined && Number.isSafeInteger(Number(n)) ? n : undefined;
  const first = present(item, column)[0];
  if (first !== undefined) return safe(integerOf(first.value, false));
  const given = ruled(item, table, column, steps + 1);
  return given === undefined ? undefined : safe(BigInt(given));
}

function attribute(name: string): Source {
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

function idOf(
  item: Item,
  table: Table,
  column: Column,
  found: Found,
  form: IdForm,
): string | undefined {
  const isTrace = column.name === "trace_id";
  const read = readId(found.value, form, isTrace);
  if (read === undefined || isTrace || form !== "traceparent") return read;
  const trace = table.columns.find((c) => c.name === "trace_id") as Column;
  const winner = present(item, trace).find((one) => usable(item, table, trace, one) !== undefined);
  return winner?.key === found.key ? read : undefined;
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

export function holds(item: Item, table: Table, when: Condition): boolean {
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
    case "all":
      return when.of.every((one) => holds(item, table, one));
    case "at_least": {
      const column = table.columns.find((c) => c.name === when.column) as Column;
      const first = present(item, column)[0];
      const number = first && integerOf(first.value, false);
      return number !== undefined && number >= BigInt(when.number);
    }
    case "is_none_of": {
      const column = table.columns.find((c) => c.name === when.column) as Column;
      const first = present(item, column)[0];
      return first !== undefined && !when.texts.includes(plain(first.value, false) ?? "");
    }
    case "equals": {
      const first = present(item, { kind: "tag", sources: when.attributes.map(attribute) })[0];
      return first !== undefined && when.texts.includes(plain(first.value, false) ?? "");
    }
    case "has_one_of":
      return when.attributes.some((name) => isText(item.record.get(name), true));
    case "has_none_of":
      return !when.attributes.some((name) => isText(item.record.get(name), true));
    case "span_status":
      return item.signal === "traces" && statusWord(item.log) === when.status;
  }
}
