import type { Batch } from "./batch.ts";
import { Group, Item, Kind, Log, LogFlags, Metric, Point, Span } from "./tape.ts";

/** Fields of an item that are read like attributes. */
export const FIELDS = [
  "body",
  "name",
  "severity",
  "trace_id",
  "span_id",
  "event_name",
  "scope_name",
  "scope_version",
] as const;
export type Builtin = (typeof FIELDS)[number];

/** Where a field's value is; `isId`: bytes that are shown as text in hex. */
export interface BuiltinValue {
  readonly kind: Kind;
  readonly at: number;
  readonly end: number;
  readonly isId: boolean;
}

/** The field of the ITEM at tape index `item`; below 0 and of kind none when it has none. */
export function builtinAt({ tape, signal }: Batch, item: number, field: Builtin): BuiltinValue {
  if (field === "trace_id" || field === "span_id") {
    const isTrace = field === "trace_id";
    const from = tape[item + (isTrace ? Item.trace : Item.span)]!;
    return text(from, from + (isTrace ? 16 : 8), true);
  }
  if (field === "scope_name") return pair(tape, tape[item + Item.group]! + Group.scopeNameAt);
  if (field === "scope_version") return pair(tape, tape[item + Item.group]! + Group.scopeVersionAt);
  const isLog = signal === "logs";
  if (field === "body" && isLog) {
    const kind = (tape[item + Item.flags]! & LogFlags.bodyKindMask) as Kind;
    return { kind, at: tape[item + Log.bodyAt]!, end: tape[item + Log.bodyEnd]!, isId: false };
  }
  if (field === "severity" && isLog) return pair(tape, item + Log.severityTextAt);
  if (field === "event_name" && isLog) return pair(tape, item + Log.eventNameAt);
  if (field === "name" && signal === "traces") return pair(tape, item + Span.nameAt);
  if (field === "name" && signal === "metrics")
    return pair(tape, tape[item + Point.metric]! + Metric.nameAt);
  return text(-1, -1, false);
}

function pair(tape: Int32Array, at: number): BuiltinValue {
  return text(tape[at]!, tape[at + 1]!, false);
}

function text(at: number, end: number, isId: boolean): BuiltinValue {
  return { kind: at < 0 ? Kind.none : Kind.text, at, end, isId };
}
