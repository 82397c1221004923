import { type Builtin, builtinAt, FIELDS } from "./builtins.ts";
import type { ItemCursor, ResourceCursor } from "./draft.ts";
import { ADDED, BUILTIN, EditedAttributes, type Located } from "./edited-attributes.ts";
import { firstGroup, groupOf, nextItem } from "./edits.ts";
import type { KeyId } from "./keys.ts";
import { Group, ITEM_HEADER, Item, Kind, LogFlags, NodeType, SpanFlags } from "./tape.ts";

/** See ItemCursor. */
export class Items extends EditedAttributes implements ItemCursor {
  #at = -1;

  first(): boolean {
    this.owner = 0;
    return this.#to(nextItem(this.edits.tape, 0));
  }

  next(): boolean {
    const { tape } = this.edits;
    if (this.#at < 0) return this.first();
    if (this.#at >= tape.length) return false;
    this.owner++;
    return this.#to(nextItem(tape, this.#at + (tape[this.#at]! >>> 2)));
  }

  /** Stands on the ITEM at `at`, or on the first one behind it that was not dropped. */
  #to(at: number): boolean {
    const { edits } = this;
    const { tape } = edits;
    while (at < tape.length && edits.isDropped(this.owner)) {
      this.owner++;
      at = nextItem(tape, at + (tape[at]! >>> 2));
    }
    this.#at = at;
    this.moved(at < tape.length && !edits.isTouched(this.owner));
    if (at >= tape.length) return false;
    this.from = at + ITEM_HEADER;
    this.total = tape[at + Item.attributes]!;
    return true;
  }

  resource(key: KeyId): number {
    const { tape } = this.edits;
    const group = groupOf(tape, this.#at);
    const from = tape[group + Group.resourceEntries]!;
    return this.find(key, from, tape[group + Group.resourceCount]!, -1 - firstGroup(tape, group));
  }

  builtin(field: Builtin): number {
    const slot = BUILTIN + FIELDS.indexOf(field);
    const { at, kind } = builtinAt(this.edits.batch, this.#at, field);
    return at < 0 && kind === Kind.none ? -1 : slot;
  }

  get severityNumber(): number {
    const { tape, batch } = this.edits;
    const flags = batch.signal === "logs" ? tape[this.#at + Item.flags]! : 0;
    return (flags >>> LogFlags.severityShift) & LogFlags.severityMask;
  }

  get spanKind(): number {
    const { tape, batch } = this.edits;
    return batch.signal === "traces" ? tape[this.#at + Item.flags]! & SpanFlags.kindMask : 0;
  }

  drop(reason: string): void {
    this.edits.drop(this.owner, reason);
  }

  protected override locate(slot: number): Located {
    if (slot < BUILTIN || slot >= ADDED) return super.locate(slot);
    const { batch } = this.edits;
    const { bytes } = batch;
    const field = FIELDS[slot - BUILTIN] as Builtin;
    const { kind, at, end, isId } = builtinAt(batch, this.#at, field);
    if (!isId || at < 0) return { kind, bytes, at, end };
    const hex = Buffer.from(Buffer.from(bytes.subarray(at, end)).toString("hex"));
    return { kind, bytes: hex, at: 0, end: hex.length };
  }
}

/** See ResourceCursor. */
export class Resources extends EditedAttributes implements ResourceCursor {
  #at = -1;

  first(): boolean {
    return this.#to(0);
  }

  next(): boolean {
    const { tape } = this.edits;
    if (this.#at < 0) return this.first();
    return this.#at < tape.length && this.#to(this.#at + (tape[this.#at]! >>> 2));
  }

  /** Stands on the next GROUP from `at` on that is the first of its resource. */
  #to(at: number): boolean {
    const { tape } = this.edits;
    while (at < tape.length && !((tape[at]! & 3) === NodeType.group && firstGroup(tape, at) === at))
      at += tape[at]! >>> 2;
    this.#at = at;
    this.moved(false);
    if (at >= tape.length) return false;
    this.from = tape[at + Group.resourceEntries]!;
    this.total = tape[at + Group.resourceCount]!;
    this.owner = -1 - at;
    return true;
  }
}
