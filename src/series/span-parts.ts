import {
  Item as ImportedItem,
  Kind as ImportedKind,
  Span as ImportedSpan,
  SpanFlags as ImportedSpanFlags,
} from "../otlp/tape.ts";
import type { Gather } from "./gather.ts";
import { Part as ImportedPart, SlotKind as ImportedSlotKind } from "./slots.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const Item = ImportedItem;
const Kind = ImportedKind;
const Span = ImportedSpan;
const SpanFlags = ImportedSpanFlags;
const Part = ImportedPart;
const SlotKind = ImportedSlotKind;
/** Kinds and status codes above these are from the future, and count as unspecified and unset. */
const KIND_MAX = 5;
const STATUS_MAX = 2;
const EXCEPTION = new TextEncoder().encode("exception");

/** Puts what a span itself has into the slots of a Gather. */
export class SpanParts {
  readonly #gather: Gather;
  constructor(gather: Gather) {
    this.#gather = gather;
  }

  /** Bits of the parts that the span has. */
  read(at: number): number {
    const gather = this.#gather;
    const { tape, plan } = gather;
    const flags = tape[at + Item.flags]!;
    const kind = flags & SpanFlags.kindMask;
    const status = (flags >>> SpanFlags.statusShift) & SpanFlags.statusMask;
    gather.spanKind = kind > KIND_MAX ? 0 : kind;
    gather.spanStatus = status > STATUS_MAX ? 0 : status;
    const { at: word, length } = plan.kindWords[gather.spanKind]!;
    let parts = gather.part(Part.kind, SlotKind.constant, word, word + length);
    const { at: code, length: codeLength } = plan.statusWords[gather.spanStatus]!;
    parts |= gather.part(Part.status, SlotKind.constant, code, code + codeLength);
    gather.hasName = tape[at + Span.nameAt]! >= 0;
    gather.jsonRoom = 0;
    parts |= this.#text(Part.name, tape[at + Span.nameAt]!, tape[at + Span.nameEnd]!);
    const message = tape[at + Span.statusMessageAt]!;
    parts |= this.#text(Part.status_message, message, tape[at + Span.statusMessageEnd]!);
    const trace = tape[at + Item.trace]!;
    if (trace >= 0) parts |= gather.part(Part.trace_id, SlotKind.hex, trace, trace + 16);
    const span = tape[at + Item.span]!;
    if (span >= 0) parts |= gather.part(Part.span_id, SlotKind.hex, span, span + 8);
    const parent = tape[at + Span.parent]!;
    if (parent >= 0) parts |= gather.part(Part.parent_span_id, SlotKind.hex, parent, parent + 8);
    parts |= this.#duration(tape[at + Item.time]!, tape[at + Span.endTime]!);
    const rare = SpanFlags.hasEvents | SpanFlags.hasLinks | SpanFlags.hasTraceState;
    return (flags & rare) === 0 ? parts : parts | this.#rare(at, flags);
  }

  #text(part: number, from: number, end: number): number {
    return from >= 0 && end > from ? this.#gather.part(part, Kind.text, from, end) : 0;
  }

  /** Absent where a time is, or where the end is before the start. */
  #duration(start: number, end: number): number {
    if (start < 0 || end < 0) return 0;
    const gather = this.#gather;
    const { view } = gather;
    const startLow = view.getUint32(start, true);
    const endLow = view.getUint32(end, true);
    const borrow = endLow < startLow ? 1 : 0;
    const high = view.getUint32(end + 4, true) - view.getUint32(start + 4, true) - borrow;
    if (high < 0) return 0;
    const low = (endLow - startLow) | 0;
    return (
      gather.part(Part.duration_ms, SlotKind.millis, low, high | 0) |
      gather.part(Part.duration_s, SlotKind.seconds, low, high | 0) |
      gather.part(Part.duration_ns, SlotKind.nanos, low, high | 0) |
      gather.part(Part.duration_whole_ms, SlotKind.wholeMillis, low, high | 0)
    );
  }

  #rare(at: number, flags: number): number {
    const gather = this.#gather;
    const from = gather.tape[at + Item.at]!;
    const end = gather.tape[at + Item.end]!;
    gather.jsonRoom = 2 * gather.spanJson.room(from, end);
    let parts = 0;
    if ((flags & SpanFlags.hasLinks) !== 0)
      parts |= gather.part(Part.links, SlotKind.links, from, end);
    if ((flags & SpanFlags.hasTraceState) !== 0) parts |= this.#traceState(from, end);
    if ((flags & SpanFlags.hasEvents) !== 0)
      parts |= gather.part(Part.events, SlotKind.events, from, end);
    return parts;
  }

  #traceState(from: number, end: number): number {
    const { bytes, json } = this.#gather;
    let part = 0;
    for (let p = from; p < end; ) {
      const isState = bytes[p] === 0x1a; // Span.trace_state
      p = json.field(p, end);
      if (isState) part |= this.#text(Part.trace_state, json.at, p);
    }
    return part;
  }

  /** Attributes of the first event that is called exception; once the masks of the item are filled. */
  exception(at: number): void {
    const { bytes, json, plan, tape } = this.#gather;
    if (plan.eventNames.length === 0) return;
    const end = tape[at + Item.end]!;
    for (let p = tape[at + Item.at]!; p < end; ) {
      const isEvent = bytes[p] === 0x5a; // Span.events
      p = json.field(p, end);
      if (!isEvent) continue;
      const event = json.at;
      if (!this.#isException(event, p)) continue;
      for (let q = event; q < p; ) {
        const isAttribute = bytes[q] === 0x1a; // Span.Event.attributes
        q = json.field(q, p);
        if (isAttribute) this.#attribute(json.at, q);
      }
      return;
    }
  }

  #isException(from: number, end: number): boolean {
    const { bytes, json } = this.#gather;
    let is = false;
    for (let p = from; p < end; ) {
      const isName = bytes[p] === 0x12; // Span.Event.name
      p = json.field(p, end);
      if (isName) is = this.#isText(json.at, p, EXCEPTION, 0, EXCEPTION.length);
    }
    return is;
  }

  #isText(from: number, end: number, of: Uint8Array, at: number, length: number): boolean {
    const { bytes } = this.#gather;
    if (end - from !== length) return false;
    let i = 0;
    while (i < length && bytes[from + i] === of[at + i]) i++;
    return i === length;
  }

  /** A KeyValue of the event. */
  #attribute(from: number, end: number): void {
    const gather = this.#gather;
    const { json, plan, masks } = gather;
    const keyEnd = json.field(from, end);
    const keyFrom = json.at;
    const constants = plan.constants.bytes;
    for (let i = 0; i < plan.eventNames.length; i++) {
      const { at, length } = plan.eventNames[i]!;
      if (!this.#isText(keyFrom, keyEnd, constants, at, length)) continue;
      let kind: number = Kind.none;
      let valueEnd = keyEnd;
      if (keyEnd < end && gather.bytes[keyEnd] === 0x12) {
        valueEnd = json.field(keyEnd, end);
        kind = json.kindOf(json.at, valueEnd);
      }
      if (kind > Kind.double) gather.isOdd = true;
      gather.set(plan.eventSlots[i]!, kind, json.at, json.end);
      gather.use(plan.eventUses, i, masks, kind, json.end - json.at);
      return;
    }
  }
}
