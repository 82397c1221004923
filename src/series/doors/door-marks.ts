import { AnyValue, KeyValue } from "../../otlp/tags.gen.ts";
import { withSlack } from "../../wire/slack.ts";

/** Attributes by which an item remembers how its line looked, those that every line has first. */
export const LINE_MARKS = ["weir.tags", "weir.uint", "weir.trace_id", "weir.span_id"] as const;

/** Bytes that are copied as they are, with SLACK behind them. */
export interface Constant {
  readonly view: DataView;
  readonly length: number;
}

export function constant(bytes: Uint8Array): Constant {
  const roomy = withSlack(Uint8Array.from(bytes));
  const view = new DataView(roomy.buffer, roomy.byteOffset, roomy.byteLength);
  return { view, length: bytes.length };
}

/**
 * The attribute that says of an id that the row of its item must not get it: `name` = true, with `tag` as the field of the item's
 * attributes. It stands before `weir.tags`, by whose place items that were lines are known.
 */
export function madeMark(name: "weir.trace_id" | "weir.span_id", tag: number): Constant {
  const key = Buffer.from(name);
  const value = [KeyValue.value, 2, AnyValue.bool_value, 1];
  const pair = [KeyValue.key, key.length, ...key, ...value];
  return constant(Uint8Array.from([tag, pair.length, ...pair]));
}
