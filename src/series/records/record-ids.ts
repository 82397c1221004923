import { LogRecord } from "../../otlp/tags.gen.ts";
import { readHex } from "../../wire/hex.ts";
import type { DoorOutput } from "../doors/door-output.ts";
import { ID_TEXT_MAX, readSpanId, readTraceId } from "../ids.ts";
import type { IdForm } from "../tables/tables.ts";
import {
  DATADOG,
  MEMBER,
  Member,
  MemberKind,
  type Members,
  NAMES,
  TRACEPARENT,
} from "./members.ts";

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
    const members = this.#members;
    const parent = this.#trace();
    let place = members.seek(NAMES.span, 0);
    for (; place >= 0; place = members.seek(NAMES.span, place + 1))
      if (this.#hex(place, SPAN_BYTES)) return;
    if (parent >= 0) this.#rare(parent, "traceparent", SPAN_BYTES);
  }

  /** Index of the `traceparent` that gave the trace id, or -1. */
  #trace(): number {
    const members = this.#members;
    let place = members.seek(NAMES.trace, 0);
    for (; place >= 0; place = members.seek(NAMES.trace, place + 1)) {
      const name = place & 31;
      if (name <= DATADOG && this.#hex(place, TRACE_BYTES)) return -1;
      if (name < DATADOG) continue;
      const form = name === DATADOG ? "datadog" : name === TRACEPARENT ? "traceparent" : "xray";
      const index = members.at(place);
      if (this.#rare(index, form, TRACE_BYTES)) return name === TRACEPARENT ? index : -1;
    }
    return -1;
  }

  /** The member is a text of exactly so many bytes in hexadecimal, not all zero: it becomes the id. */
  #hex(place: number, size: number): boolean {
    const members = this.#members;
    const index = members.at(place);
    const i = index * MEMBER;
    if (members.table[i + Member.kind] !== MemberKind.text) return false;
    if (members.table[i + Member.length] !== 2 * size) return false;
    const out = this.#out;
    const { view, length } = out;
    view.setUint8(length, size === TRACE_BYTES ? LogRecord.trace_id : LogRecord.span_id);
    view.setUint8(length + 1, size);
    const at = members.table[i + Member.at]!;
    if (!readHex(view, length + 2, members.texts.view, at, size)) return false;
    let any = 0;
    for (let k = 0; k < size; k += 4) any |= view.getInt32(length + 2 + k, true);
    if (any === 0) return false;
    out.length = length + 2 + size;
    if ((place & 31) !== DATADOG) members.drop(index);
    return true;
  }

  /** Ids in a form that needs a string. */
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
