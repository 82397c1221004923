import { Kind } from "../otlp/tape.ts";
import type { PlanColumn, PlanTable } from "./compile.ts";
import type { Gather } from "./gather.ts";
import { ID_TEXT_MAX, isAllZero, readSpanId, readTraceId } from "./ids.ts";
import { SLOT } from "./program.ts";
import { isMethodPath } from "./request-route.ts";
import type { IdForm } from "./tables/tables.ts";

/**
 * Finds the first source of a column that counts as present, where some may turn out to be none: ids and texts that must have a form, first
 * elements of lists. Off the hot path.
 */
export class CarefulSources {
  /** The source's bit and value; of an id in some form, its text in `id` instead. */
  bit = 0;
  kind = 0;
  from = 0;
  end = 0;
  id = "";
  /** `find` passed a text that should have been an id of the column, and is none. */
  isMalformed = false;
  readonly #gather: Gather;
  readonly #utf8 = new TextDecoder();
  constructor(gather: Gather) {
    this.#gather = gather;
  }

  /** False where none is left. `table` is that of the column, for ids that go together. */
  find(column: PlanColumn, table: PlanTable): boolean {
    const { mask } = column;
    this.isMalformed = false;
    for (let rest = this.#gather.masks[mask.index]!; rest !== 0; rest &= rest - 1) {
      const bit = 31 - Math.clz32(rest & -rest);
      if (this.#take(column, table, bit)) return true;
    }
    return false;
  }

  #take({ mask, id }: PlanColumn, table: PlanTable, bit: number): boolean {
    const { slots, bytes } = this.#gather;
    const slot = mask.slots[bit]!;
    this.bit = bit;
    this.kind = slots[slot * SLOT]!;
    this.from = slots[slot * SLOT + 1]!;
    this.end = slots[slot * SLOT + 2]!;
    this.id = "";
    if (((mask.careful >>> bit) & 1) === 0) return true;
    if ((mask.listBits >>> bit) & 1 && !this.#firstOfList(mask.wantsText)) return false;
    const form = mask.forms[bit];
    if (form === undefined) return true;
    if (form === "method_path")
      return this.kind === Kind.text && isMethodPath(bytes, this.from, this.end);
    if (id === "span") return this.#spanId(form, slot, table);
    const text = this.#text();
    this.id = readTraceId(form, text) ?? "";
    if (this.id === "" && !isAllZero(text)) this.isMalformed = true;
    return this.id !== "";
  }

  /** Of a value that is no list, itself. */
  #firstOfList(wantsText: boolean): boolean {
    if (this.kind !== Kind.array) return true;
    const { json, bytes } = this.#gather;
    if (this.from >= this.end || bytes[this.from] !== 0x0a) return false; // ArrayValue.values
    const stop = json.field(this.from, this.end);
    this.kind = json.kindOf(json.at, stop);
    this.from = json.at;
    this.end = json.end;
    return (
      this.kind !== Kind.none && !(wantsText && this.kind === Kind.text && this.from === this.end)
    );
  }

  /** traceparent gives the span id only where it gave the trace id. */
  #spanId(form: IdForm, slot: number, table: PlanTable): boolean {
    const text = this.#text();
    this.id = readSpanId(form, text) ?? "";
    // Of a traceparent, the column of the trace says so.
    if (this.id === "" && form !== "traceparent" && !isAllZero(text)) this.isMalformed = true;
    if (this.id === "" || form !== "traceparent") return this.id !== "";
    const trace = table.traceColumn;
    const { id, bit, isMalformed } = this;
    const isOwner =
      trace !== undefined && this.find(trace, table) && trace.mask.slots[this.bit] === slot;
    this.id = id;
    this.bit = bit;
    this.isMalformed = isMalformed;
    return isOwner;
  }

  /** Text that may hold an id, or its beginning; integers in decimal, as Datadog sends them. What is neither is no id either. */
  #text(): string {
    const { bytes, json } = this.#gather;
    if (this.kind === Kind.text)
      return this.#utf8.decode(
        bytes.subarray(this.from, Math.min(this.end, this.from + ID_TEXT_MAX + 1)),
      );
    if (this.kind !== Kind.int) return "-";
    json.varint(this.from);
    return String((BigInt(json.high) << 32n) | BigInt(json.low >>> 0));
  }
}
