import type { Attributes, AttributeValue, ItemCursor, ResourceCursor } from "./draft.ts";
import { DELETED, type Edits, firstGroup, groupOf, nextItem } from "./edits.ts";
import type { KeyId } from "./keys.ts";
import {
  ENTRY,
  Group,
  ITEM_HEADER,
  Item,
  Kind,
  Log,
  LogFlags,
  Metric,
  NodeType,
  Point,
  Span,
} from "./tape.ts";
import { describe, payloadAt, valueAt, wrapAnyValue, writeAnyValue } from "./values.ts";

/** Slots: a tape index for entries on the tape; these plus a row or a field number for the others. */
const ADDED = 0x4000_0000;
const BUILTIN = 0x2000_0000;
const FIELDS = ["body", "name", "severity", "trace_id", "span_id", "event_name"] as const;
type Builtin = (typeof FIELDS)[number];

/** A value by position: its payload in some memory. */
interface Located {
  readonly kind: Kind;
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
}

const NONE: Located = { kind: Kind.none, bytes: new Uint8Array(0), at: 0, end: 0 };

/** The attributes of one owner: an item or a resource. */
class EditedAttributes implements Attributes {
  protected readonly edits: Edits;
  /** Tape index of the owner's first entry, and how many the tape has. */
  protected from = 0;
  protected total = 0;
  /** See Edits.touch. */
  protected owner = 0;
  /** Where `slotAt` was last: index → entry. Reset by every move and edit. */
  #index = -1;
  #slot = -1;

  constructor(edits: Edits) {
    this.edits = edits;
  }

  protected moved(): void {
    this.#index = -1;
  }

  attribute(key: KeyId): number {
    return this.find(key, this.from, this.total, this.owner);
  }

  protected find(key: KeyId, from: number, total: number, owner: number): number {
    const { edits } = this;
    let found = -1;
    for (let row = edits.firstRow(owner); row !== 0; row = edits.rows[row]!)
      if (edits.rows[row + 1]! >= 0 && edits.rows[row + 1]! >>> 4 === key) found = ADDED + row;
    if (found >= 0) return found;
    const { tape } = edits;
    for (let e = from + (total - 1) * ENTRY; e >= from; e -= ENTRY) {
      const head = tape[e]!;
      if (head >>> 4 === key && head >= 0) return e;
      if (head >>> 4 === 0 && edits.hasKey(e, key)) return e;
    }
    return -1;
  }

  get count(): number {
    let count = 0;
    for (let slot = this.#after(-1); slot >= 0; slot = this.#after(slot)) count++;
    return count;
  }

  slotAt(index: number): number {
    if (this.#index < 0 || index < this.#index) {
      this.#index = 0;
      this.#slot = this.#after(-1);
    }
    for (; this.#index < index && this.#slot >= 0; this.#index++)
      this.#slot = this.#after(this.#slot);
    return this.#slot;
  }

  /** The slot behind `slot` (−1: the first), deleted ones excluded; −1 at the end. */
  #after(slot: number): number {
    const { edits } = this;
    const end = this.from + this.total * ENTRY;
    if (slot < ADDED) {
      for (let e = slot < 0 ? this.from : slot + ENTRY; e < end; e += ENTRY)
        if (edits.tape[e]! !== DELETED) return e;
    }
    let row = slot < ADDED ? edits.firstRow(this.owner) : edits.rows[slot - ADDED]!;
    while (row !== 0 && edits.rows[row + 1] === DELETED) row = edits.rows[row]!;
    return row === 0 ? -1 : ADDED + row;
  }

  name(slot: number): string {
    if (slot < 0) return "";
    if (slot >= ADDED)
      return this.edits.keys.name((this.edits.rows[slot - ADDED + 1]! >>> 4) as KeyId);
    if (slot >= BUILTIN) return FIELDS[slot - BUILTIN] ?? "";
    return this.edits.nameOf(slot);
  }

  kind(slot: number): Kind {
    return this.locate(slot).kind;
  }

  text(slot: number): string {
    const { kind, bytes, at, end } = this.locate(slot);
    return describe(kind, bytes, at, end);
  }

  value(slot: number): AttributeValue | undefined {
    const { kind, bytes, at, end } = this.locate(slot);
    return valueAt(kind, bytes, at, end);
  }

  protected locate(slot: number): Located {
    if (slot < 0) return NONE;
    const { edits } = this;
    const { tape, rows, batch } = edits;
    if (slot >= ADDED) {
      const row = slot - ADDED;
      return this.#inArena(rows[row + 1]!, rows[row + 2]!, rows[row + 3]!);
    }
    const head = tape[slot]!;
    if (head === DELETED) return NONE;
    if (tape[slot + 2]! < 0) return this.#inArena(head, -1 - tape[slot + 2]!, tape[slot + 3]!);
    const kind = (head & 15) as Kind;
    return { kind, bytes: batch.bytes, at: tape[slot + 2]!, end: tape[slot + 3]! };
  }

  #inArena(head: number, from: number, end: number): Located {
    if (head === DELETED) return NONE;
    const { bytes } = this.edits.arena;
    return { kind: (head & 15) as Kind, bytes, at: payloadAt(bytes, from, end), end };
  }

  set(key: KeyId, value: AttributeValue): void {
    const { arena } = this.edits;
    const from = arena.length;
    const kind = writeAnyValue(arena, value);
    this.#put(key, kind, from);
  }

  copy(slot: number, key: KeyId): void {
    const { kind, bytes, at, end } = this.locate(slot);
    if (slot < 0) return;
    const { arena } = this.edits;
    const payload = bytes.slice(at, end);
    const from = arena.length;
    wrapAnyValue(arena, kind, payload);
    this.#put(key, kind, from);
  }

  /** The AnyValue that the arena holds from `from` on becomes the value of `key`. */
  #put(key: KeyId, kind: Kind, from: number): void {
    const { edits } = this;
    const head = (key << 4) | kind;
    const slot = this.attribute(key);
    this.moved();
    if (slot < 0) {
      edits.add(this.owner, head, from, edits.arena.length);
      return;
    }
    edits.touch(this.owner);
    if (slot >= ADDED) {
      const row = slot - ADDED;
      edits.rows[row + 1] = head;
      edits.rows[row + 2] = from;
      edits.rows[row + 3] = edits.arena.length;
      return;
    }
    const { tape } = edits;
    tape[slot] = (tape[slot]! & ~15) | kind;
    tape[slot + 2] = -1 - from;
    tape[slot + 3] = edits.arena.length;
  }

  rename(slot: number, to: KeyId): void {
    if (slot < 0 || (slot >= BUILTIN && slot < ADDED)) return;
    const { edits } = this;
    for (let old = this.attribute(to); old >= 0; old = this.attribute(to)) {
      if (old === slot) return;
      this.delete(old);
    }
    this.moved();
    edits.touch(this.owner);
    if (slot >= ADDED) {
      const at = slot - ADDED + 1;
      edits.rows[at] = (to << 4) | (edits.rows[at]! & 15);
    } else edits.tape[slot] = (to << 4) | (edits.tape[slot]! & 15);
  }

  delete(slot: number): void {
    if (slot < 0 || (slot >= BUILTIN && slot < ADDED)) return;
    this.moved();
    this.edits.touch(this.owner);
    if (slot >= ADDED) this.edits.rows[slot - ADDED + 1] = DELETED;
    else this.edits.tape[slot] = DELETED;
  }
}

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
    this.moved();
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
    const { at, kind } = this.#builtin(field);
    return at < 0 && kind === Kind.none ? -1 : slot;
  }

  drop(reason: string): void {
    this.edits.drop(this.owner, reason);
  }

  protected override locate(slot: number): Located {
    if (slot < BUILTIN || slot >= ADDED) return super.locate(slot);
    const { kind, at, end, isId } = this.#builtin(FIELDS[slot - BUILTIN] as Builtin);
    const { bytes } = this.edits.batch;
    if (!isId || at < 0) return { kind, bytes, at, end };
    const hex = Buffer.from(Buffer.from(bytes.subarray(at, end)).toString("hex"));
    return { kind, bytes: hex, at: 0, end: hex.length };
  }

  /** Where a built-in field is; ids are shown as text in hex. */
  #builtin(field: Builtin): { kind: Kind; at: number; end: number; isId: boolean } {
    const { tape, batch } = this.edits;
    const at = this.#at;
    if (field === "trace_id" || field === "span_id") {
      const isTrace = field === "trace_id";
      const from = tape[at + (isTrace ? Item.trace : Item.span)]!;
      return { ...text(from, from + (isTrace ? 16 : 8)), isId: true };
    }
    const isLog = batch.signal === "logs";
    if (field === "body" && isLog) {
      const kind = (tape[at + Item.flags]! & LogFlags.bodyKindMask) as Kind;
      return { kind, at: tape[at + Log.bodyAt]!, end: tape[at + Log.bodyEnd]!, isId: false };
    }
    if (field === "severity" && isLog) return pair(tape, at + Log.severityTextAt);
    if (field === "event_name" && isLog) return pair(tape, at + Log.eventNameAt);
    if (field === "name" && batch.signal === "traces") return pair(tape, at + Span.nameAt);
    if (field === "name" && batch.signal === "metrics")
      return pair(tape, tape[at + Point.metric]! + Metric.nameAt);
    return { ...text(-1, -1), isId: false };
  }
}

function pair(tape: Int32Array, at: number) {
  return { ...text(tape[at]!, tape[at + 1]!), isId: false };
}

function text(at: number, end: number) {
  return { kind: at < 0 ? Kind.none : Kind.text, at, end };
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
    this.moved();
    if (at >= tape.length) return false;
    this.from = tape[at + Group.resourceEntries]!;
    this.total = tape[at + Group.resourceCount]!;
    this.owner = -1 - at;
    return true;
  }
}
