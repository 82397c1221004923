import type { Column, Source, Table } from "../../src/series/tables/tables.ts";
import { decodeRequest, type Json } from "../support/otlp.ts";
import {
  type Attribute,
  attributesOf,
  type Dialect,
  decimal,
  isText,
  list,
  measurementText,
  tagEscaped,
  tagText,
  type Value,
  valueText,
} from "./slow-values.ts";

/**
 * The obvious twin of the writer of data points: decodes with protobufjs into objects, and works with strings, BigInt and maps. Shares
 * only the tables with it.
 */
interface PointItem {
  metric: Json;
  type: string;
  /** Gauge, Sum and their kin. */
  data: Json;
  point: Json;
  attributes: Map<string, Value>;
  resource: Map<string, Value>;
}
type Pair = readonly [name: string, text: string];
interface TableRow {
  table: Table;
  tags: Pair[];
  time: bigint;
  points: { item: PointItem; column: string; value: Value }[];
}

const TAGS_MAX = 489;
const COLUMNS = 499;
const OTHERS = 8;

export function slowPoints(
  bytes: Uint8Array,
  tables: readonly Table[],
  dialect: Dialect,
  arrivalMs: number,
): { text: string; rows: number; dropped: Record<string, number> } {
  const frame = new PointFrame(tables, dialect, BigInt(arrivalMs) * 1_000_000n);
  for (const item of pointsOf(bytes)) frame.item(item);
  return { text: frame.text(), rows: frame.rows.length, dropped: frame.dropped };
}

function pointsOf(bytes: Uint8Array): PointItem[] {
  const request = decodeRequest("metrics", bytes);
  return list(request["resourceMetrics"]).flatMap((resourceMetrics) => {
    const resource = last(attributesOf((resourceMetrics["resource"] as Json | undefined) ?? {}));
    return list(resourceMetrics["scopeMetrics"]).flatMap((scopeMetrics) =>
      list(scopeMetrics["metrics"]).flatMap((metric) => {
        const type = TYPES.find((name) => metric[name] !== undefined);
        if (type === undefined) return [];
        const data = metric[type] as Json;
        return list(data["dataPoints"]).map((point) => {
          const attributes = last(attributesOf(point));
          return { metric, type, data, point, attributes, resource };
        });
      }),
    );
  });
}

const TYPES = ["gauge", "sum", "histogram", "exponentialHistogram", "summary"];

/** Of equal names the last, at the place of the last. */
function last(all: Attribute[]): Map<string, Value> {
  const map = new Map<string, Value>();
  for (const { name, value } of all) {
    map.delete(name);
    map.set(name, value);
  }
  return map;
}

class PointFrame {
  /** Each ends a row when the text is asked for: rows that points share grow. */
  readonly rows: (() => string)[] = [];
  readonly dropped: Record<string, number> = {};
  readonly #tables: readonly Table[];
  readonly #own: Table | undefined;
  readonly #dialect: Dialect;
  readonly #arrival: bigint;
  readonly #shared = new Map<string, TableRow>();

  constructor(tables: readonly Table[], dialect: Dialect, arrival: bigint) {
    this.#tables = tables.filter(({ match }) => match.points === undefined);
    this.#own = tables.find(({ match }) => match.points !== undefined);
    this.#dialect = dialect;
    this.#arrival = arrival;
  }

  text(): string {
    return this.rows.map((row) => row()).join("");
  }

  item(item: PointItem): void {
    const why = this.#row(item);
    if (why !== undefined) this.dropped[why] = (this.dropped[why] ?? 0) + 1;
  }

  /** Adds the item's row, or says why there is none. */
  #row(item: PointItem): string | undefined {
    if ((Number(item.point["flags"] ?? 0) & 1) === 1) return "no_recorded_value";
    const name = String(item.metric["name"] ?? "");
    if (name === "") return "no_name";
    if (item.type === "gauge" || item.type === "sum")
      for (const table of this.#tables) {
        const column = fieldsOf(table).find((one) => `${table.measurement}.${one}` === name);
        if (column !== undefined) return this.#tableRow(item, table, column);
      }
    const own = this.#own;
    if (own === undefined) return "no_table";
    let measurement = measurementText(name, this.#dialect);
    if (measurement === "") return "no_name";
    if (this.#tables.some((table) => table.measurement === measurement))
      measurement += own.match.points?.clashSuffix ?? "";
    const tags = this.#tags(item, own);
    if (tags === undefined) return "over_limit";
    const fields = fieldsOfPoint(item, COLUMNS - OTHERS - tags.length);
    if (fields.length === 0) return "no_value";
    fields.push(...exemplarOf(item));
    const time = this.#time(item);
    this.rows.push(() => rowText(measurement, tags, fields, time));
    return undefined;
  }

  #tags(item: PointItem, own: Table): Pair[] | undefined {
    const isDelta = item.type.endsWith("istogram") && item.data["aggregationTemporality"] === 1;
    const present = [...item.attributes].filter(([, value]) => isText(value, true));
    const ofResource = own.columns.flatMap((column): Pair[] => {
      if (column.kind !== "tag" || column.sources.length === 0) return [];
      const text = this.#columnText(item, column, true);
      if (text !== undefined) return text === "" ? [] : [[column.name, text]];
      const given = column.otherwise.find(({ when }) => when.test === "always")?.gives;
      return given?.of === "value"
        ? [[column.name, tagText({ stringValue: given.text }, this.#dialect, false) ?? ""]]
        : [];
    });
    if (ofResource.length + 1 + present.length > TAGS_MAX) return undefined;
    const names = present.map(([name]) => name);
    return this.#unique(
      [
        ...(isDelta ? [["temporality", "delta"] as const] : []),
        ...ofResource.filter(([name]) => !names.includes(name)),
      ],
      present,
    );
  }

  /** `first`, then attributes under names that are not taken. */
  #unique(first: Pair[], attributes: (readonly [string, Value])[]): Pair[] {
    const taken = new Set(first.map(([name]) => name));
    const pairs = [...first];
    for (const [name, value] of attributes) {
      const written = tagEscaped(name, this.#dialect);
      const key = written === "time" ? "time_" : written;
      const free = Array.from({ length: 9 }, (_, i) => key + "_".repeat(i)).find(
        (one) => !taken.has(one),
      );
      const text = tagText(value, this.#dialect, false);
      if (written === "" || free === undefined || text === undefined) continue;
      taken.add(free);
      pairs.push([free, text]);
    }
    return pairs;
  }

  #tableRow(item: PointItem, table: Table, column: string): string | undefined {
    const present = [...item.attributes].filter(([, value]) => isText(value, true));
    const columns = table.columns.filter(({ kind }) => kind === "tag");
    if (columns.length + table.extraTags.length + present.length > TAGS_MAX) return "over_limit";
    const tags = columns.flatMap((one): Pair[] => {
      const text = this.#columnText(item, one, false);
      return text === undefined || text === "" ? [] : [[one.name, text]];
    });
    const declared = new Set(
      table.columns.flatMap((one) => attributeSources(one).map((s) => s.name)),
    );
    const rest = present.filter(([name]) => !declared.has(name));
    rest.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const all = this.#unique(tags, rest);
    const { asInt, asDouble } = item.point;
    const value: Value =
      asInt === undefined ? { doubleValue: asDouble } : { intValue: String(asInt) };
    const declaredColumn = table.columns.find(({ name }) => name === column) as Column;
    if (asInt === undefined && asDouble === undefined) return "no_value";
    if (plainText(value, declaredColumn, this.#dialect) === undefined) return "no_value";
    const time = this.#time(item);
    const key = JSON.stringify([table.measurement, all, String(time)]);
    const shared = this.#shared.get(key);
    if (shared !== undefined) {
      shared.points.push({ item, column, value });
      return undefined;
    }
    const row: TableRow = { table, tags: all, time, points: [{ item, column, value }] };
    this.#shared.set(key, row);
    this.rows.push(() => rowText(table.measurement, all, this.#tableFields(row), time));
    return undefined;
  }

  #tableFields({ table, points }: TableRow): Pair[] {
    const lastItem = (points.at(-1) as TableRow["points"][0]).item;
    return table.columns.flatMap((column): Pair[] => {
      if (column.kind === "tag") return [];
      const own = points.findLast((point) => point.column === column.name);
      const text =
        own === undefined
          ? this.#columnText(lastItem, column, false)
          : plainText(own.value, column, this.#dialect);
      return text === undefined || text === "" ? [] : [[column.name, text]];
    });
  }

  /** Text of the first source that is present; "" where it does not fit, undefined where there is none. */
  #columnText(item: PointItem, column: Column, isOwn: boolean): string | undefined {
    for (const { name, place, form } of attributeSources(column)) {
      const places = {
        both: [item.attributes, item.resource],
        record: [item.attributes],
        resource: [item.resource],
        resource_first: [item.resource, item.attributes],
      }[place];
      for (const one of places) {
        const value = one.get(name);
        if (value === undefined || !isText(value, column.kind === "tag")) continue;
        if (form !== undefined) {
          const id = String(value["stringValue"] ?? "").toLowerCase();
          const isId = new RegExp(`^[0-9a-f]{${form === "trace_id" ? 32 : 16}}$`).test(id);
          if (isId && /[1-9a-f]/.test(id)) return `"${id}"`;
          continue;
        }
        if (isOwn) return tagText(value, this.#dialect, false) ?? "";
        return plainText(value, column, this.#dialect) ?? "";
      }
    }
    return undefined;
  }

  #time({ point }: PointItem): bigint {
    const time = BigInt(String(point["timeUnixNano"] ?? 0));
    return time === 0n || time >= 2n ** 63n - 1n ? this.#arrival : time;
  }
}

type AttributeSource = Extract<Source, { of: "attribute" }>;

function attributeSources(column: Column): AttributeSource[] {
  return column.sources.filter(
    (source): source is AttributeSource =>
      source.of === "attribute" &&
      !source.spansOnly &&
      (source.form === undefined || source.form === "trace_id" || source.form === "span_id"),
  );
}

function fieldsOf(table: Table): string[] {
  return [...table.columns.filter(({ kind }) => kind !== "tag").map(({ name }) => name)];
}

/** Without the words of the column: they are for texts of senders. */
function plainText(value: Value, column: Column, dialect: Dialect): string | undefined {
  return valueText(value, { ...column, lowerCase: false, words: new Map() }, 1, dialect, false);
}

function rowText(measurement: string, tags: Pair[], fields: Pair[], time: bigint): string {
  const taken = new Set(tags.map(([name]) => name));
  const free = (name: string): string => (taken.has(name) ? free(`${name}_`) : name);
  const series = [measurement, ...tags.map(([name, text]) => `${name}=${text}`)].join(",");
  return `${series} ${fields.map(([name, text]) => `${free(name)}=${text}`).join(",")} ${time}\n`;
}

const number = (value: unknown) => Number(value ?? 0);
const float = (name: string, value: number): Pair[] =>
  Number.isFinite(value) ? [[name, decimal(value)]] : [];

function fieldsOfPoint(item: PointItem, room: number): Pair[] {
  const { type, data, point } = item;
  if (type === "gauge" || type === "sum") {
    const { asInt, asDouble } = point;
    if (asInt === undefined && asDouble === undefined) return [];
    const temporality = number(data["aggregationTemporality"]);
    let name = "gauge";
    if (type === "sum" && temporality === 1) name = "delta";
    if (type === "sum" && temporality === 2 && data["isMonotonic"] === true) name = "counter";
    return float(name, asInt === undefined ? number(asDouble) : Number(BigInt(String(asInt))));
  }
  const count = number(point["count"]);
  const fields = float("count", count);
  if (type === "summary" && point["sum"] === undefined) fields.push(...float("sum", 0));
  for (const name of ["sum", "min", "max"])
    if (point[name] !== undefined) fields.push(...float(name, number(point[name])));
  if (type === "summary") return [...fields, ...quantilesOf(point, room)];
  if (type === "histogram") return [...fields, ...boundsOf(point, count, room)];
  return [...fields, ...exponentialBounds(point, count, room)];
}

function quantilesOf(point: Json, room: number): Pair[] {
  const seen = new Map<number, Pair>();
  for (const one of list(point["quantileValues"]).slice(0, 1_000)) {
    const quantile = number(one["quantile"]) + 0;
    const value = number(one["value"]);
    if (!Number.isFinite(quantile) || !Number.isFinite(value) || seen.has(quantile)) continue;
    if (seen.size < room) seen.set(quantile, [String(quantile), decimal(value)]);
  }
  return [...seen.values()];
}

function boundsOf(point: Json, count: number, room: number): Pair[] {
  const counts = ((point["bucketCounts"] as unknown[] | undefined) ?? []).map(Number);
  const bounds = ((point["explicitBounds"] as unknown[] | undefined) ?? []).map(Number);
  if (counts.length === 0) return [];
  if (bounds.length !== counts.length && bounds.length !== counts.length - 1) return [];
  const step = Math.max(1, Math.ceil(bounds.length / room));
  const fields: Pair[] = [];
  let highest = Number.NEGATIVE_INFINITY;
  for (const [i, bound] of bounds.entries()) {
    if (!(bound > highest) || (i + 1) % step !== 0) continue;
    highest = bound;
    const sum = counts.slice(0, i + 1).reduce((a, b) => a + b, 0);
    if (Number.isFinite(bound)) fields.push([String(bound + 0), decimal(sum)]);
  }
  return [...fields, ["+Inf", decimal(count)]];
}

/** Buckets by index, merged until they are few enough. */
function exponentialBounds(point: Json, count: number, room: number): Pair[] {
  if (room < 5) return [];
  const scale = number(point["scale"]);
  const bucketsOf = (name: string) => {
    const buckets = (point[name] as Json | undefined) ?? {};
    const counts = (buckets["bucketCounts"] as unknown[] | undefined) ?? [];
    return counts.map((one, i) => [number(buckets["offset"]) + i, Number(one)] as const);
  };
  const [positive, negative] = [bucketsOf("positive"), bucketsOf("negative")];
  for (let step = 1; ; step *= 2) {
    const merged = (buckets: (readonly [number, number])[]) =>
      new Set(buckets.map(([i]) => Math.floor(i / step))).size;
    if (merged(positive) + merged(negative) + 1 > Math.min(160, room)) continue;
    const power = (i: number) => (i === 0 ? 1 : 2 ** (i * step * 2 ** -scale));
    const ranges = [
      ...negative.toReversed().map(([i, n]) => [-power(Math.floor(i / step)), n] as const),
      [0, number(point["zeroCount"])] as const,
      ...positive.map(([i, n]) => [power(Math.floor(i / step) + 1), n] as const),
    ];
    // Of buckets that are one, the last tells how many values there are up to their bound.
    const fields = new Map<string, string>();
    let sum = 0;
    for (const [bound, n] of ranges) {
      sum += n;
      if (Number.isFinite(bound)) fields.set(String(bound), decimal(sum));
    }
    return [...fields, ["+Inf", decimal(count)]];
  }
}

function exemplarOf({ point }: PointItem): Pair[] {
  const exemplar = list(point["exemplars"]).at(-1);
  if (exemplar === undefined) return [];
  const { asInt, asDouble, traceId, spanId } = exemplar;
  const fields: Pair[] = [];
  if (asInt !== undefined) fields.push(...float("exemplar_value", Number(BigInt(String(asInt)))));
  else if (asDouble !== undefined) fields.push(...float("exemplar_value", number(asDouble)));
  for (const [name, id] of [
    ["exemplar_trace_id", traceId],
    ["exemplar_span_id", spanId],
  ] as const)
    if (/[1-9a-f]/.test(String(id ?? ""))) fields.push([name, `"${id}"`]);
  return fields;
}
