import { KEY_CAPACITY } from "../../otlp/key-table.ts";
import { ENTRY, Entry, Kind } from "../../otlp/tape.ts";
import type { JsonWriter } from "../../otlp/value-json.ts";
import { copy } from "../../wire/copy.ts";
import { writeHex } from "../../wire/hex.ts";
import { writeUnder20000 } from "../../wire/numbers.ts";
import { type BatchMemory, NO_BATCH } from "../batch-memory.ts";
import { SlotKind } from "../slots.ts";
import { NameList } from "../tables/name-list.ts";
import { GroupBlock } from "./group-block.ts";
import type { Labels } from "./labels.ts";
import { LeftOut, type LeftOuts } from "./left-out.ts";
import type { LevelWords } from "./levels.ts";
import type { GrowingMemory } from "./memory.ts";
import { HEAD, KEY, Key, type MetadataNames, NAME_AT, Use } from "./names.ts";
import { OWN_NAMES, OwnHead, type OwnName } from "./own-names.ts";
import { PairWriter, SHORT_PAIR } from "./pairs.ts";
import { isEmpty, NEGATIVE_BYTES, SCALAR_MAX, writeScalar } from "./values.ts";

/** Limits of the structured metadata of one entry: names and values together, and how many. */
export interface MetadataLimits {
  readonly bytes: number;
  readonly pairs: number;
}

interface MetadataParts {
  /** Where entries are written to: pairs go behind what is there. */
  readonly entries: GrowingMemory;
  readonly names: MetadataNames;
  readonly labels: Labels;
  readonly words: LevelWords;
  readonly limits: MetadataLimits;
  readonly leftOuts: LeftOuts;
  readonly json: JsonWriter;
  /** Key of `weir.uint`. */
  readonly uint: number;
}

/** Room for a pair that is written without a look at how long it is. */
const PAIR_ROOM = HEAD + SHORT_PAIR + SCALAR_MAX;
const NONE = -1;

/**
 * Structured metadata of one record after the other. Of equal names the first counts: the record's own fields, its attributes in their order,
 * those that might have been labels, its scope's, its resource's. What has no room is left out and counted.
 */
export class Metadata {
  /** Number of the level in LEVELS; set before `attributes`, which sets it from an attribute where it is 0. */
  level = 0;
  /** The entry that became the line, or -1. */
  line = NONE;
  /** Whether an attribute of the record is a label. */
  hasLabel = false;
  readonly #entries: GrowingMemory;
  readonly #names: MetadataNames;
  readonly #labels: Labels;
  readonly #words: LevelWords;
  readonly #limits: MetadataLimits;
  readonly #leftOuts: LeftOuts;
  readonly #json: JsonWriter;
  readonly #pairs: PairWriter;
  readonly #block: GroupBlock;
  readonly #own: Readonly<Record<OwnName, OwnHead>>;
  /** By number of a name: the record that had it last. */
  readonly #seen = new Int32Array(KEY_CAPACITY + OWN_NAMES.length + 1);
  #stamp = 0;
  /** The same for names without a number. */
  readonly #seenRare = new Set<string>();
  #clashes = false;
  #count = 0;
  #size = 0;
  #batch: BatchMemory = NO_BATCH;
  /** The record's attributes, and what `weir.uint` of one names. */
  #first = 0;
  #stop = 0;
  readonly #uint: number;
  readonly #uints = new NameList();
  #uintsOf = 0;
  /** Entries that might have been labels and are not. */
  readonly #leftovers: number[] = [];
  #leftover = 0;

  constructor({ entries, names, labels, words, limits, leftOuts, json, uint }: MetadataParts) {
    this.#uint = uint;
    this.#entries = entries;
    this.#names = names;
    this.#labels = labels;
    this.#words = words;
    this.#limits = limits;
    this.#leftOuts = leftOuts;
    this.#json = json;
    this.#pairs = new PairWriter(entries, json);
    this.#own = Object.fromEntries(
      OWN_NAMES.map((name) => [name, new OwnHead(names, name)]),
    ) as Record<OwnName, OwnHead>;
    for (const key of labels.keys) names.use(key, Use.label);
    this.#block = new GroupBlock(names, labels, json, limits.bytes);
  }

  open(batch: BatchMemory): void {
    this.#batch = batch;
  }

  /** The resource and scope of the next records. */
  enter(group: number): void {
    this.#block.enter(group, this.#batch.tape, this.#own.scope_name);
    this.#labels.ofRecord.fill(NONE);
  }

  /** Level that the resource names, for records that name none. */
  get levelOfGroup(): number {
    const { tape, bytes } = this.#batch;
    const entry = this.#block.level;
    if (entry === NONE) return 0;
    return this.#words.get(bytes, tape[entry + Entry.valueAt]!, tape[entry + Entry.valueEnd]!);
  }

  /** Makes ready for the next record, or the next part of one. */
  begin(): void {
    this.#stamp = (this.#stamp + 1) | 0;
    this.#count = 0;
    this.#size = 0;
    this.#clashes = false;
    this.#leftover = 0;
    if (this.hasLabel) {
      this.#labels.ofRecord.fill(NONE);
      this.hasLabel = false;
    }
    if (this.#seenRare.size > 0) this.#seenRare.clear();
  }

  /** An id in hex. */
  id(name: "trace_id" | "span_id", at: number, from: number, bytes: number): number {
    if (!this.#hasRoom(name.length + 2 * bytes)) return at;
    this.#takeOwn(name, 2 * bytes);
    const { view } = this.#entries;
    const own = this.#own[name];
    const o = copy(view, at, own.source, own.at - NAME_AT, HEAD + name.length);
    view.setUint8(at + 1, name.length + 2 * bytes + HEAD - 1);
    view.setUint8(o, 2 * bytes);
    return writeHex(view, o + 1, this.#batch.view, from, bytes);
  }

  /** A text of any memory. */
  text(name: OwnName, at: number, source: DataView, from: number, end: number): number {
    if (!this.#hasRoom(name.length + end - from)) return at;
    this.#takeOwn(name, end - from);
    return this.#pairs.text(at, this.#own[name], source, from, end);
  }

  #takeOwn(name: OwnName, length: number): void {
    const { number } = this.#own[name];
    this.#seen[number] = this.#stamp;
    if (this.#block.has(number, "")) this.#clashes = true;
    this.#take(name.length + length);
  }

  /** The attributes [first, stop) of the record. The cases: what most values of most records are. */
  attributes(first: number, stop: number, at: number): number {
    const { tape, bytes, view } = this.#batch;
    const { pairs, bytes: most } = this.#limits;
    this.#first = first;
    this.#stop = stop;
    this.#entries.need(at + PAIR_ROOM * (Math.min((stop - first) / ENTRY, pairs) + 2));
    const seen = this.#seen;
    const stamp = this.#stamp;
    const inGroup = this.#block.numbers;
    const groupStamp = this.#block.stamp;
    const { ints } = this.#names;
    let out = this.#entries.view;
    let heads = this.#names.heads.view;
    let o = at;
    for (let e = first; e < stop; e += ENTRY) {
      const head = tape[e]!;
      const k = (head >>> 4) * KEY;
      const number = ints[k + Key.name]!;
      const nameLength = ints[k + Key.length]!;
      const from = tape[e + Entry.valueAt]!;
      const length = tape[e + Entry.valueEnd]! - from;
      const kind = head & 15;
      const isShort = nameLength + (kind === Kind.text ? length : SCALAR_MAX) <= SHORT_PAIR;
      if (
        ints[k + Key.use] !== Use.plain ||
        seen[number] === stamp ||
        !isShort ||
        (kind !== Kind.text && (kind !== Kind.int || length === NEGATIVE_BYTES))
      ) {
        o = this.#rare(e, o);
        out = this.#entries.view;
        heads = this.#names.heads.view;
        continue;
      }
      if (kind === Kind.text && length === 0) continue;
      const start = copy(out, o, heads, ints[k + Key.at]!, HEAD + nameLength) + 1;
      let close: number;
      if (kind === Kind.text) close = copy(out, start, view, from, length);
      else {
        const low = bytes[from]!;
        const high = low < 128 ? 0 : bytes[from + 1]!;
        if (high < 128) close = writeUnder20000(out, start, (low & 127) | (high << 7));
        else close = writeScalar(out, start, this.#json, kind, from);
      }
      const size = nameLength + close - start;
      if ((this.#size + size > most || this.#count === pairs) && !this.#hasRoom(size)) continue;
      out.setUint8(o + 1, size + HEAD - 1);
      out.setUint8(start - 1, close - start);
      seen[number] = stamp;
      if (inGroup[number] === groupStamp) this.#clashes = true;
      this.#size += size;
      this.#count++;
      o = close;
    }
    return o;
  }

  /** What is behind the attributes: those that might have been labels, and the pairs of scope and resource. */
  rest(at: number): number {
    const labels = this.#labels;
    const { tape } = this.#batch;
    let o = at;
    for (let i = 0; i < this.#leftover; i++) o = this.#attribute(this.#leftovers[i]!, o);
    if (this.hasLabel)
      for (let l = 0; l < labels.count; l++) {
        const own = labels.ofRecord[l]!;
        const other = labels.ofGroup[l]!;
        if (own !== NONE && other !== NONE && tape[own]! >>> 4 !== tape[other]! >>> 4)
          o = this.#attribute(other, o);
      }
    return this.#group(o);
  }

  #group(at: number): number {
    const block = this.#block;
    const memory = this.#entries;
    const { bytes, pairs } = this.#limits;
    memory.need(at + block.length);
    this.#leftOuts.addAll(block.leftOuts);
    const isWhole =
      !this.#clashes && this.#size + block.size <= bytes && this.#count + block.pairs <= pairs;
    if (isWhole) {
      memory.bytes.set(block.whole, at);
      return at + block.length;
    }
    let o = at;
    for (let i = 0; i < block.pairs; i++) {
      const number = block.number(i);
      const isSeen =
        number >= 0 ? this.#seen[number] === this.#stamp : this.#seenRare.has(block.text(i));
      if (isSeen) this.#leftOuts.add(LeftOut.repeated);
      else if (this.#hasRoom(block.sizeOf(i))) {
        this.#take(block.sizeOf(i));
        o = copy(memory.view, o, block.memory.view, block.at(i), block.lengthOf(i));
      }
    }
    return o;
  }

  /** An attribute that needs a look: a key that is new, or not plain, or stands twice, or a value that is long or not text. */
  #rare(e: number, at: number): number {
    const names = this.#names;
    const key = this.#batch.tape[e]! >>> 4;
    if (key === 0) return this.#attribute(e, at);
    if (names.ints[key * KEY + Key.use] === Use.unknown) names.add(key);
    const use = names.ints[key * KEY + Key.use];
    if (use === Use.label) return this.#label(e, key, at);
    if (use === Use.message && e === this.line) return at;
    if (use === Use.stripped && names.ints[key * KEY + Key.name] !== NONE) return at;
    return this.#attribute(e, at);
  }

  #label(e: number, key: number, at: number): number {
    const { tape, bytes } = this.#batch;
    const { ofRecord, ofGroup } = this.#labels;
    const labels = this.#labels;
    const from = tape[e + Entry.valueAt]!;
    const end = tape[e + Entry.valueEnd]!;
    const kind = tape[e]! & 15;
    const l = labels.labelOf(key);
    let left = e;
    if (l === labels.level) {
      const level = kind === Kind.text && this.level === 0 ? this.#words.get(bytes, from, end) : 0;
      if (level > 0) {
        this.level = level;
        return at;
      }
    } else if (labels.fits(kind, from, end)) {
      const own = ofRecord[l]!;
      const other = own === NONE ? ofGroup[l]! : own;
      const isFirst =
        other === NONE ||
        (labels.isBefore(key, tape[other]! >>> 4) && (own === NONE || tape[own]! >>> 4 !== key));
      if (isFirst) {
        left = own;
        ofRecord[l] = e;
        this.hasLabel = true;
      }
    }
    if (left !== NONE) this.#leftovers[this.#leftover++] = left;
    return at;
  }

  /** Any attribute, of the record or its resource. */
  #attribute(e: number, at: number): number {
    const { tape } = this.#batch;
    const names = this.#names;
    const kind = tape[e]! & 15;
    const from = tape[e + Entry.valueAt]!;
    const end = tape[e + Entry.valueEnd]!;
    if (isEmpty(kind, end - from)) return at;
    names.look(tape, e, this.#json);
    const { found, text } = names;
    if (names.length === 0) return this.#leave(LeftOut.noName, at);
    if (found >= 0 ? this.#seen[found] === this.#stamp : this.#seenRare.has(text))
      return this.#leave(LeftOut.repeated, at);
    if (this.#count === this.#limits.pairs) return this.#leave(LeftOut.pairs, at);
    if (end - from > this.#limits.bytes) return this.#leave(LeftOut.size, at);
    const isUint = kind === Kind.int && end - from === NEGATIVE_BYTES && this.#isUint(e);
    const close = this.#pairs.value(at, names, isUint ? SlotKind.uint : kind, from, end);
    if (!this.#hasRoom(names.length + this.#pairs.length)) return at;
    this.#take(names.length + this.#pairs.length);
    if (found >= 0) this.#seen[found] = this.#stamp;
    else this.#seenRare.add(text);
    if (this.#block.has(found, text)) this.#clashes = true;
    return close;
  }

  /** Whether `weir.uint` of the record names the attribute: its line had an unsigned field. */
  #isUint(e: number): boolean {
    const { tape, bytes } = this.#batch;
    const json = this.#json;
    if (this.#uintsOf !== this.#stamp) {
      this.#uintsOf = this.#stamp;
      let entry = this.#stop - ENTRY;
      while (entry >= this.#first && tape[entry]! >>> 4 !== this.#uint) entry -= ENTRY;
      this.#uints.read({ tape, bytes, json }, entry < this.#first ? NONE : entry);
    }
    const end = json.field(tape[e + Entry.keyValueAt]!, bytes.length);
    return this.#uints.has(bytes, json.at, end);
  }

  #leave(reason: LeftOut, at: number): number {
    this.#leftOuts.add(reason);
    return at;
  }

  #take(size: number): void {
    this.#count++;
    this.#size += size;
  }

  #hasRoom(size: number): boolean {
    const { pairs, bytes } = this.#limits;
    if (this.#count === pairs) this.#leftOuts.add(LeftOut.pairs);
    else if (this.#size + size > bytes) this.#leftOuts.add(LeftOut.size);
    else return true;
    return false;
  }
}
