import { NameMap } from "../../line/name-map.ts";
import { copyReplaced, isAscii, isUtf8, REPLACED_GROWTH } from "../../line/utf8.ts";
import { copy } from "../../wire/copy.ts";
import { DoorOutput } from "../doors/door-output.ts";
import { Known as ImportedKnown, KNOWN as ImportedKnownSize, KnownShapes } from "./known-shapes.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const KNOWN = ImportedKnownSize;
const Known = ImportedKnown;

/** What the value of a member is. */
export const MemberKind = {
  /** No value; also a member that another of its name replaced, or that became a part of the record itself. */
  none: 0,
  text: 1,
  boolean: 2,
  integer: 3,
  double: 4,
  /** The JSON text of a list or object. */
  json: 5,
} as const;
export type MemberKind = (typeof MemberKind)[keyof typeof MemberKind];

/** Whose a member is. Of equal names the higher wins, and of different names for one thing too. */
export const Layer = {
  /** Given by the receiver: the tag, the path of the file. */
  given: 0,
  record: 1,
  /** Of the JSON text in the record's message. */
  inner: 2,
} as const;

/** Ints per member, and the offsets inside one. Positions are in the memory of `Members.texts`. */
export const MEMBER = 7;
export const Member = {
  nameAt: 0,
  nameLength: 1,
  kind: 2,
  /** Text, JSON, or how a double is written (length 0: not known); of an integer or boolean the low half. */
  at: 3,
  length: 4,
  layer: 5,
  /** Number in `NAMES`, or -1. */
  name: 6,
} as const;

/** Most members of a record, those of flattened objects counted. */
export const MEMBERS_MAX = 4_096;
/** Names that say what a member is, in the order in which they are looked for (mapping §5, §1.5). */
const NAMED = [
  ["time", ["timestamp", "time", "@timestamp", "date"]],
  ["body", ["message", "msg", "log"]],
  ["level", ["level", "severity"]],
  [
    "trace",
    [
      "trace_id",
      "traceId",
      "trace.id",
      "dd.trace_id",
      "traceparent",
      "_X_AMZN_TRACE_ID",
      "X-Amzn-Trace-Id",
    ],
  ],
  ["span", ["span_id", "spanId", "span.id"]],
  ["service", ["service.name", "service"]],
] as const;
const ALL = NAMED.flatMap(([, names]) => names as readonly string[]);
export const NAMES = namesOf();
export const MESSAGE: number = ALL.indexOf("message");
export const LOG: number = ALL.indexOf("log");
export const DATADOG: number = ALL.indexOf("dd.trace_id");
export const TRACEPARENT: number = ALL.indexOf("traceparent");
const COUNT = ALL.length;
const LAYERS = 3;

/** The names for one thing: a bit for the number of each. */
interface Names {
  readonly bits: number;
}

function namesOf(): Readonly<Record<(typeof NAMED)[number][0], Names>> {
  const all = NAMED.map(([kind, names]) => {
    const bits = names.reduce((sum, name) => sum | (1 << ALL.indexOf(name)), 0);
    return [kind, { bits }] as const;
  });
  return Object.fromEntries(all) as Record<(typeof NAMED)[number][0], Names>;
}

/**
 * The members of one record, whatever it was written in: names and values in one memory, and a table of where they are. Built anew for
 * each record, with no object or string.
 */
export class Members {
  /** Names and texts. */
  readonly texts = new DoorOutput();
  table: Int32Array = new Int32Array(64 * MEMBER);
  /** Doubles, by index. */
  numbers: Float64Array = new Float64Array(64);
  /** At most MEMBERS_MAX: readers stop there. */
  count = 0;
  readonly #names = new NameMap(new Map(ALL.map((name, i) => [name, i])));
  /** Index of the member with a name of `NAMED`, by layer, where `#named` has its bit. */
  readonly #places = new Int32Array(LAYERS * COUNT);
  /** Index of a member + 1, by the hash of its name. */
  readonly #slots = new Int32Array(4 * MEMBERS_MAX);
  readonly #shapes = new KnownShapes();
  /** Keeps senders from choosing names that collide. */
  readonly #seed = (Math.random() * 0x7fffffff) | 1;
  /** Bits of the names that the record has, by layer. */
  readonly #named = new Int32Array(LAYERS);

  clear(): void {
    this.texts.clear();
    this.count = 0;
    this.#named.fill(0);
  }

  /** Adds a member. `low` and `high` as in `Member.at` and `length`. */
  add(
    nameAt: number,
    nameLength: number,
    kind: MemberKind,
    low: number,
    high: number,
    layer: number,
  ): void {
    const i = this.count * MEMBER;
    if (i === this.table.length) this.#grow();
    const { table } = this;
    table[i] = nameAt;
    table[i + Member.nameLength] = nameLength;
    table[i + Member.kind] = kind;
    table[i + Member.at] = low;
    table[i + Member.length] = high;
    table[i + Member.layer] = layer;
    this.count++;
  }

  /** The value of the member added last, a double. */
  setDouble(value: number): void {
    this.numbers[this.count - 1] = value;
  }

  /** Copies foreign text to the end of the memory, where room for it and SLACK must be; returns its position. */
  put(source: DataView, from: number, length: number): number {
    const { texts } = this;
    const at = texts.length;
    texts.length = copy(texts.view, at, source, from, length);
    return at;
  }

  /** Whether all names and texts are ASCII. */
  get isAscii(): boolean {
    return isAscii(this.texts.view, 0, this.texts.length);
  }

  /**
   * Puts U+FFFD for what is not UTF-8 in names and texts of the members from `first` on: OTLP's strings are UTF-8. Whether there was any such.
   * To be called before `settle`: names may become equal.
   */
  repair(first: number): boolean {
    const { table, count } = this;
    let isAny = false;
    for (let i = first * MEMBER; i < count * MEMBER; i += MEMBER) {
      const kind = table[i + Member.kind];
      if (this.#repairText(i)) isAny = true;
      const isText = kind === MemberKind.text || kind === MemberKind.json;
      if (isText && this.#repairText(i + Member.at)) isAny = true;
    }
    return isAny;
  }

  /** The same for the text whose position is at `k` in the table, and its length behind it. */
  #repairText(k: number): boolean {
    const { table, texts } = this;
    const at = table[k]!;
    const length = table[k + 1]!;
    if (isAscii(texts.view, at, at + length) || isUtf8(texts.bytes, at, at + length)) return false;
    texts.ensure(REPLACED_GROWTH * length);
    table[k] = texts.length;
    texts.length = copyReplaced(texts.bytes, texts.length, texts.bytes, at, at + length);
    table[k + 1] = texts.length - table[k]!;
    return true;
  }

  /** After all members are there: of equal names only the last remains, and the names that mean something are found. */
  settle(): void {
    const { table, count } = this;
    let print = count;
    for (let i = 0; i < count * MEMBER; i += MEMBER)
      print = (Math.imul(print, 31) + headOf(table, i)) | 0;
    const k = this.#shapes.find(count, print);
    if (k < 0 || !this.#isKnown(k)) this.#learn(print);
    const named = this.#named;
    for (let index = 0; index < count; index++) {
      const name = table[index * MEMBER + Member.name]!;
      if (name < 0) continue;
      const layer = table[index * MEMBER + Member.layer]!;
      named[layer]! |= 1 << name;
      this.#places[layer * COUNT + name] = index;
    }
  }

  /**
   * The first member with a value and one of these names, from `place` on (0: the beginning): of the highest layer, then in the order of the
   * names. Gives its place; -1 is none. The next one is looked for from the place behind it.
   */
  seek({ bits }: Names, place: number): number {
    let mask = -1 << (place & 31);
    for (let step = place >>> 5; step < LAYERS; step++) {
      const layer = LAYERS - 1 - step;
      for (let left = this.#named[layer]! & bits & mask; left !== 0; left &= left - 1) {
        const name = 31 - Math.clz32(left & -left);
        const index = this.#places[layer * COUNT + name]!;
        if (this.table[index * MEMBER + Member.kind] !== MemberKind.none) return (step << 5) | name;
      }
      mask = -1;
    }
    return -1;
  }

  /** Index of the member at a place that `seek` gave. */
  at(place: number): number {
    return this.#places[(LAYERS - 1 - (place >>> 5)) * COUNT + (place & 31)]!;
  }

  /** Index of the record's own member with the name of this number, when it has a value; else -1. */
  own(name: number): number {
    if (((this.#named[Layer.record]! >>> name) & 1) === 0) return -1;
    const index = this.#places[Layer.record * COUNT + name]!;
    return this.table[index * MEMBER + Member.kind] === MemberKind.none ? -1 : index;
  }

  /** Takes a member out: it became a part of the record itself. */
  drop(index: number): void {
    this.table[index * MEMBER + Member.kind] = MemberKind.none;
  }

  /** Whether the members have the names of the shape at `k`; what is known of them is theirs then. */
  #isKnown(k: number): boolean {
    const { table, texts, count } = this;
    const known = this.#shapes.table;
    for (let i = 0, n = k; i < count * MEMBER; i += MEMBER, n += KNOWN) {
      if (known[n + Known.head] !== headOf(table, i)) return false;
      if (!this.#shapes.isName(n, texts.view, table[i]!, table[i + Member.nameLength]!))
        return false;
      table[i + Member.name] = known[n + Known.name]!;
    }
    for (let n = k; n < k + count * KNOWN; n += KNOWN) {
      const other = known[n + Known.replaces]!;
      if (other >= 0) this.drop(other);
    }
    return true;
  }

  /** Finds out about the names, one by one, and keeps them as a shape. */
  #learn(print: number): void {
    const { table, texts, count } = this;
    let nameBytes = 0;
    for (let i = 0; i < count * MEMBER; i += MEMBER) nameBytes += table[i + Member.nameLength]!;
    let k = this.#shapes.begin(count, print, nameBytes);
    let size = 16;
    while (size < 2 * count) size *= 2;
    this.#slots.fill(0, 0, size);
    for (let index = 0; index < count; index++) {
      const i = index * MEMBER;
      const at = table[i]!;
      const length = table[i + Member.nameLength]!;
      const other = this.#seat(index, size - 1);
      if (other >= 0) this.drop(other);
      const name = this.#names.get(texts.bytes, at, at + length);
      table[i + Member.name] = name;
      if (k < 0) continue;
      this.#shapes.keep(k, texts.view, at, length, headOf(table, i), name, other);
      k += KNOWN;
    }
  }

  /** Puts a member into the hash table; gives the index of the one of the same name that was there, or -1. */
  #seat(index: number, mask: number): number {
    const { table } = this;
    const at = table[index * MEMBER]!;
    const length = table[index * MEMBER + Member.nameLength]!;
    for (let slot = this.#hash(at, length) & mask; ; slot = (slot + 1) & mask) {
      const other = this.#slots[slot]! - 1;
      if (other >= 0 && !this.#isSame(other * MEMBER, at, length)) continue;
      this.#slots[slot] = index + 1;
      return other;
    }
  }

  #isSame(other: number, at: number, length: number): boolean {
    const { table, texts } = this;
    if (table[other + Member.nameLength] !== length) return false;
    const { bytes } = texts;
    const start = table[other]!;
    for (let k = 0; k < length; k++) if (bytes[start + k] !== bytes[at + k]) return false;
    return true;
  }

  /** Every byte reaches the low bits, of which the slot is made. */
  #hash(at: number, length: number): number {
    const { view } = this.texts;
    let hash = this.#seed ^ length;
    let p = at;
    for (const last = at + length - 4; p < last; p += 4) {
      hash = Math.imul(hash ^ view.getInt32(p, true), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    const bits = 8 * (at + length - p);
    if (bits > 0) hash ^= view.getInt32(p, true) << (32 - bits);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return hash ^ (hash >>> 16);
  }

  #grow(): void {
    const table = new Int32Array(2 * this.table.length);
    table.set(this.table);
    this.table = table;
    const numbers = new Float64Array(2 * this.numbers.length);
    numbers.set(this.numbers);
    this.numbers = numbers;
  }
}

/** Length of a member's name, and its layer in the two low bits. */
function headOf(table: Int32Array, i: number): number {
  return (table[i + Member.nameLength]! << 2) | table[i + Member.layer]!;
}
