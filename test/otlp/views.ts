/** A batch through its tape, and a decoded request, in one comparable form: every value that the tape names. */
import type { Batch } from "../../src/otlp/batch.ts";
import type { KeyId, Keys } from "../../src/otlp/keys.ts";
import * as T from "../../src/otlp/tape.ts";
import type { Json } from "../support/otlp.ts";
import { typeOf } from "../support/otlp.ts";
import { slowDecode } from "./slow-index.ts";

type View = Record<string, unknown>;
const COMMON = "opentelemetry.proto.common.v1";
const KINDS = ["none", "text", "bool", "int", "double", "bytes", "array", "map"];
const FIELDS = {
  stringValue: "text",
  boolValue: "bool",
  intValue: "int",
  doubleValue: "double",
  bytesValue: "bytes",
  arrayValue: "array",
  kvlistValue: "map",
} as const;
const ZERO = /^0*$/;

/** Every item of a batch, read by the tape alone. */
export function viewBatch(batch: Batch, keys: Keys): View[] {
  const reader = new Reader(batch, keys);
  const views: View[] = [];
  const { tape } = batch;
  let at = 0;
  for (; at < tape.length; at += (tape[at] as number) >>> 2) {
    if (((tape[at] as number) & 3) !== T.NodeType.item) continue;
    const group = tape[at + T.Item.group] as number;
    const view = { ...reader.group(group), ...reader.item(at) };
    views.push(
      batch.signal === "metrics"
        ? { ...view, ...reader.point(at) }
        : { ...view, ...(batch.signal === "logs" ? reader.log(at) : reader.span(at)) },
    );
  }
  if (at !== tape.length) throw new Error("the last node runs over the tape's end");
  if (views.length !== batch.items) throw new Error(`${views.length} items, not ${batch.items}`);
  return views;
}

class Reader {
  readonly batch: Batch;
  readonly keys: Keys;
  constructor(batch: Batch, keys: Keys) {
    this.batch = batch;
    this.keys = keys;
  }
  int(at: number): number {
    const value = this.batch.tape[at];
    if (value === undefined) throw new Error(`tape index ${at}`);
    return value;
  }
  slice(at: number, end: number): Buffer {
    if (at < 0 || end < at || end > this.batch.length) throw new Error(`bytes ${at}…${end}`);
    return Buffer.from(this.batch.bytes.subarray(at, end));
  }
  text(at: number): string {
    const from = this.int(at);
    return from < 0 ? "" : utf8(this.slice(from, this.int(at + 1)));
  }
  hex(at: number, size: number): string {
    const from = this.int(at);
    return from < 0 ? "" : this.slice(from, from + size).toString("hex");
  }
  word(at: number): string {
    const from = this.int(at);
    return from < 0 ? "0" : String(this.slice(from, from + 8).readBigUInt64LE());
  }
  double(at: number): number | undefined {
    const from = this.int(at);
    return from < 0 ? undefined : this.slice(from, from + 8).readDoubleLE();
  }
  entries(from: number, count: number): unknown[] {
    return Array.from({ length: count }, (_, i) => {
      const at = from + i * T.ENTRY;
      const head = this.int(at);
      const keyValue = this.int(at + T.Entry.keyValueAt);
      const onWire = keyOf(this.batch.bytes, keyValue);
      if (head >>> 4 !== 0 && this.keys.name((head >>> 4) as KeyId) !== onWire)
        throw new Error(`key ${head >>> 4} is not ${onWire}`);
      return [onWire, ...this.value(head & 15, this.int(at + 2), this.int(at + 3))];
    });
  }
  value(kind: number, at: number, end: number): [string, unknown] {
    const name = KINDS[kind] as string;
    const payload = kind === 0 && at < 0 ? Buffer.alloc(0) : this.slice(at, end);
    switch (name) {
      case "text":
        return [name, utf8(payload)];
      case "bytes":
        return [name, payload.toString("base64")];
      case "double":
        return [name, payload.readDoubleLE()];
      case "bool":
      case "int": {
        const tag = name === "int" ? 0x18 : 0x10;
        const json = slowDecode(typeOf(`${COMMON}.AnyValue`), tagged(tag, payload));
        return [name, name === "int" ? json["intValue"] : json["boolValue"]];
      }
      case "array":
        return [name, slowDecode(typeOf(`${COMMON}.ArrayValue`), payload)["values"] ?? []];
      case "map":
        return [name, slowDecode(typeOf(`${COMMON}.KeyValueList`), payload)["values"] ?? []];
      default:
        return [name, undefined];
    }
  }
  group(at: number): View {
    const G = T.Group;
    return {
      resource: this.entries(this.int(at + G.resourceEntries), this.int(at + G.resourceCount)),
      scope: this.entries(this.int(at + G.scopeEntries), this.int(at + G.scopeCount)),
      scopeName: this.text(at + G.scopeNameAt),
      scopeVersion: this.text(at + G.scopeVersionAt),
    };
  }
  item(at: number): View {
    return {
      attributes: this.entries(at + T.ITEM_HEADER, this.int(at + T.Item.attributes)),
      trace: this.hex(at + T.Item.trace, 16),
      span: this.hex(at + T.Item.span, 8),
      time: this.word(at + T.Item.time),
    };
  }
  log(at: number): View {
    const flags = this.int(at + T.Item.flags);
    const body = [this.int(at + T.Log.bodyAt), this.int(at + T.Log.bodyEnd)] as const;
    return {
      severity: (flags >> T.LogFlags.severityShift) & T.LogFlags.severityMask,
      body: this.value(flags & T.LogFlags.bodyKindMask, ...body),
      severityText: this.text(at + T.Log.severityTextAt),
      eventName: this.text(at + T.Log.eventNameAt),
      observed: this.word(at + T.Log.observed),
    };
  }
  span(at: number): View {
    const F = T.SpanFlags;
    const flags = this.int(at + T.Item.flags);
    return {
      kind: flags & F.kindMask,
      status: (flags >> F.statusShift) & F.statusMask,
      hasEvents: (flags & F.hasEvents) !== 0,
      hasLinks: (flags & F.hasLinks) !== 0,
      hasTraceState: (flags & F.hasTraceState) !== 0,
      otherFlags: flags >>> 11,
      end: this.word(at + T.Span.endTime),
      name: this.text(at + T.Span.nameAt),
      parent: this.hex(at + T.Span.parent, 8),
      message: this.text(at + T.Span.statusMessageAt),
      firstEvent: this.int(at + T.Span.firstEvent) >= 0,
    };
  }
  point(at: number): View {
    const metric = this.int(at + T.Point.metric);
    const head = this.int(metric + T.Metric.flags);
    const type = head & 15;
    const flags = this.int(at + T.Item.flags);
    const view: View = {
      name: this.text(metric + T.Metric.nameAt),
      unit: this.text(metric + T.Metric.unitAt),
      description: this.text(metric + T.Metric.descriptionAt),
      type,
      temporality: (head >> 4) & 15,
      monotonic: head >>> 8 !== 0,
      start: this.word(at + T.Point.startTime),
      noValue: (flags & T.PointFlags.noRecordedValue) !== 0,
      hasExemplar: this.int(at + T.Point.exemplar) >= 0,
    };
    if (type <= T.MetricType.sum) {
      const isInt = (flags & T.PointFlags.valueIsInt) !== 0;
      view["value"] = isInt
        ? String(BigInt.asIntN(64, BigInt(this.word(at + T.Point.value))))
        : this.double(at + T.Point.value);
      return view;
    }
    view["count"] = this.word(at + T.Point.value);
    view["sum"] = this.double(at + T.Point.sum);
    view["hasMin"] = (flags & T.PointFlags.hasMin) !== 0;
    view["hasMax"] = (flags & T.PointFlags.hasMax) !== 0;
    view["hasBuckets"] = this.int(at + T.Point.bucketsAt) >= 0;
    view["hasBounds"] = this.int(at + T.Point.boundsAt) >= 0;
    return view;
  }
}

function keyOf(bytes: Uint8Array, at: number): string {
  let length = 0;
  let p = at + 1;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[p++] as number;
    length |= (byte & 127) << shift;
    if (byte < 128) return utf8(bytes.subarray(p, p + length));
  }
}

function utf8(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

function tagged(tag: number, payload: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from([tag]), payload]);
}

/** Every item of a decoded request (OTLP/JSON shape), in the same form. */
export function viewRequest(request: Json): View[] {
  const views: View[] = [];
  for (const outer of list(request, "resourceLogs", "resourceSpans", "resourceMetrics"))
    for (const scoped of list(outer, "scopeLogs", "scopeSpans", "scopeMetrics")) {
      const scope = (scoped["scope"] ?? {}) as Json;
      const group = {
        resource: pairs((outer["resource"] ?? {}) as Json),
        scope: pairs(scope),
        scopeName: scope["name"] ?? "",
        scopeVersion: scope["version"] ?? "",
      };
      for (const log of list(scoped, "logRecords")) views.push({ ...group, ...logView(log) });
      for (const span of list(scoped, "spans")) views.push({ ...group, ...spanView(span) });
      for (const metric of list(scoped, "metrics"))
        for (const point of metricViews(metric)) views.push({ ...group, ...point });
    }
  return views;
}

function list(json: Json, ...names: string[]): Json[] {
  return names.flatMap((name) => (json[name] ?? []) as Json[]);
}

function pairs(json: Json): unknown[] {
  return list(json, "attributes").map((pair) => [pair["key"] ?? "", ...anyView(pair["value"])]);
}

function anyView(value: unknown): [string, unknown] {
  for (const [field, kind] of Object.entries(FIELDS)) {
    const json = (value ?? {}) as Json;
    if (Object.hasOwn(json, field)) {
      const inner = json[field];
      return [kind, kind === "array" || kind === "map" ? ((inner as Json)["values"] ?? []) : inner];
    }
  }
  return ["none", undefined];
}

function itemView(json: Json): View {
  return {
    attributes: pairs(json),
    trace: idView(json["traceId"]),
    span: idView(json["spanId"]),
  };
}

function idView(id: unknown): string {
  return typeof id === "string" && !ZERO.test(id) ? id : "";
}

function logView(json: Json): View {
  const observed = json["observedTimeUnixNano"] ?? "0";
  const time = json["timeUnixNano"] ?? "0";
  const severity = (json["severityNumber"] ?? 0) as number;
  return {
    ...itemView(json),
    time: time === "0" ? observed : time,
    severity: severity >= 0 && severity <= 255 ? severity : 0,
    body: anyView(json["body"]),
    severityText: json["severityText"] ?? "",
    eventName: json["eventName"] ?? "",
    observed,
  };
}

function spanView(json: Json): View {
  const kind = (json["kind"] ?? 0) as number;
  const status = (json["status"] ?? {}) as Json;
  const code = (status["code"] ?? 0) as number;
  return {
    ...itemView(json),
    time: json["startTimeUnixNano"] ?? "0",
    kind: kind >= 0 && kind <= 5 ? kind : 15,
    status: code >= 0 && code <= 2 ? code : 0,
    hasEvents: list(json, "events").length > 0,
    hasLinks: list(json, "links").length > 0,
    hasTraceState: (json["traceState"] ?? "") !== "",
    otherFlags: 0,
    end: json["endTimeUnixNano"] ?? "0",
    name: json["name"] ?? "",
    parent: idView(json["parentSpanId"]),
    message: status["message"] ?? "",
    firstEvent: list(json, "events").length > 0,
  };
}

function metricViews(metric: Json): View[] {
  const types = ["gauge", "sum", "histogram", "exponentialHistogram", "summary"];
  const name = types.find((one) => Object.hasOwn(metric, one));
  if (name === undefined) return [];
  const data = metric[name] as Json;
  const type = types.indexOf(name) + 1;
  const temporality = (data["aggregationTemporality"] ?? 0) as number;
  const base = {
    name: metric["name"] ?? "",
    unit: metric["unit"] ?? "",
    description: metric["description"] ?? "",
    type,
    temporality: temporality >= 0 && temporality <= 2 ? temporality : 0,
    monotonic: data["isMonotonic"] ?? false,
  };
  return list(data, "dataPoints").map((point) => ({ ...base, ...pointView(type, point) }));
}

function pointView(type: number, json: Json): View {
  const view: View = {
    ...itemView({ ...json, traceId: undefined, spanId: undefined }),
    time: json["timeUnixNano"] ?? "0",
    start: json["startTimeUnixNano"] ?? "0",
    noValue: (((json["flags"] ?? 0) as number) & 1) === 1,
    hasExemplar: list(json, "exemplars").length > 0,
  };
  if (type <= 2) {
    view["value"] = json["asInt"] ?? json["asDouble"];
    return view;
  }
  view["count"] = json["count"] ?? "0";
  view["sum"] = json["sum"];
  view["hasMin"] = Object.hasOwn(json, "min");
  view["hasMax"] = Object.hasOwn(json, "max");
  view["hasBuckets"] = ["bucketCounts", "positive", "quantileValues"].some((f) =>
    Object.hasOwn(json, f),
  );
  view["hasBounds"] = ["explicitBounds", "negative"].some((f) => Object.hasOwn(json, f));
  return view;
}
