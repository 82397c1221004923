import { writeQuotedJsonText } from "../otlp/json-text.ts";
import { ENTRY, Group, Kind } from "../otlp/tape.ts";
import { jsonRoom } from "../otlp/value-json.ts";
import { copy } from "../wire/copy.ts";
import { SLACK } from "../wire/slack.ts";
import type { Gather } from "./gather.ts";
import { Scratch } from "./values.ts";

const COMMA = 44;
const COLON = 58;

/** Writes the value of the attribute entry as JSON inside a string. */
type WriteValue = (out: DataView, at: number, entry: number) => number;

/**
 * The attributes of a resource as members of the field `attributes`, each name with a prefix. Rendered once for all items of a group: with
 * their prefix they stand together in the order of names, unless an item has names with that prefix itself.
 */
export class ResourceJson {
  /** Bytes of the members; 0 where there is none. */
  length = 0;
  readonly #gather: Gather;
  readonly #value: WriteValue;
  readonly #prefix: Uint8Array;
  readonly #except: readonly Uint8Array[];
  readonly #members = new Scratch();
  readonly #name = new Scratch();
  /** The entries of the members, in order. */
  #entries: number[] = [];
  #entered = -1;

  constructor(
    gather: Gather,
    { prefix, except }: { readonly prefix: string; readonly except: readonly string[] },
    value: WriteValue,
  ) {
    this.#gather = gather;
    this.#value = value;
    this.#prefix = new TextEncoder().encode(prefix);
    this.#except = except.map((text) => new TextEncoder().encode(text));
  }

  /** Makes ready for the group of the present item. Uses the order of the gather. */
  prepare(): void {
    const gather = this.#gather;
    if (this.#entered === gather.entered) return;
    this.#entered = gather.entered;
    const { tape, order, group } = gather;
    const first = tape[group + Group.resourceEntries]!;
    const end = first + ENTRY * tape[group + Group.resourceCount]!;
    const list = order.begin((end - first) / ENTRY);
    for (let e = first; e < end; e += ENTRY) if (!this.#isExcepted(e)) list[order.count++] = e;
    order.sort();
    this.#entries = [];
    for (let i = 0; i < order.count; i++)
      if ((tape[list[i]!]! & 15) !== Kind.none) this.#entries.push(list[i]!);
    this.#render();
  }

  #render(): void {
    const { tape, group } = this.#gather;
    const bytes = tape[group + Group.resourceEnd]! - tape[group + Group.resourceAt]!;
    const members = this.#members;
    members.need(4 * jsonRoom(bytes) + this.#entries.length * (4 * this.#prefix.length + 64));
    let o = 0;
    for (const entry of this.#entries) o = this.#member(members.view, o, entry);
    this.length = o;
  }

  /** With a comma in front. */
  #member(out: DataView, at: number, entry: number): number {
    const length = this.#nameOf(entry);
    out.setUint8(at, COMMA);
    const o = writeQuotedJsonText(out, at + 1, this.#name.view, 0, length);
    out.setUint8(o, COLON);
    return this.#value(out, o + 1, entry);
  }

  /** Puts the name with its prefix into `#name`; returns its length. */
  #nameOf(entry: number): number {
    const { order, view } = this.#gather;
    const from = order.keyFrom(entry);
    const length = order.keyEnd(entry) - from;
    this.#name.need(this.#prefix.length + length + SLACK);
    this.#name.bytes.set(this.#prefix);
    return copy(this.#name.view, this.#prefix.length, view, from, length);
  }

  #isExcepted(entry: number): boolean {
    for (const text of this.#except) if (this.#compare(entry, text) === 0) return true;
    return false;
  }

  /** 0 where the key starts with the text, else its order to it. */
  #compare(entry: number, text: Uint8Array): number {
    const { order, bytes } = this.#gather;
    const from = order.keyFrom(entry);
    const length = Math.min(order.keyEnd(entry) - from, text.length);
    for (let i = 0; i < length; i++)
      if (bytes[from + i] !== text[i]) return bytes[from + i]! - text[i]!;
    return length - text.length;
  }

  /** Whether the name at this place of the item starts with the prefix too. */
  isPrefixed(place: number): boolean {
    return this.#compare(this.#gather.entries + place * ENTRY, this.#prefix) === 0;
  }

  /** How many of the entries at these places of the item, which are in order, stand before the members. */
  placeIn(places: Int32Array, count: number): number {
    const { entries } = this.#gather;
    let i = 0;
    while (i < count && this.#compare(entries + places[i]! * ENTRY, this.#prefix) < 0) i++;
    return i;
  }

  put(out: DataView, at: number): number {
    return copy(out, at, this.#members.view, 0, this.length);
  }

  /** The members and these entries of the item, one by one in the order of names; of equal names the item's. Rare. */
  writeMixed(out: DataView, at: number, entries: Int32Array): number {
    const { order, bytes } = this.#gather;
    const named = new Map<string, { readonly entry: number; readonly isOwn: boolean }>();
    for (const entry of this.#entries) {
      const length = this.#nameOf(entry);
      named.set(latin(this.#name.bytes, 0, length), { entry, isOwn: false });
    }
    for (const entry of entries)
      named.set(latin(bytes, order.keyFrom(entry), order.keyEnd(entry)), { entry, isOwn: true });
    let o = at;
    for (const name of [...named.keys()].sort((a, b) => (a < b ? -1 : 1))) {
      const { entry, isOwn } = named.get(name)!;
      if (!isOwn) o = this.#member(out, o, entry);
      else {
        const view = this.#gather.view;
        out.setUint8(o++, COMMA);
        o = writeQuotedJsonText(out, o, view, order.keyFrom(entry), order.keyEnd(entry));
        out.setUint8(o++, COLON);
        o = this.#value(out, o, entry);
      }
    }
    return o;
  }
}

/** Bytes as a text of the same order. */
function latin(bytes: Uint8Array, from: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, end - from).toString("latin1");
}
