import type { Batch } from "../otlp/batch.ts";
import {
  Group,
  ENTRY as ImportedEntry,
  Item as ImportedItem,
  ITEM_HEADER as ImportedItemHeader,
  Kind as ImportedKind,
  Log as ImportedLog,
  LogFlags as ImportedLogFlags,
} from "../otlp/tape.ts";
import { JsonWriter } from "../otlp/value-json.ts";
import { WORD as ImportedWord, type Plan } from "./compile.ts";
import { EntryShapes } from "./entry-shapes.ts";
import type { Uses } from "./masks.ts";
import { KeyOrder } from "./order.ts";
import { KEY as ImportedKey, SLOT as ImportedSlot, type Program } from "./program.ts";
import { Part as ImportedPart, SlotKind as ImportedSlotKind, PARTS } from "./slots.ts";
import { SpanJson } from "./span-json.ts";
import { SpanParts } from "./span-parts.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const ENTRY = ImportedEntry;
const ITEM_HEADER = ImportedItemHeader;
const Item = ImportedItem;
const Kind = ImportedKind;
const Log = ImportedLog;
const LogFlags = ImportedLogFlags;
const KEY = ImportedKey;
const SLOT = ImportedSlot;
const Part = ImportedPart;
const SlotKind = ImportedSlotKind;
const WORD = ImportedWord;
const NOTHING = new Uint8Array(16);
/** Beside the bits of parts: the body is an empty text. */
const EMPTY_BODY = 1 << 31;

/**
 * The sources of one item, found in one pass over its attribute entries: a slot for each name and place, and for each column a
 * mask of the sources that are present, the first in bit 0. What the resource contributes is a template that each item starts from.
 */
export class Gather {
  readonly plan: Plan;
  readonly masks: Int32Array;
  /** Kind, start and end of the value of each slot; what no mask names may be of an earlier item. */
  readonly slots: Int32Array;
  /** Both, one behind the other: a loop that reads both is shorter by what V8 checks of an array. */
  readonly ints: Int32Array;
  bytes: Uint8Array = NOTHING;
  view: DataView = new DataView(NOTHING.buffer);
  tape: Int32Array = new Int32Array(0);
  readonly json = new JsonWriter();
  readonly spanJson = new SpanJson(this.json);
  readonly order = new KeyOrder();
  /** Tape index of the item, of its first entry, and behind its last. */
  at = 0;
  entries = 0;
  entriesEnd = 0;
  severity = 0;
  /** Number of the span's kind and of its status code; 0 for log records. */
  spanKind = 0;
  spanStatus = 0;
  /** Whether the span has a name, which is then in its slot. */
  hasName = false;
  /** Bytes that its events and links may take as JSON in a row; 0 where it has none. */
  jsonRoom = 0;
  /** Bit t: some attribute is not declared by table t. */
  undeclared = 0;
  /** Entry of `weir.tags`, `weir.uint`; -1 is none. */
  lineTags = -1;
  lineUint = -1;
  /** Bytes of the item and of its resource and scope name. */
  length = 0;
  /** Whether some value may become JSON or base64, which takes more room. */
  isOdd = false;
  readonly #program: Program;
  readonly #span: SpanParts | undefined;
  /** Bits of the parts that some column takes: the others tell no shapes apart. */
  readonly #usedParts: number;
  #resourceOdd = false;
  #resourceLength = 0;
  /** The masks by two, as which they are copied. */
  readonly maskWords: BigInt64Array;
  readonly shapes: EntryShapes;
  readonly #template: Int32Array;
  readonly #templateWords: BigInt64Array;
  /** The template as it was when the version grew: that of groups that start from the same. */
  readonly #versionOf: BigInt64Array;
  #version = 0;
  #batch: Batch | undefined;
  /** Tape index of the group that the template is of, and how many were entered so far. */
  group = -1;
  entered = 0;

  constructor(plan: Plan, program: Program) {
    this.plan = plan;
    this.#program = program;
    this.#span = plan.signal === "traces" ? new SpanParts(this) : undefined;
    const { slotsAt, slots } = program;
    this.ints = new Int32Array(slotsAt + slots);
    this.masks = this.ints.subarray(0, slotsAt);
    this.slots = this.ints.subarray(slotsAt);
    this.maskWords = new BigInt64Array(this.ints.buffer, 0, slotsAt / 2);
    this.#template = new Int32Array(slotsAt);
    this.#templateWords = new BigInt64Array(this.#template.buffer);
    this.#versionOf = new BigInt64Array(slotsAt / 2);
    this.shapes = new EntryShapes(this, program);
    const { start } = plan.partUses;
    let used = EMPTY_BODY;
    for (let part = 0; part < PARTS; part++) if (start[part + 1]! > start[part]!) used |= 1 << part;
    this.#usedParts = used;
  }

  open(batch: Batch): void {
    if (this.#batch === batch) return;
    this.#batch = batch;
    this.group = -1;
    this.bytes = batch.bytes;
    this.view = batch.view;
    this.tape = batch.tape;
    this.json.reset(batch.bytes, batch.view);
    this.order.reset(batch.bytes, batch.view, batch.tape);
  }

  /** Lets go of the last batch. */
  close(): void {
    this.#batch = undefined;
    this.bytes = NOTHING;
    this.view = new DataView(NOTHING.buffer);
    this.tape = new Int32Array(0);
    this.json.reset(this.bytes, this.view);
    this.order.reset(this.bytes, this.view, this.tape);
  }

  /** Whether the item may have an attribute that the table does not declare. */
  hasUndeclared(table: number): boolean {
    return table >= WORD || ((this.undeclared >>> table) & 1) === 1;
  }

  /** Moves to the item whose node is at tape index `at`. */
  item(at: number): void {
    const tape = this.tape;
    const group = tape[at + Item.group]!;
    if (group !== this.group) this.#enter(group);
    this.at = at;
    this.length = this.#resourceLength + tape[at + Item.end]! - tape[at + Item.at]!;
    this.entries = at + ITEM_HEADER;
    this.entriesEnd = this.entries + ENTRY * tape[at + Item.attributes]!;
    if (this.#isLine(at)) return;
    this.isOdd = this.#resourceOdd;
    const span = this.#span;
    const present = span === undefined ? this.#logParts(at) : span.read(at);
    const parts = present & this.#usedParts;
    if (this.shapes.find(parts, this.#version)) {
      this.lineTags = -1;
      this.lineUint = -1;
    } else this.#look(parts);
    if ((present & (1 << Part.events)) !== 0) span?.exception(at);
  }

  /** An item of a shape that is not known. */
  #look(parts: number): void {
    const words = this.maskWords;
    const template = this.#templateWords;
    for (let i = 0; i < words.length; i++) words[i] = template[i]!;
    const { masks } = this;
    const { partUses, uses } = this.#program;
    for (let rest = parts & ~EMPTY_BODY; rest !== 0; rest &= rest - 1) {
      const part = 31 - Math.clz32(rest & -rest);
      const stop = partUses[part + 1]!;
      for (let u = partUses[part]!; u < stop; u += 2) masks[uses[u]!]! |= uses[u + 1]!;
    }
    if ((parts & EMPTY_BODY) !== 0) this.#emptyBody();
    const isOdd = this.#attributes();
    if (isOdd) this.isOdd = true;
    this.shapes.learn(parts, this.#version, isOdd);
  }

  /**
   * Whether it is an item as the door writes it for a line, with `weir.tags` or `weir.uint` last: its row needs nothing but its
   * entries, so masks and slots stay those of an earlier item.
   */
  #isLine(at: number): boolean {
    const { tape, entries, entriesEnd } = this;
    const { lineTags, lineUint, nameAt } = this.plan;
    if (entries === entriesEnd) return false;
    const last = tape[entriesEnd - ENTRY]! >>> 4;
    if (last !== lineTags && last !== lineUint) return false;
    if (tape[at + nameAt + 1]! <= tape[at + nameAt]!) return false;
    this.lineTags = -1;
    this.lineUint = -1;
    for (let e = entries; e < entriesEnd; e += ENTRY) {
      const key = tape[e]! >>> 4;
      if (key === lineTags) this.lineTags = e;
      else if (key === lineUint) this.lineUint = e;
    }
    if (this.lineTags < 0) return false;
    this.isOdd = true;
    this.undeclared = -1;
    return true;
  }

  /** What the log record itself has: bits of its parts. */
  #logParts(at: number): number {
    const tape = this.tape;
    const flags = tape[at + Item.flags]!;
    const bodyKind = flags & LogFlags.bodyKindMask;
    let parts = 0;
    if (bodyKind !== Kind.none) {
      if (bodyKind > Kind.double) this.isOdd = true;
      const from = tape[at + Log.bodyAt]!;
      const end = tape[at + Log.bodyEnd]!;
      parts |= this.part(Part.body, bodyKind, from, end);
      if (bodyKind === Kind.text && from === end) parts |= EMPTY_BODY;
    }
    this.severity = (flags >>> LogFlags.severityShift) & LogFlags.severityMask;
    if (this.severity > 0)
      parts |= this.part(Part.severity_number, SlotKind.small, this.severity, 0);
    const text = tape[at + Log.severityTextAt]!;
    const textEnd = tape[at + Log.severityTextEnd]!;
    if (text >= 0 && textEnd > text)
      parts |= this.part(Part.severity_text, Kind.text, text, textEnd);
    const name = tape[at + Log.eventNameAt]!;
    const nameEnd = tape[at + Log.eventNameEnd]!;
    if (name >= 0 && nameEnd > name) parts |= this.part(Part.event_name, Kind.text, name, nameEnd);
    const trace = tape[at + Item.trace]!;
    if (trace >= 0) parts |= this.part(Part.trace_id, SlotKind.hex, trace, trace + 16);
    const span = tape[at + Item.span]!;
    if (span >= 0) parts |= this.part(Part.span_id, SlotKind.hex, span, span + 8);
    return parts;
  }

  /** Fills the slot of a part; returns its bit. */
  part(part: number, kind: number, from: number, end: number): number {
    const { slots } = this;
    const slot = part * SLOT;
    slots[slot] = kind;
    slots[slot + 1] = from;
    slots[slot + 2] = end;
    return 1 << part;
  }

  /** A body of empty text counts as absent for some columns. */
  #emptyBody(): void {
    const { masks } = this;
    const { partUses, uses } = this.#program;
    const { wantsText } = this.plan;
    for (let u = partUses[Part.body]!; u < partUses[Part.body + 1]!; u += 2)
      if (wantsText[uses[u]!] === 1) masks[uses[u]!]! &= ~uses[u + 1]!;
  }

  /**
   * Without a branch on what the key is: keys that no column takes go to a slot and a column of their own. Says whether some value may
   * become JSON or base64.
   */
  #attributes(): boolean {
    const { tape, masks, slots } = this;
    const { keys, uses, noSlot, tagsSlot, uintSlot } = this.#program;
    const end = this.entriesEnd;
    slots[tagsSlot + 3] = -1;
    slots[uintSlot + 3] = -1;
    let undeclared = 0;
    let most = 0;
    for (let e = this.entries; e < end; e += ENTRY) {
      const kind = tape[e]! & 15;
      const key = (tape[e]! >>> 4) * KEY;
      undeclared |= ~keys[key]!;
      if (kind > most) most = kind;
      const slot = keys[key + 1]! + noSlot;
      const valueAt = tape[e + 2]!;
      const valueEnd = tape[e + 3]!;
      slots[slot] = kind;
      slots[slot + 1] = valueAt;
      slots[slot + 2] = valueEnd;
      slots[slot + 3] = e;
      if (kind <= Kind.text && (kind === Kind.none || valueAt === valueEnd)) {
        this.use(this.plan.recordUses, tape[e]! >>> 4, masks, kind, 0);
        continue;
      }
      let u = keys[key + 2]!;
      const stop = keys[key + 3]!;
      masks[uses[u]!]! |= uses[u + 1]!;
      masks[uses[u + 2]!]! |= uses[u + 3]!;
      for (u += 4; u < stop; u += 2) masks[uses[u]!]! |= uses[u + 1]!;
    }
    this.undeclared = undeclared;
    this.lineTags = slots[tagsSlot + 3]!;
    this.lineUint = slots[uintSlot + 3]!;
    return most > Kind.double;
  }

  set(slot: number, kind: number, from: number, end: number): void {
    const slots = this.slots;
    const at = slot * SLOT;
    slots[at] = kind;
    slots[at + 1] = from;
    slots[at + 2] = end;
  }

  /** Sets or, for a value that counts as absent, clears the bits of a key: of duplicates, the last holds. */
  use(uses: Uses, key: number, masks: Int32Array, kind: number, length: number): void {
    const { start, mask, bit } = uses;
    const stop = start[key + 1]!;
    if (kind > Kind.text || (kind === Kind.text && length > 0)) {
      for (let u = start[key]!; u < stop; u++) masks[mask[u]!]! |= bit[u]!;
      return;
    }
    const wantsText = this.plan.wantsText;
    for (let u = start[key]!; u < stop; u++) {
      const m = mask[u]!;
      if (kind === Kind.none || wantsText[m] === 1) masks[m]! &= ~bit[u]!;
      else masks[m]! |= bit[u]!;
    }
  }

  /** The template of a group: its resource's attributes and its scope's name. */
  #enter(group: number): void {
    this.group = group;
    this.entered++;
    const tape = this.tape;
    const { resourceSlot, resourceUses } = this.plan;
    const template = this.#template;
    template.fill(0);
    this.#resourceOdd = false;
    const first = tape[group + Group.resourceEntries]!;
    const end = first + ENTRY * tape[group + Group.resourceCount]!;
    for (let e = first; e < end; e += ENTRY) {
      const key = tape[e]! >>> 4;
      const slot = resourceSlot[key]!;
      if (slot < 0) continue;
      const kind = tape[e]! & 15;
      if (kind > Kind.double) this.#resourceOdd = true;
      this.set(slot, kind, tape[e + 2]!, tape[e + 3]!);
      this.use(resourceUses, key, template, kind, tape[e + 3]! - tape[e + 2]!);
    }
    const name = tape[group + Group.scopeNameAt]!;
    const nameEnd = tape[group + Group.scopeNameEnd]!;
    this.#resourceLength = Math.max(
      0,
      tape[group + Group.resourceEnd]! - tape[group + Group.resourceAt]!,
    );
    if (name >= 0 && nameEnd > name) {
      this.#resourceLength += nameEnd - name;
      this.set(Part.scope_name, Kind.text, name, nameEnd);
      const { start, mask, bit } = this.plan.partUses;
      for (let u = start[Part.scope_name]!; u < start[Part.scope_name + 1]!; u++)
        template[mask[u]!]! |= bit[u]!;
    }
    const words = this.#templateWords;
    const known = this.#versionOf;
    let same = 0;
    while (same < words.length && words[same] === known[same]) same++;
    if (same === words.length) return;
    known.set(words);
    this.#version++;
  }
}
