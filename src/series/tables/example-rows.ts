import { createIndexer } from "../../otlp/indexing.ts";
import type { Range } from "../../otlp/range.ts";
import { readRequestJson } from "../../otlp/read-json.ts";
import type { Signal } from "../../otlp/tape.ts";
import { withSlack } from "../../wire/slack.ts";
import { LineDoor } from "../doors/door.ts";
import { lineShapes } from "../doors/line-shapes.ts";
import { compileLineWriter } from "../plan.ts";
import { type Example, type ExampleItem, type Scalar, SPAN_KINDS, type Table } from "./tables.ts";

/** What every example has: 2024-01-15T10:30:00.123456789Z, and the ids of a trace. */
const TIME = 1_705_314_600_123_456_789n;
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";
/** Much more than an example makes. */
const ROOM = 1 << 20;
/** Longest line of an example's JSON. */
const LINE = 110;
const STATUS_CODE = { unset: 0, ok: 1, error: 2 } as const;

/** An example as it is sent, and the rows of its table that the writer makes of it, as line protocol. */
export interface ExampleRows {
  readonly input: string;
  readonly isLine: boolean;
  readonly rows: string;
}

/** Sends the example of a table through the real door, indexer and writer. Throws when it makes no row of the table. */
export function exampleRows(table: Table, example: Example, tables: readonly Table[]): ExampleRows {
  const { of } = example;
  const input = of.is === "line" ? of.text : jsonText(requestOf(of, example), "");
  const rows =
    of.is === "line"
      ? write("logs", throughDoor(of.text, tables), table, tables)
      : write(SIGNAL[of.is], throughJson(SIGNAL[of.is], input), table, tables);
  if (rows === "") throw new Error(`the example of ${table.measurement} makes no row of it`);
  return { input, isLine: of.is === "line", rows };
}

/** JSON whose short parts stand in one line. */
function jsonText(value: unknown, indent: string): string {
  const short = JSON.stringify(value);
  if (short.length + indent.length < LINE || typeof value !== "object" || value === null)
    return short;
  const inner = `${indent}  `;
  const isList = Array.isArray(value);
  const parts = isList
    ? value.map((one) => inner + jsonText(one, inner))
    : Object.entries(value).map(
        ([name, one]) => `${inner}${JSON.stringify(name)}: ${jsonText(one, inner)}`,
      );
  const body = `\n${parts.join(",\n")}\n${indent}`;
  return isList ? `[${body}]` : `{${body}}`;
}

const SIGNAL = { log: "logs", span: "traces", point: "metrics" } as const;

function throughDoor(text: string, tables: readonly Table[]): Uint8Array {
  const door = new LineDoor(lineShapes(tables), { precision: "auto" });
  const line = new TextEncoder().encode(text);
  const bytes = withSlack(line);
  door.append(bytes, new DataView(bytes.buffer), 0, line.length, Number(TIME / 1_000_000n));
  const { bytes: request, length, firstBad } = door.finish();
  if (firstBad !== "") throw new Error(`the line of the example is wrong: ${firstBad}`);
  return request.subarray(0, length);
}

function throughJson(signal: Signal, json: string): Uint8Array {
  const bytes = new TextEncoder().encode(json);
  const read = readRequestJson(signal, bytes, bytes.length);
  if ("refused" in read || read.rejected > 0)
    throw new Error(`the item of the example is wrong: ${read.why}`);
  return read.bytes.subarray(0, read.length);
}

function write(
  signal: Signal,
  bytes: Uint8Array,
  table: Table,
  declared: readonly Table[],
): string {
  const indexer = createIndexer();
  const indexed = indexer.index(signal, withSlack(bytes), bytes.length);
  if (!("batch" in indexed)) throw new Error(`the item of the example is wrong: ${indexed.why}`);
  const { batch } = indexed;
  const frame = { seq: 1, batch, arrivalMs: Number(TIME / 1_000_000n), note: new Uint8Array(0) };
  const range: Range<Signal> = { first: 1, last: 1, frames: [frame], items: batch.items };
  const { keys } = indexer;
  const writer = compileLineWriter({ signal, tables: [table], declared, keys, dialect: "v3" });
  const memory = new Uint8Array(ROOM);
  const slab = { bytes: memory, view: new DataView(memory.buffer), length: 0 };
  writer.write(range, 0, range.items, slab);
  return new TextDecoder().decode(memory.subarray(0, slab.length));
}

/** An OTLP/JSON request with one item. */
function requestOf(of: Exclude<ExampleItem, { is: "line" }>, { resource }: Example): object {
  const about = resource.size === 0 ? {} : { resource: { attributes: attributesOf(resource) } };
  if (of.is === "log")
    return { resourceLogs: [{ ...about, scopeLogs: [{ logRecords: [logOf(of)] }] }] };
  if (of.is === "span")
    return { resourceSpans: [{ ...about, scopeSpans: [{ spans: [spanOf(of)] }] }] };
  const point = {
    timeUnixNano: String(TIME),
    asDouble: of.gauge,
    attributes: attributesOf(of.attributes),
  };
  const metric = {
    name: of.metric,
    ...given("unit", of.unit),
    gauge: { dataPoints: [point] },
  };
  return { resourceMetrics: [{ ...about, scopeMetrics: [{ metrics: [metric] }] }] };
}

function logOf(log: Extract<ExampleItem, { is: "log" }>): object {
  return {
    timeUnixNano: String(TIME),
    ...given("severityNumber", log.severityNumber),
    ...given("severityText", log.severityText),
    ...given("body", log.body === undefined ? undefined : { stringValue: log.body }),
    attributes: attributesOf(log.attributes),
    traceId: TRACE,
    spanId: SPAN,
    ...given("eventName", log.eventName),
  };
}

function spanOf(span: Extract<ExampleItem, { is: "span" }>): object {
  const event = {
    timeUnixNano: String(TIME),
    name: "exception",
    attributes: attributesOf(span.exception),
  };
  const status = {
    ...given("code", span.status && STATUS_CODE[span.status]),
    ...given("message", span.statusMessage),
  };
  return {
    traceId: TRACE,
    spanId: SPAN,
    name: span.name,
    kind: SPAN_KINDS.indexOf(span.kind),
    startTimeUnixNano: String(TIME),
    endTimeUnixNano: String(TIME + BigInt(Math.round(span.durationMs * 1e6))),
    attributes: attributesOf(span.attributes),
    ...given("events", span.exception.size > 0 ? [event] : undefined),
    ...given("status", Object.keys(status).length > 0 ? status : undefined),
  };
}

function given(name: string, value: unknown): object {
  return value === undefined ? {} : { [name]: value };
}

function attributesOf(attributes: ReadonlyMap<string, Scalar>): object[] {
  return Array.from(attributes, ([key, value]) => ({ key, value: otlpValue(value) }));
}

function otlpValue(value: Scalar): object {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
