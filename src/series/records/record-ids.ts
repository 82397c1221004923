import { LogRecord } from "../../otlp/tags.gen.ts";
import { readHex } from "../../wire/hex.ts";
import type { DoorOutput } from "../door-output.ts";
import { ID_TEXT_MAX, readSpanId, readTraceId } from "../ids.ts";
import type { IdForm } from "../tables.ts";
import { DATADOG, LAYERS, MEMBER, Member, MemberKind, type Members, NAMES } from "./members.ts";

const TRACE_BYTES = 16;
const SPAN_BYTES = 8;

/** Ids of a record, from the members that carry them (mapping §1.5, §9.8). */
export class RecordIds {
  readonly #members: Members;
  readonly #out: DoorOutput;

  constructor(members: Members, out: DoorOutput) {
    this.#members = members;
    this.#out = out;
  }

  /** Writes `trace_id` and `span_id`. A member that is nothing but the id in hexadecimal becomes it; the other forms stay attributes too. */
  write(): void {
    const parent = this.#trace();
    if (this.#members.has(NAMES.span))
      for (let l = 0; l < LAYERS.length; l++)
        for (let name = NAMES.span.from; name < NAMES.span.end; name++)
          if (this.#hex(LAYERS[l]!, name, SPAN_BYTES)) return;
    if (parent >= 0) this.#rare(parent, "traceparent", SPAN_BYTES);
  }

  /** Index of the `traceparent` that gave the trace id, or -1. */
  #trace(): number {
    const members = this.#members;
    if (!members.has(NAMES.trace) && !members.has(NAMES.parent) && !members.has(NAMES.xray))
      return -1;
    for (let l = 0; l < LAYERS.length; l++) {
      const layer = LAYERS[l]!;
      for (let name = NAMES.trace.from; name < NAMES.trace.end; name++)
        if (this.#hex(layer, name, TRACE_BYTES)) return -1;
      if (this.#other(layer, NAMES.trace, DATADOG, "datadog") >= 0) return -1;
      const parent = this.#other(layer, NAMES.parent, -1, "traceparent");
      if (parent >= 0) return parent;
      if (this.#other(layer, NAMES.xray, -1, "xray") >= 0) return -1;
    }
    return -1;
  }

  /** The member is a text of exactly so many bytes in hexadecimal, not all zero: it becomes the id. */
  #hex(layer: number, name: number, size: number): boolean {
    const members = this.#members;
    const index = members.find(layer, name);
    if (index < 0) return false;
    const i = index * MEMBER;
    if (members.table[i + Member.kind] !== MemberKind.text) return false;
    if (members.table[i + Member.length] !== 2 * size) return false;
    const out = this.#out;
    const start = out.length;
    out.byte(size === TRACE_BYTES ? LogRecord.trace_id : LogRecord.span_id);
    out.varint(size);
    const at = members.table[i + Member.at]!;
    let isGood = readHex(out.view, out.length, members.texts.view, at, size);
    let any = 0;
    for (let k = 0; k < size; k++) any |= out.bytes[out.length + k]!;
    isGood &&= any !== 0;
    out.length = isGood ? out.length + size : start;
    if (isGood && name !== DATADOG) members.drop(index);
    return isGood;
  }

  /** Index of the member that gave a trace id in a rare form, which makes a string; -1 when none did. `only`: of that name. */
  #other(layer: number, range: typeof NAMES.trace, only: number, form: IdForm): number {
    for (let name = range.from; name < range.end; name++) {
      if (only >= 0 && name !== only) continue;
      const index = this.#members.find(layer, name);
      if (index >= 0 && this.#rare(index, form, TRACE_BYTES)) return index;
    }
    return -1;
  }

  #rare(index: number, form: IdForm, size: number): boolean {
    const text = this.#textOf(index);
    const id = size === TRACE_BYTES ? readTraceId(form, text) : readSpanId(form, text);
    if (id === undefined) return false;
    const out = this.#out;
    out.byte(size === TRACE_BYTES ? LogRecord.trace_id : LogRecord.span_id);
    out.varint(size);
    for (let k = 0; k < id.length; k += 2) out.byte(Number.parseInt(id.slice(k, k + 2), 16));
    return true;
  }

  /** A text, or the digits of an integer. */
  #textOf(index: number): string {
    const { table, texts } = this.#members;
    const i = index * MEMBER;
    const at = table[i + Member.at]!;
    const length = table[i + Member.length]!;
    const kind = table[i + Member.kind];
    if (kind === MemberKind.integer) return String((BigInt(length) << 32n) | BigInt(at >>> 0));
    if (kind !== MemberKind.text || length > ID_TEXT_MAX) return "";
    return Buffer.from(texts.bytes.buffer, at, length).toString("latin1");
  }
}
