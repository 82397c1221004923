import type { Batch } from "./batch.ts";
import type { KeyId } from "./keys.ts";
import type { Kind, Signal } from "./tape.ts";

/** What an attribute may be set to. `number` that is an integer becomes a double all the same; use bigint for int64. */
export type AttributeValue = string | number | bigint | boolean | Uint8Array;

/** The attributes under a cursor. A slot is a small integer that names a value until the cursor moves; -1 is absent. */
export interface Attributes {
  /** Of duplicate keys, the last. */
  attribute(key: KeyId): number;
  /** Number of attributes; `slotAt(i)` for 0 ≤ i < count names each, deleted ones excluded. */
  readonly count: number;
  slotAt(index: number): number;
  /** Name of a slot's key. Allocates. */
  name(slot: number): string;
  kind(slot: number): Kind;
  /** Text of a slot: text as it is, numbers and booleans in shortest form, bytes as base64, arrays and maps as JSON. Allocates. */
  text(slot: number): string;
  /** The value as AttributeValue; undefined for none, arrays and maps. Allocates for text and bytes. */
  value(slot: number): AttributeValue | undefined;
  /** Adds or overwrites. */
  set(key: KeyId, value: AttributeValue): void;
  /** Gives a slot another value; it keeps its key, which need not have an id. Built-in slots stay as they are. */
  replace(slot: number, value: AttributeValue): void;
  /** Copies the value of a slot (of any kind, of this item or its resource) under `key`. */
  copy(slot: number, key: KeyId): void;
  rename(slot: number, to: KeyId): void;
  delete(slot: number): void;
}

/** A flyweight over the items of a draft. */
export interface ItemCursor extends Attributes {
  first(): boolean;
  next(): boolean;
  /** Slot of the resource's attribute: readable here, editable through `Draft.resources`. */
  resource(key: KeyId): number;
  /** Slot of a built-in field. `severity` is the text. Built-in slots are readable, not editable. */
  builtin(
    field:
      | "body"
      | "name"
      | "severity"
      | "trace_id"
      | "span_id"
      | "event_name"
      | "scope_name"
      | "scope_version",
  ): number;
  /** Logs: 1 to 24, 0 when there is none. */
  readonly severityNumber: number;
  /** Traces: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly spanKind: number;
  /** Removes the item; the graph counts it as filtered. */
  drop(reason: string): void;
}

/** A flyweight over the distinct resources of a draft. */
export interface ResourceCursor extends Attributes {
  first(): boolean;
  next(): boolean;
}

/** One pipeline's private view of a batch. Inserted values live in its own arena until `seal()`. */
export interface Draft<S extends Signal = Signal> {
  readonly signal: S;
  readonly items: ItemCursor;
  readonly resources: ResourceCursor;
  /** Items dropped so far, by reason. */
  readonly dropped: ReadonlyMap<string, number>;
  /** Drops all items but [from, to) that are not dropped yet; much quicker than one by one. */
  keepOnly(from: number, to: number, reason: string): void;
  /** Untouched: the original batch, same identity. Edited: bytes spliced once, and a tape adjusted to them. */
  seal(): Batch<S>;
}
