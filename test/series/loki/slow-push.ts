import type { LokiLimits } from "../../../src/series/loki/writer.ts";
import type { Table } from "../../../src/series/tables/tables.ts";
import {
  decodeRequest,
  encodeMessage,
  encodeRequest,
  type Json,
  typeOf,
} from "../../support/otlp.ts";
import {
  type Attribute,
  attributesOf,
  json,
  kindOf,
  list,
  plain,
  type Value,
} from "../slow-values.ts";
import { slowLines } from "../slow-writer.ts";
import type { PushEntry, PushStream } from "./push-proto.ts";

/** Log records as Loki's push request, the obvious way: objects, strings and maps. */
export interface SlowOptions {
  readonly tables: readonly Table[];
  readonly labels: readonly string[];
  readonly limits: LokiLimits;
  readonly nowMs: number;
  readonly arrivalMs: number;
}

export interface SlowPush {
  readonly streams: readonly PushStream[];
  readonly dropped: Readonly<Record<string, number>>;
  readonly leftOut: Readonly<Record<string, number>>;
  readonly splits: number;
}

const LABELS: Readonly<Record<string, readonly string[]>> = {
  service_name: ["service.name", "service", "service_name"],
  deployment_env: ["deployment_env", "deployment.environment.name", "deployment.environment"],
  source: ["source"],
  function: ["function", "function.name", "function_name", "faas.name"],
};
const LEVELS = ["unknown", "trace", "debug", "info", "warn", "error", "fatal"];
const WORDS = new Map(
  Object.entries({
    trace: "trace trc verbose",
    debug: "debug dbg",
    info: "info inf information informational notice",
    warn: "warn warning wrn",
    error: "error err eror",
    fatal: "fatal critical crit alert emerg emergency panic",
  }).flatMap(([level, words]) => words.split(" ").map((word) => [word, level] as const)),
);
const MAX_TIME = 2n ** 63n - 1n;

export function slowPush(bytes: Uint8Array, options: SlowOptions): SlowPush {
  const push = new Push(options);
  for (const one of list(decodeRequest("logs", bytes)["resourceLogs"])) {
    const resource = (one["resource"] as Json | undefined) ?? {};
    for (const scoped of list(one["scopeLogs"])) {
      const scope = (scoped["scope"] as Json | undefined) ?? {};
      for (const log of list(scoped["logRecords"])) push.record(resource, scope, log);
    }
  }
  return push.result();
}

/** Text of a value in structured metadata; undefined for what is not there. */
function textOf(value: Value, isUint = false): string | undefined {
  const kind = kindOf(value);
  if (kind === "doubleValue" && !Number.isFinite(Number(value[kind]))) return String(value[kind]);
  return plain(value, isUint) || undefined;
}

function nameOf(key: string): string {
  const name = key.replace(/[^a-zA-Z0-9_]/gu, "_");
  const isOdd = /^[0-9]/.test(name) || (name !== "" && !/[a-zA-Z0-9]/.test(name));
  return isOdd ? `key_${name}` : name;
}

/** ASCII letters only, as the writer. */
const levelOf = (text: string) =>
  WORDS.get(text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()));

function labelText(value: Value): string | undefined {
  const kind = kindOf(value);
  if (kind !== "stringValue") return /int|bool|double/.test(kind) ? textOf(value) : undefined;
  const text = String(value["stringValue"]);
  return text !== "" && Buffer.byteLength(text) <= 2_048 ? text : undefined;
}

class Push {
  readonly #options: SlowOptions;
  readonly #sources: ReadonlyMap<string, readonly string[]>;
  readonly #streams = new Map<string, PushEntry[]>();
  readonly #dropped: Record<string, number> = {};
  #leftOut: Record<string, number> = {};
  #splits = 0;
  // Of the entry that is being made.
  #metadata: [string, string][] = [];
  #size = 0;
  #uints: ReadonlySet<string> = new Set();

  constructor(options: SlowOptions) {
    this.#options = options;
    const more = options.labels.map((key) => [nameOf(key), [key]] as const);
    this.#sources = new Map([...more, ...Object.entries(LABELS)]);
  }

  result(): SlowPush {
    const streams = [...this.#streams].map(([labels, entries]) => ({
      labels,
      entries: entries.toSorted((a, b) => (a.nanos < b.nanos ? -1 : a.nanos > b.nanos ? 1 : 0)),
    }));
    return { streams, dropped: this.#dropped, leftOut: this.#leftOut, splits: this.#splits };
  }

  record(resource: Json, scope: Json, log: Json): void {
    const { limits, nowMs } = this.#options;
    const attributes = attributesOf(log);
    const tags = attributes.some(({ name }) => name === "weir.tags");
    const uints = attributes.findLast(({ name }) => name === "weir.uint")?.value["arrayValue"];
    this.#uints = new Set(
      list((uints as Json | undefined)?.["values"]).map((one) => String(one["stringValue"])),
    );
    const { nanos, isIn } = this.#time(log, tags && String(log["eventName"] ?? "") !== "");
    const ms = BigInt(nowMs);
    const oldest = limits.maxAgeMs > 0 ? (ms - BigInt(limits.maxAgeMs)) * 1_000_000n : 0n;
    const newest = (ms + BigInt(limits.maxAheadMs)) * 1_000_000n;
    const isTooNew = limits.maxAheadMs > 0 && nanos > newest;
    if (nanos < oldest || isTooNew) {
      const reason = isTooNew ? "too_new" : "too_old";
      this.#dropped[reason] = (this.#dropped[reason] ?? 0) + 1;
      return;
    }
    if (!isIn) this.#leave("time_out_of_range");
    const { line, message, body } = this.#line(resource, scope, log, tags);
    const parts = cut(line, limits.lineBytes);
    if (parts.length > 1) this.#splits++;
    for (const [i, part] of parts.entries()) {
      this.#metadata = [];
      this.#size = 0;
      if (parts.length > 1) this.#add("line_part", `${i + 1}/${parts.length}`);
      const kept = attributesOf(log).filter(
        ({ name }, at) => name !== "weir.tags" && name !== "weir.uint" && at !== message,
      );
      const labels = this.#entry(resource, scope, log, kept, body);
      const entries = this.#streams.get(labels) ?? [];
      this.#streams.set(labels, entries);
      const later = nanos + BigInt(i);
      entries.push({
        nanos: later > MAX_TIME ? MAX_TIME : later,
        line: part,
        metadata: this.#metadata,
      });
    }
  }

  #leave(reason: string): void {
    this.#leftOut[reason] = (this.#leftOut[reason] ?? 0) + 1;
  }

  #time(log: Json, isLine: boolean): { nanos: bigint; isIn: boolean } {
    const own = BigInt(String(log["timeUnixNano"] ?? 0));
    const time = own === 0n ? BigInt(String(log["observedTimeUnixNano"] ?? 0)) : own;
    const arrival = BigInt(this.#options.arrivalMs) * 1_000_000n;
    if (time === 0n) return { nanos: arrival, isIn: true };
    const signed = BigInt.asIntN(64, time);
    const isIn = signed >= 0n ? signed < MAX_TIME : isLine && signed >= -(2n ** 63n) + 2n;
    return { nanos: isIn ? signed : arrival, isIn };
  }

  #line(resource: Json, scope: Json, log: Json, hasTags: boolean) {
    const body = (log["body"] as Value | undefined) ?? {};
    const kind = kindOf(body);
    const bodyText =
      kind === "none" ? "" : kind === "stringValue" ? String(body[kind]) : json(body);
    const name = String(log["eventName"] ?? "");
    const tables = this.#options.tables.filter(({ match }) => match.points === undefined);
    const isRow = name !== "" && (hasTags || tables.some((table) => table.measurement === name));
    const attributes = attributesOf(log);
    const message = attributes.findIndex(
      (one) => one.name === "message" && String(one.value["stringValue"] ?? "") !== "",
    );
    if (isRow && message >= 0)
      return { line: String(attributes[message]?.value["stringValue"]), message, body: bodyText };
    if (!isRow || bodyText !== "") return { line: bodyText, message: -1, body: "" };
    const alone = { resourceLogs: [{ resource, scopeLogs: [{ scope, logRecords: [log] }] }] };
    const exact = tables.map((table) => ({ ...table, identity: "exact" as const }));
    const { text } = slowLines(encodeRequest("logs", alone), exact, "v3", this.#options.arrivalMs);
    return { line: text.replace(/\n$/, ""), message: -1, body: "" };
  }

  #hasRoom(size: number): boolean {
    const { pairs, bytes } = this.#options.limits;
    if (this.#metadata.length >= pairs) this.#leave("metadata_too_many");
    else if (this.#size + size > bytes) this.#leave("metadata_too_large");
    else return true;
    return false;
  }

  #add(name: string, value: string): void {
    const size = name.length + Buffer.byteLength(value);
    if (!this.#hasRoom(size)) return;
    this.#metadata.push([name, value]);
    this.#size += size;
  }

  /** Makes the metadata of an entry; returns its labels. */
  #entry(resource: Json, scope: Json, log: Json, attributes: Attribute[], body: string): string {
    const text = (field: string) => String(log[field] ?? "");
    if (text("eventName") !== "") this.#add("event_name", text("eventName"));
    for (const [name, field] of [
      ["trace_id", "traceId"],
      ["span_id", "spanId"],
    ] as const)
      if (/[1-9a-f]/.test(text(field))) this.#add(name, text(field));
    const number = Number(log["severityNumber"] ?? 0);
    let level = number > 0 && number < 25 ? LEVELS[Math.ceil(number / 4)] : undefined;
    const word = levelOf(text("severityText"));
    level ??= word;
    if (text("severityText") !== "" && (word === undefined || word !== level))
      this.#add("severity_text", text("severityText"));
    if (body !== "") this.#add("body", body);

    const ofGroup = this.#groupLabels(attributesOf(resource));
    const own = new Map<string, Attribute>();
    const leftovers: Attribute[] = [];
    for (const one of attributes) {
      const label = this.#labelOf(one.name);
      if (one.name === "level") {
        const said =
          kindOf(one.value) === "stringValue"
            ? levelOf(String(one.value["stringValue"]))
            : undefined;
        if (level === undefined && said !== undefined) level = said;
        else leftovers.push(one);
      } else if (label === undefined) this.#attribute(one);
      else {
        const other = own.get(label) ?? ofGroup.get(label);
        const isBetter =
          other === undefined ||
          (own.has(label)
            ? this.#rank(one.name) < this.#rank(other.name)
            : this.#rank(one.name) <= this.#rank(other.name));
        const before = own.get(label);
        if (labelText(one.value) === undefined || !isBetter) leftovers.push(one);
        else {
          own.set(label, one);
          if (before !== undefined) leftovers.push(before);
        }
      }
    }
    for (const one of leftovers) this.#attribute(one);
    for (const label of [...this.#sources.keys()].sort()) {
      const [a, b] = [own.get(label), ofGroup.get(label)];
      if (a !== undefined && b !== undefined && a.name !== b.name) this.#attribute(b);
    }
    this.#group(resource, scope, [...ofGroup.values()]);
    level ??= attributesOf(resource)
      .filter(({ name, value }) => name === "level" && kindOf(value) === "stringValue")
      .slice(0, 1)
      .map(({ value }) => levelOf(String(value["stringValue"])))[0];
    return this.#labels(new Map([...ofGroup, ...own]), level ?? "unknown");
  }

  #labelOf(key: string): string | undefined {
    return [...this.#sources].find(([, keys]) => keys.includes(key))?.[0];
  }

  #rank(key: string): number {
    return [...this.#sources.values()].find((keys) => keys.includes(key))?.indexOf(key) ?? -1;
  }

  #groupLabels(resource: readonly Attribute[]): Map<string, Attribute> {
    const found = new Map<string, Attribute>();
    for (const one of resource) {
      const label = this.#labelOf(one.name);
      if (label === undefined || labelText(one.value) === undefined) continue;
      const other = found.get(label);
      if (other === undefined || this.#rank(one.name) < this.#rank(other.name))
        found.set(label, one);
    }
    return found;
  }

  #labels(from: ReadonlyMap<string, Attribute>, level: string): string {
    const texts = new Map([...from].map(([name, { value }]) => [name, labelText(value) ?? ""]));
    if (!texts.has("service_name")) texts.set("service_name", "unknown_service");
    texts.set("level", level);
    const pairs = [...texts].sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${pairs.map(([name, text]) => `${name}=${JSON.stringify(text)}`).join(",")}}`;
  }

  #attribute({ name: key, value }: Attribute): void {
    const text = textOf(value, this.#uints.has(key));
    if (text === undefined) return;
    const name = nameOf(key);
    if (name === "") this.#leave("no_name");
    else if (this.#metadata.some(([known]) => known === name)) this.#leave("repeated");
    else if (this.#metadata.length >= this.#options.limits.pairs) this.#leave("metadata_too_many");
    else if (payloadLength(value) > this.#options.limits.bytes) this.#leave("metadata_too_large");
    else this.#add(name, text);
  }

  /** What the scope and the resource have, after what the record has. */
  #group(resource: Json, scope: Json, labels: readonly Attribute[]): void {
    const { bytes } = this.#options.limits;
    const block = new Map<string, string>();
    const add = (name: string, text: string | undefined, payload: number) => {
      if (text === undefined) return;
      if (name === "") this.#leave("no_name");
      else if (block.has(name)) this.#leave("repeated");
      else if (payload > bytes) this.#leave("metadata_too_large");
      else block.set(name, text);
    };
    const scopeName = String(scope["name"] ?? "");
    add("scope_name", scopeName || undefined, Buffer.byteLength(scopeName));
    const attributes = [...attributesOf(scope), ...attributesOf(resource)];
    const first = new Set(labels.map((one) => JSON.stringify(one)));
    for (const one of attributes) {
      if (first.delete(JSON.stringify(one))) continue;
      const text = textOf(one.value);
      add(nameOf(one.name), text, text === undefined ? 0 : payloadLength(one.value));
    }
    for (const [name, text] of block)
      if (this.#metadata.some(([known]) => known === name)) this.#leave("repeated");
      else this.#add(name, text);
  }
}

/** Bytes of a value on the wire; numbers are short. */
function payloadLength(value: Value): number {
  const kind = kindOf(value);
  const payload = value[kind];
  if (kind === "bytesValue") return Buffer.from(String(payload), "base64").length;
  if (kind === "stringValue") return Buffer.byteLength(String(payload));
  const message = { arrayValue: "ArrayValue", kvlistValue: "KeyValueList" }[kind];
  if (message === undefined) return 0;
  return encodeMessage(typeOf(`opentelemetry.proto.common.v1.${message}`), payload as object)
    .length;
}

/** A line in parts of at most so many bytes, cut between characters. */
function cut(line: string, most: number): string[] {
  if (Buffer.byteLength(line) <= most) return [line];
  const parts: string[] = [];
  let part = "";
  for (const character of line) {
    if (Buffer.byteLength(part + character) > most) {
      parts.push(part);
      part = "";
    }
    part += character;
  }
  return [...parts, part];
}
