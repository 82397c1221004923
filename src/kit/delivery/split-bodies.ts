import type { Batch } from "../../otlp/batch.ts";
import { ProtoWriter } from "../../otlp/build.ts";
import type { ItemCursor } from "../../otlp/draft.ts";
import { fieldAt } from "../../otlp/fields.ts";
import { AnyValue, KeyValue, LogRecord, ResourceLogs, ScopeLogs } from "../../otlp/tags.gen.ts";
import { Log } from "../../otlp/tape.ts";

/** How long bodies are cut. */
export interface BodyParts {
  /** Of the body of one record, bytes of UTF-8. */
  readonly bytes: number;
  /** Writes the attributes that say which part of a body a record has: 1, 2, 3 …, and how many there are. */
  readonly mark: (out: ProtoWriter, part: number, parts: number) => void;
  /** How many these are. */
  readonly marks: number;
}

const RESOURCE_LOGS = 0x0a; // ExportLogsServiceRequest.resource_logs
/** Bytes kept for the length of a message that holds others; a guess. */
const WIDTH = 3;

/** Whether the ITEM at tape index `at`, a log record, has a body that is cut. */
export function hasLongBody({ tape }: Batch, at: number, { bytes }: BodyParts): boolean {
  return (tape[at + Log.bodyEnd] ?? 0) - (tape[at + Log.bodyAt] ?? 0) > bytes;
}

/**
 * The request with each record of a long body as several ones: the same ids, times and attributes, a part of the text, and which
 * part it is. Bodies that are no text become JSON. Undefined when the result has more than `room` bytes: what is beside the body is
 * repeated in each part, so it may be many times larger.
 */
export function withSplitBodies(
  batch: Batch,
  room: number,
  limit: BodyParts,
): ProtoWriter | undefined {
  const out = new ProtoWriter(batch.length + (batch.length >>> 3));
  const { items } = batch.draft();
  for (const group of fieldsOf(batch.bytes.subarray(0, batch.length))) {
    out.open(RESOURCE_LOGS, WIDTH);
    for (const inner of fieldsOf(group.payload)) {
      if (inner.tag !== ResourceLogs.scope_logs) out.raw(inner.whole);
      else if (!putScope(out, inner.payload, items, room, limit)) return undefined;
    }
    out.close();
  }
  return out.length > room ? undefined : out;
}

/** False when there is no room. */
function putScope(
  out: ProtoWriter,
  scope: Uint8Array,
  items: ItemCursor,
  room: number,
  limit: BodyParts,
): boolean {
  out.open(ResourceLogs.scope_logs, WIDTH);
  for (const field of fieldsOf(scope)) {
    const parts =
      field.tag === ScopeLogs.log_records && items.next() ? partsOf(items, limit.bytes) : [];
    if (parts.length === 0) out.raw(field.whole);
    for (const [i, part] of parts.entries()) {
      if (out.length > room) return false;
      openPart(out, field.payload, part);
      limit.mark(out, i + 1, parts.length);
      out.close();
    }
  }
  out.close();
  return true;
}

/** The text of a long body in parts of whole characters; none for a body that stays as it is. */
function partsOf(item: ItemCursor, longest: number): readonly Uint8Array[] {
  const slot = item.builtin("body");
  if (slot < 0) return [];
  const text = Buffer.from(item.text(slot));
  if (text.length <= longest) return [];
  const parts: Uint8Array[] = [];
  for (let from = 0; from < text.length; ) {
    let to = Math.min(from + longest, text.length);
    while (to < text.length && ((text[to] ?? 0) & 0xc0) === 0x80) to--;
    parts.push(text.subarray(from, to));
    from = to;
  }
  return parts;
}

/** A record that is left open for more attributes. */
function openPart(out: ProtoWriter, record: Uint8Array, body: Uint8Array): void {
  out.open(ScopeLogs.log_records, WIDTH);
  for (const field of fieldsOf(record)) if (field.tag !== LogRecord.body) out.raw(field.whole);
  out.open(LogRecord.body, 2);
  out.data(AnyValue.string_value, body);
  out.close();
}

/** An attribute of the record that is open. */
export function putAttribute(out: ProtoWriter, key: string, value: number | string): void {
  out.open(LogRecord.attributes);
  out.text(KeyValue.key, key);
  out.open(KeyValue.value);
  if (typeof value === "number") out.uint(AnyValue.int_value, value);
  else out.text(AnyValue.string_value, value);
  out.close();
  out.close();
}

interface Part {
  /** As in tags.gen.ts. */
  readonly tag: number;
  readonly payload: Uint8Array;
  /** With tag and length. */
  readonly whole: Uint8Array;
}

function* fieldsOf(message: Uint8Array): Generator<Part> {
  for (let from = 0; from < message.length; ) {
    const { number, wireType, at, end } = fieldAt(message, from);
    const tag = number * 8 + wireType;
    yield { tag, payload: message.subarray(at, end), whole: message.subarray(from, end) };
    from = end;
  }
}
