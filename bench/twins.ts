import type { Type } from "protobufjs";

/** What a straightforward implementation does for the same job: objects, BigInt-free longs, template strings. The ratio gates are against this. */

interface KeyValue {
  readonly key: string;
  readonly value?: {
    readonly stringValue?: string;
    readonly intValue?: { toString(): string } | number;
    readonly doubleValue?: number;
  };
}
interface LogsRequest {
  readonly resourceLogs: readonly {
    readonly resource?: { readonly attributes: readonly KeyValue[] };
    readonly scopeLogs: readonly { readonly logRecords: readonly LogRecord[] }[];
  }[];
}
interface LogRecord {
  readonly timeUnixNano: { toString(): string };
  readonly body?: { readonly stringValue?: string };
  readonly attributes: readonly KeyValue[];
  readonly traceId: Uint8Array;
  readonly spanId: Uint8Array;
}

const TAGS = [
  ["function.id", "function_id"],
  ["execution.id", "execution_id"],
  ["status", "status"],
  ["function.version", "version"],
] as const;
const FIELDS = ["duration_ms", "memory_used_mb", "exit_code", "cpu_time_ms"] as const;

const escapeTag = (text: string) => text.replace(/[ ,=]/g, "\\$&").replace(/\n/g, "\\n");
const escapeText = (text: string) => text.replace(/["\\]/g, "\\$&");
const hex = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");

/** Logs → function_logs lines by way of objects and strings. */
export function linesOfObjects(type: Type, bytes: Uint8Array): Buffer {
  const request = type.decode(bytes) as unknown as LogsRequest;
  const lines: string[] = [];
  for (const { resource, scopeLogs } of request.resourceLogs) {
    const service =
      resource?.attributes.find(({ key }) => key === "service.name")?.value?.stringValue ?? "";
    for (const { logRecords } of scopeLogs)
      for (const record of logRecords) lines.push(lineOf(record, service));
  }
  return Buffer.from(`${lines.join("\n")}\n`);
}

function lineOf(record: LogRecord, service: string): string {
  const values = new Map<string, string>();
  for (const { key, value } of record.attributes)
    values.set(key, value?.stringValue || String(value?.intValue ?? value?.doubleValue ?? ""));
  let line = `function_logs,service=${escapeTag(service)}`;
  for (const [key, name] of TAGS) {
    const value = values.get(key);
    if (value !== undefined) line += `,${name}=${escapeTag(value)}`;
  }
  let separator = " ";
  for (const name of FIELDS) {
    const value = values.get(name);
    if (value === undefined) continue;
    line += `${separator}${name}=${value}`;
    separator = ",";
  }
  line += `${separator}message="${escapeText(record.body?.stringValue ?? "")}",trace_id="${hex(record.traceId)}",span_id="${hex(record.spanId)}"`;
  return `${line} ${record.timeUnixNano.toString()}`;
}

const LINE = /^((?:\\.|[^ ])+) ((?:"(?:\\.|[^"\\])*"|[^ "])+)(?: (-?\d+))?$/;
const PAIRS = /(?:"(?:\\.|[^"\\])*"|\\.|[^,"])+/g;

/** Lines → an OTLP request by way of strings and objects: the obvious parser. */
export function requestOfStrings(type: Type, text: string): Uint8Array {
  const logRecords = text.split("\n").map((line) => {
    const [, head = "", fields = "", timeUnixNano = "0"] = LINE.exec(line) ?? [];
    const [eventName, ...tags] = head.match(PAIRS) ?? [];
    const attributes = [
      ...tags.map((pair) => attributeOf(pair, true)),
      ...(fields.match(PAIRS) ?? []).map((pair) => attributeOf(pair, false)),
    ];
    return { timeUnixNano, eventName, attributes };
  });
  return type.encode(type.fromObject({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] })).finish();
}

function attributeOf(pair: string, isTag: boolean): object {
  const at = pair.indexOf("=");
  const text = pair.slice(at + 1);
  const key = pair.slice(0, at).replace(/\\([ ,=])/g, "$1");
  if (!isTag && text.startsWith('"'))
    return { key, value: { stringValue: text.slice(1, -1).replace(/\\(["\\])/g, "$1") } };
  if (!isTag && /^-?\d+i$/.test(text)) return { key, value: { intValue: text.slice(0, -1) } };
  if (!isTag && /^-?[\d.]+$/.test(text)) return { key, value: { doubleValue: Number(text) } };
  return { key, value: { stringValue: text.replace(/\\([ ,=])/g, "$1") } };
}

interface JsonPoint {
  readonly measurement: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
  readonly timestamp: string;
}

/** An array of JSON points → lines: the obvious parser. */
export function linesOfPoints(text: string): string {
  const points = JSON.parse(text) as readonly JsonPoint[];
  return points
    .map(({ measurement, tags, fields, timestamp }) => {
      const head = Object.entries(tags).map(
        ([key, value]) => `,${escapeTag(key)}=${escapeTag(value)}`,
      );
      const values = Object.entries(fields).map(
        ([key, value]) =>
          `${escapeTag(key)}=${typeof value === "string" ? `"${escapeText(value)}"` : value}`,
      );
      return `${escapeTag(measurement)}${head.join("")} ${values.join()} ${Date.parse(timestamp)}000000`;
    })
    .join("\n");
}

/** The floor of byte-wise JavaScript: a loop that touches every byte. */
export function touchEveryByte(bytes: Uint8Array, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum = (sum + (bytes[i] as number)) | 0;
  return sum;
}
