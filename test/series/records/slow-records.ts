import { readJsonTime } from "../../../src/kit/doors/json-time.ts";
import { readSpanId, readTraceId } from "../../../src/series/ids.ts";
import { jsonOf, type Node, type ObjectNode } from "./nodes.ts";

/** A log record as protobufjs prints it. */
export interface SlowRecord {
  readonly timeUnixNano: string;
  readonly observedTimeUnixNano: string;
  readonly severityNumber?: number;
  readonly severityText?: string;
  readonly body?: Value;
  readonly traceId?: string;
  readonly spanId?: string;
  readonly attributes?: readonly { readonly key: string; readonly value: Value }[];
}
type Value =
  | { readonly stringValue: string }
  | { readonly boolValue: boolean }
  | { readonly intValue: string }
  | { readonly doubleValue: number };
type Flat = Map<string, Node & { readonly layer: number; readonly asJson?: true }>;

const WORDS: Readonly<Record<string, number>> = { info: 9, warn: 13, critical: 21 };
const PINO = ["trace", "debug", "info", "warn", "error", "fatal"];

/** The rules of mapping §5 for JSON log bodies, said with maps and strings: what the door must equal. */
export function slowRecord(
  node: ObjectNode,
  arrivalMs: number,
  given: readonly (readonly [string, string])[] = [],
): { readonly record: SlowRecord; readonly service: string; readonly replaced: boolean } {
  const flat: Flat = new Map();
  for (const [name, value] of given) flat.set(name, { is: "text", value, layer: 0 });
  flatten(flat, node, 1);
  for (const name of ["message", "log"]) {
    const member = flat.get(name);
    if (member?.is !== "text" || member.layer !== 1) continue;
    if (member.inner === undefined || member.inner.members.length === 0) continue;
    flat.delete(name);
    flatten(flat, member.inner, 2);
    break;
  }
  for (const [name, member] of flat) if (member.is === "null") flat.delete(name);
  const service =
    first(flat, ["service.name", "service"], ({ is, value }) =>
      is === "text" && value !== "" ? value : undefined,
    ) ?? "";
  const arrival = BigInt(arrivalMs) * 1_000_000n;
  const time = first(flat, ["timestamp", "time", "@timestamp", "date"], timeOf, (found) =>
    inRange(found),
  );
  const replaced = time !== undefined && !inRange(time);
  const body = first(
    flat,
    ["message", "msg", "log"],
    (found) => (found.is === "object" ? undefined : anyValue(found)),
    () => true,
  );
  const level = first(flat, ["level", "severity"], levelOf, () => true);
  const ids = idsOf(flat);
  const attributes = [...flat].map(([key, member]) => ({ key, value: anyValue(member) }));
  const record = {
    timeUnixNano: String(time === undefined || replaced ? arrival : BigInt.asUintN(64, time)),
    observedTimeUnixNano: String(arrival),
    ...level,
    ...(body !== undefined && { body }),
    ...ids,
    ...(attributes.length > 0 && { attributes }),
  };
  return { record, service, replaced };
}

function flatten(flat: Flat, node: ObjectNode, layer: number): void {
  const put = (name: string, value: Node) => {
    flat.delete(name);
    flat.set(name, { ...value, layer });
  };
  for (const [name, value] of node.members) {
    const isFlattened =
      value.is === "object" && value.members.length > 0 && Buffer.byteLength(name) <= 64;
    if (isFlattened) for (const [child, below] of value.members) put(`${name}.${child}`, below);
    else put(name, value);
  }
}

/** Of the highest layer first, then in the order of names; taken out when `takes` says so. */
function first<T>(
  flat: Flat,
  names: readonly string[],
  read: (node: Node & { value?: unknown }) => T | undefined,
  takes: (found: T) => boolean = () => false,
): T | undefined {
  for (const layer of [2, 1, 0])
    for (const name of names) {
      const member = flat.get(name);
      const found = member?.layer === layer ? read(member) : undefined;
      if (found === undefined) continue;
      if (takes(found)) flat.delete(name);
      return found;
    }
  return undefined;
}

function inRange(nanos: bigint): boolean {
  return nanos === BigInt.asIntN(64, nanos);
}

function timeOf(node: Node): bigint | undefined {
  if (node.is !== "text" && node.is !== "integer" && node.is !== "double") return undefined;
  const text = String(node.value);
  if (/^-?\d+(\.\d+)?$/.test(text) && Math.abs(Number(text)) < 1e8) return undefined;
  if (text.length > 64 || (node.is === "text" && /^[^-]*[eE]/.test(text))) return undefined;
  const nanos = readJsonTime(text);
  return /[eE]/.test(text) && Math.abs(Number(text)) < 1e8 ? undefined : nanos;
}

function levelOf(node: Node): { severityNumber?: number; severityText: string } | undefined {
  if (node.is === "text" && node.value !== "") {
    const severityNumber = WORDS[node.value.toLowerCase()];
    return { ...(severityNumber !== undefined && { severityNumber }), severityText: node.value };
  }
  const step = node.is === "integer" && node.value % 10n === 0n ? Number(node.value) / 10 : 0;
  const severityText = PINO[step - 1];
  return severityText === undefined ? undefined : { severityNumber: 4 * step - 3, severityText };
}

function idsOf(flat: Flat): { traceId?: string; spanId?: string } {
  const text = (node: Node | undefined) =>
    node?.is === "text" || node?.is === "integer" ? String(node.value) : "";
  const plain = (
    layer: number,
    names: readonly string[],
    read: (node: Node) => string | undefined,
  ) => {
    for (const name of names) {
      const member = flat.get(name);
      const id = member?.layer === layer && member.is === "text" ? read(member) : undefined;
      if (id === undefined) continue;
      flat.delete(name);
      return id;
    }
    return undefined;
  };
  let trace: string | undefined;
  let parent = "";
  for (const layer of [2, 1, 0]) {
    trace ??= plain(layer, ["trace_id", "traceId", "trace.id"], (node) =>
      readTraceId("trace_id", text(node)),
    );
    const others = [
      ["dd.trace_id", "datadog"],
      ["traceparent", "traceparent"],
      ["_X_AMZN_TRACE_ID", "xray"],
      ["X-Amzn-Trace-Id", "xray"],
    ] as const;
    for (const [name, form] of others) {
      const member = flat.get(name);
      if (trace !== undefined || member?.layer !== layer) continue;
      trace = readTraceId(form, text(member));
      if (trace !== undefined && form === "traceparent") parent = text(member);
    }
  }
  let span: string | undefined;
  for (const layer of [2, 1, 0])
    span ??= plain(layer, ["span_id", "spanId", "span.id"], (node) =>
      readSpanId("span_id", text(node)),
    );
  span ??= readSpanId("traceparent", parent);
  return {
    ...(trace !== undefined && { traceId: trace }),
    ...(span !== undefined && { spanId: span }),
  };
}

function anyValue(node: Node): Value {
  if (node.is === "boolean") return { boolValue: node.value };
  if (node.is === "integer") return { intValue: String(node.value) };
  if (node.is === "double") return { doubleValue: node.value };
  return { stringValue: node.is === "text" ? node.value : jsonOf(node) };
}
