import { KEY_CAPACITY } from "../../otlp/key-table.ts";
import { ENTRY, Entry, Group, Kind } from "../../otlp/tape.ts";
import type { JsonWriter } from "../../otlp/value-json.ts";
import type { Labels } from "./labels.ts";
import { LeftOut, LeftOuts } from "./left-out.ts";
import { GrowingMemory, longer } from "./memory.ts";
import { KEY, Key, type MetadataNames, Use } from "./names.ts";
import { PairWriter } from "./pairs.ts";
import { isEmpty } from "./values.ts";

/** Ints of a pair. */
const PAIR = 4;
const Pair = { at: 0, length: 1, size: 2, number: 3 } as const;
const NONE = -1;

/**
 * Structured metadata that all records of a resource and scope have: written once, copied into each entry. Also finds what of the
 * resource are labels.
 */
export class GroupBlock {
  /** Bytes and pairs of the block, and names and values together. */
  length = 0;
  pairs = 0;
  size = 0;
  /** Entry of the resource's attribute `level`, or -1. */
  level = NONE;
  /** The block itself: a view that is made once, because one per record would cost more than the copy. */
  whole: Uint8Array = new Uint8Array(0);
  /** What every record misses because the block does. */
  readonly leftOuts = new LeftOuts();
  /** `stamp`, by number of a name that is in the block. */
  readonly numbers: Int32Array;
  stamp = 0;
  readonly #names: MetadataNames;
  readonly #labels: Labels;
  readonly #json: JsonWriter;
  readonly #writer: PairWriter;
  readonly #most: number;
  #pairInts = new Int32Array(64 * PAIR);
  /** Names without a number, and the pair they are in. */
  readonly #rare = new Map<string, number>();

  constructor(names: MetadataNames, labels: Labels, json: JsonWriter, maxBytes: number) {
    this.#names = names;
    this.#labels = labels;
    this.#json = json;
    this.#most = maxBytes;
    this.#writer = new PairWriter(new GrowingMemory(), json);
    this.numbers = new Int32Array(KEY_CAPACITY + names.count + 1);
  }

  get memory(): GrowingMemory {
    return this.#writer.memory;
  }

  /** Whether a pair has the name. */
  has(number: number, text: string): boolean {
    return number >= 0 ? this.numbers[number] === this.stamp : this.#rare.has(text);
  }

  at(pair: number): number {
    return this.#pairInts[pair * PAIR + Pair.at]!;
  }
  lengthOf(pair: number): number {
    return this.#pairInts[pair * PAIR + Pair.length]!;
  }
  sizeOf(pair: number): number {
    return this.#pairInts[pair * PAIR + Pair.size]!;
  }
  number(pair: number): number {
    return this.#pairInts[pair * PAIR + Pair.number]!;
  }
  /** Name of a pair that has no number. */
  text(pair: number): string {
    for (const [text, at] of this.#rare) if (at === pair) return text;
    return "";
  }

  /** Makes the block of the GROUP at tape index `group`. */
  enter(group: number, tape: Int32Array, scopeName: ScopeName): void {
    this.length = 0;
    this.pairs = 0;
    this.size = 0;
    this.stamp = (this.stamp + 1) | 0;
    this.leftOuts.forget();
    this.#rare.clear();
    const resource = tape[group + Group.resourceEntries]!;
    const resourceEnd = resource + ENTRY * tape[group + Group.resourceCount]!;
    this.#findLabels(tape, resource, resourceEnd);
    const name = tape[group + Group.scopeNameAt]!;
    const nameEnd = tape[group + Group.scopeNameEnd]!;
    if (name >= 0 && nameEnd > name)
      if (nameEnd - name > this.#most) this.leftOuts.add(LeftOut.size);
      else {
        const end = this.#writer.text(0, scopeName, this.#json.view, name, nameEnd);
        this.#add(end, scopeName.length, scopeName.number, "");
      }
    const scope = tape[group + Group.scopeEntries]!;
    const scopeEnd = scope + ENTRY * tape[group + Group.scopeCount]!;
    for (let e = scope; e < scopeEnd; e += ENTRY) this.#attribute(tape, e);
    for (let e = resource; e < resourceEnd; e += ENTRY)
      if (!this.#isLabel(tape, e)) this.#attribute(tape, e);
    this.whole = this.memory.bytes.subarray(0, this.length);
  }

  #isLabel(tape: Int32Array, e: number): boolean {
    const key = tape[e]! >>> 4;
    if (this.#names.ints[key * KEY + Key.use] !== Use.label) return false;
    return this.#labels.ofGroup[this.#labels.labelOf(key)] === e;
  }

  #findLabels(tape: Int32Array, first: number, stop: number): void {
    const labels = this.#labels;
    labels.ofGroup.fill(NONE);
    this.level = NONE;
    for (let e = first; e < stop; e += ENTRY) {
      const key = tape[e]! >>> 4;
      if (this.#names.ints[key * KEY + Key.use] !== Use.label) continue;
      const l = labels.labelOf(key);
      const kind = tape[e]! & 15;
      if (l === labels.level) {
        if (kind === Kind.text && this.level === NONE) this.level = e;
        continue;
      }
      if (!labels.fits(kind, tape[e + Entry.valueAt]!, tape[e + Entry.valueEnd]!)) continue;
      const other = labels.ofGroup[l]!;
      if (other === NONE || !labels.isBefore(tape[other]! >>> 4, key)) labels.ofGroup[l] = e;
    }
  }

  #attribute(tape: Int32Array, e: number): void {
    const kind = tape[e]! & 15;
    const from = tape[e + Entry.valueAt]!;
    const end = tape[e + Entry.valueEnd]!;
    if (isEmpty(kind, end - from)) return;
    const names = this.#names;
    names.look(tape, e, this.#json);
    if (names.length === 0) this.leftOuts.add(LeftOut.noName);
    else if (this.has(names.found, names.text)) this.leftOuts.add(LeftOut.repeated);
    else if (end - from > this.#most) this.leftOuts.add(LeftOut.size);
    else {
      const close = this.#writer.value(this.length, names, kind, from, end);
      this.#add(close, names.length, names.found, names.text);
    }
  }

  /** The pair that ends at `end`. */
  #add(end: number, nameLength: number, number: number, text: string): void {
    const p = this.pairs * PAIR;
    if (p + PAIR > this.#pairInts.length) this.#pairInts = longer(this.#pairInts, p + PAIR);
    const ints = this.#pairInts;
    ints[p + Pair.at] = this.length;
    ints[p + Pair.length] = end - this.length;
    ints[p + Pair.size] = nameLength + this.#writer.length;
    ints[p + Pair.number] = number;
    if (number >= 0) this.numbers[number] = this.stamp;
    else this.#rare.set(text, this.pairs);
    this.size += ints[p + Pair.size]!;
    this.length = end;
    this.pairs++;
  }
}

/** How the name of the scope is called. */
interface ScopeName {
  readonly source: DataView;
  readonly at: number;
  readonly length: number;
  readonly number: number;
}
