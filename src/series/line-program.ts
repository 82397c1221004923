import {
  ENTRY as ImportedEntry,
  Item as ImportedItem,
  LogFlags as ImportedLogFlags,
} from "../otlp/tape.ts";
import { copy } from "../wire/copy.ts";
import { SLACK } from "../wire/slack.ts";
import type { Gather } from "./gather.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const ENTRY = ImportedEntry;
const Item = ImportedItem;
const LogFlags = ImportedLogFlags;

/** Ints per pair of a row. `from`: where the item's node has the value's start, its end behind it. */
export const PAIR_OP = 7;
export const PairOp = {
  from: 0,
  act: 1,
  headAt: 2,
  headLength: 3,
  column: 4,
  kind: 5,
  /** 1: a tag of the same name stands in the row, so the field's name gets an underscore (mapping §9.9). */
  clash: 6,
} as const;

/** How a pair's value is written. The first are what most values are; `column` and the last two are for everything. */
export const Act = {
  tag: 0,
  words: 1,
  text: 2,
  hex: 3,
  float: 4,
  integer: 5,
  column: 6,
  anyTag: 7,
  any: 8,
  /** A LineRule, whose number stands for the kind. */
  rule: 9,
} as const;

/** Entries and bytes of names of a shape that can be remembered. */
const ENTRIES_MAX = 64;
const NAMES_MAX = 512;
/** Programs that are remembered, a power of two. */
const PROGRAMS = 16;
/** Once a place is taken, one in so many (a power of two, less one) makes room for another: learning them all would cost more than it saves. */
const LEARN_MASK = 7;

/**
 * The pairs of a row of one shape of record, in their order: tags, then fields. A shape is a table, the names and kinds of the
 * attributes, what `weir.tags` and `weir.uint` name, and which parts the record has. Lines repeat their shapes.
 */
export class LineProgram {
  ops: Int32Array = new Int32Array(32 * PAIR_OP);
  /** Behind the last op of tags, of all. */
  tagsEnd = 0;
  end = 0;
  /** `,name=` of each pair. */
  heads: DataView = new DataView(new ArrayBuffer(1 << 10));
  headsEnd = 0;
  /** No name differs from what was sent, so none is twice. */
  isPlain = true;
  /** No pair was left out for its name, and no name lost characters. */
  isWhole = true;
  /** Some value is of another type than its field in the destination (see RowTypes). */
  isRetyped = false;
  /** Of measurements that no table declares, each has programs of its own. */
  readonly #isOfMeasurement: boolean;
  #measurementLength = -1;
  #table = -2;
  #parts = 0;
  #count = 0;
  readonly #entries = new Int32Array(ENTRIES_MAX);
  readonly #names = new DataView(new ArrayBuffer(3 * NAMES_MAX + SLACK));
  #tagsLength = -1;
  #uintLength = -1;

  constructor(isOfMeasurement = false) {
    this.#isOfMeasurement = isOfMeasurement;
  }

  /** Empties it. It will not be found before `keep`. */
  open(): void {
    this.#table = -2;
    this.tagsEnd = 0;
    this.end = 0;
    this.headsEnd = 0;
    this.isPlain = true;
    this.isWhole = true;
    this.isRetyped = false;
  }

  /** Adds a pair whose head has been written to `heads` from `headsEnd` to `headEnd`. */
  add(from: number, act: number, headEnd: number, column: number, kind: number): void {
    if (this.end + PAIR_OP > this.ops.length) {
      const ops = new Int32Array(2 * this.ops.length);
      ops.set(this.ops);
      this.ops = ops;
    }
    const { ops, end } = this;
    ops[end + PairOp.from] = from;
    ops[end + PairOp.act] = act;
    ops[end + PairOp.headAt] = this.headsEnd;
    ops[end + PairOp.headLength] = headEnd - this.headsEnd;
    ops[end + PairOp.column] = column;
    ops[end + PairOp.kind] = kind;
    ops[end + PairOp.clash] = 0;
    this.end = end + PAIR_OP;
    this.headsEnd = headEnd;
  }

  /** Marks the last pair. */
  clash(): void {
    this.ops[this.end - PAIR_OP + PairOp.clash] = 1;
    this.isPlain = false;
  }

  /** Makes room for a head of `length` bytes and its slack. */
  roomForHead(length: number): void {
    const need = this.headsEnd + length + SLACK;
    if (need <= this.heads.byteLength) return;
    const heads = new DataView(new ArrayBuffer(2 * need));
    copy(heads, 0, this.heads, 0, this.headsEnd);
    this.heads = heads;
  }

  /** Remembers the shape of the present item: `is` answers for its like. Shapes that are too large, or whose drops must be counted, are not remembered. */
  keep(gather: Gather, table: number): void {
    const { tape, entries, entriesEnd, lineTags, lineUint } = gather;
    const count = (entriesEnd - entries) / ENTRY;
    const tagsLength = lengthOf(gather, lineTags);
    const uintLength = lengthOf(gather, lineUint);
    if (!this.isWhole || count > ENTRIES_MAX || tagsLength > NAMES_MAX || uintLength > NAMES_MAX)
      return;
    for (let i = 0; i < count; i++) {
      const head = tape[entries + i * ENTRY]!;
      // The name of a key without an id may be another next time.
      if (head >>> 4 === 0) return;
      this.#entries[i] = head;
    }
    if (!this.#keepMeasurement(gather, table)) return;
    this.#keepNames(gather, lineTags, tagsLength, 0);
    this.#keepNames(gather, lineUint, uintLength, NAMES_MAX);
    this.#parts = partsOf(gather);
    this.#count = count;
    this.#tagsLength = tagsLength;
    this.#uintLength = uintLength;
    this.#table = table;
  }

  /** False when its name is too long to be kept. */
  #keepMeasurement({ tape, at, view, plan }: Gather, table: number): boolean {
    this.#measurementLength = -1;
    if (table >= 0 || !this.#isOfMeasurement) return true;
    const from = tape[at + plan.nameAt]!;
    const length = tape[at + plan.nameAt + 1]! - from;
    if (length > NAMES_MAX) return false;
    copy(this.#names, 2 * NAMES_MAX, view, from, length);
    this.#measurementLength = length;
    return true;
  }

  #keepNames(gather: Gather, entry: number, length: number, at: number): void {
    if (length > 0) copy(this.#names, at, gather.view, gather.tape[entry + 2]!, length);
  }

  /** Whether the present item has this shape. */
  is(gather: Gather, table: number): boolean {
    const { tape, entries, entriesEnd, lineTags, lineUint } = gather;
    const count = this.#count;
    if (table !== this.#table || entriesEnd - entries !== count * ENTRY) return false;
    const kept = this.#entries;
    for (let i = 0, e = entries; i < count; i++, e += ENTRY) if (tape[e] !== kept[i]) return false;
    if (partsOf(gather) !== this.#parts) return false;
    const measurement = this.#measurementLength;
    if (measurement >= 0) {
      const place = gather.at + gather.plan.nameAt;
      const from = tape[place]!;
      if (tape[place + 1]! - from !== measurement) return false;
      if (!this.#hasName(gather, from, measurement, 2 * NAMES_MAX)) return false;
    }
    return (
      this.#hasNames(gather, lineTags, this.#tagsLength, 0) &&
      this.#hasNames(gather, lineUint, this.#uintLength, NAMES_MAX)
    );
  }

  #hasNames(gather: Gather, entry: number, length: number, at: number): boolean {
    if (entry < 0) return length < 0;
    const from = gather.tape[entry + 2]!;
    return gather.tape[entry + 3]! - from === length && this.#hasName(gather, from, length, at);
  }

  #hasName({ view }: Gather, from: number, length: number, at: number): boolean {
    const names = this.#names;
    let i = 0;
    for (; i + 4 <= length; i += 4)
      if (view.getInt32(from + i) !== names.getInt32(at + i)) return false;
    for (; i < length; i++) if (view.getUint8(from + i) !== names.getUint8(at + i)) return false;
    return true;
  }
}

/** The programs of the shapes seen of late. */
export class LinePrograms {
  readonly #programs: readonly LineProgram[];
  readonly #used: Uint8Array;
  /** For shapes that are not remembered. */
  readonly #other = new LineProgram();
  readonly #isOfMeasurement: boolean;
  #last: LineProgram = this.#other;
  #misses = 0;
  /** The place that `find` looked at. */
  #place = 0;

  /** `isOfMeasurement`: records of different measurements have different programs, also where no table declares them. */
  constructor(isOfMeasurement: boolean) {
    const length = isOfMeasurement ? 4 * PROGRAMS : PROGRAMS;
    this.#programs = Array.from({ length }, () => new LineProgram(isOfMeasurement));
    this.#used = new Uint8Array(length);
    this.#isOfMeasurement = isOfMeasurement;
  }

  /** Forgets them all. */
  clear(): void {
    this.#last = this.#other;
    this.#other.open();
    for (const program of this.#programs) program.open();
    this.#used.fill(0);
  }

  /** The program for the present item; undefined: there is none yet, `make` one. */
  find(gather: Gather, table: number): LineProgram | undefined {
    if (this.#last.is(gather, table)) return this.#last;
    const { tape, entries, entriesEnd } = gather;
    let hash = table;
    if (table < 0 && this.#isOfMeasurement) {
      const place = gather.at + gather.plan.nameAt;
      const from = tape[place]!;
      const length = tape[place + 1]! - from;
      const { bytes } = gather;
      const middle = bytes[from + (length >>> 1)]!;
      hash = bytes[from]! ^ (middle << 8) ^ (bytes[from + length - 1]! << 16) ^ (length << 24);
    }
    for (let e = entries; e < entriesEnd; e += ENTRY) hash = Math.imul(hash ^ tape[e]!, 0x01000193);
    this.#place = (hash ^ (hash >>> 15)) & (this.#programs.length - 1);
    const program = this.#programs[this.#place]!;
    if (!program.is(gather, table)) return undefined;
    this.#last = program;
    return program;
  }

  /** An empty program, after `find`. */
  make(): LineProgram {
    const isFree = this.#used[this.#place] === 0;
    const isKept = isFree || (++this.#misses & LEARN_MASK) === 0;
    if (isKept) this.#used[this.#place] = 1;
    const program = isKept ? this.#programs[this.#place]! : this.#other;
    program.open();
    return program;
  }
}

/** Kind of the body, and whether there are ids. */
function partsOf({ tape, at, plan }: Gather): number {
  const bodyKind = plan.signal === "logs" ? tape[at + Item.flags]! & LogFlags.bodyKindMask : 0;
  return (
    bodyKind | ((~tape[at + Item.trace]! >>> 31) << 4) | ((~tape[at + Item.span]! >>> 31) << 5)
  );
}

function lengthOf({ tape }: Gather, entry: number): number {
  return entry < 0 ? -1 : tape[entry + 3]! - tape[entry + 2]!;
}
