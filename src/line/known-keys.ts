import { BACKSLASH, COMMA, SPACE } from "./characters.ts";
import { PAIR, Pair } from "./pair.ts";

/** Sets of keys that are remembered at once, */
export const KNOWN_SETS = 16;
/** with at most so many tags and fields each, */
export const KNOWN_PAIRS = 64;
/** and so many bytes of names. */
const ROOM = 2_048;

/**
 * The measurements and keys of lines seen before. Senders repeat themselves: a line whose names are those of a line before needs no search
 * for their ends, no look for repeated tags, and whoever reads it can keep what it worked out for them.
 */
export class KnownKeys {
  /** Measurements at `set * ROOM`, keys with the `=` behind them at `starts`. Only ASCII without backslashes. */
  readonly bytes: Uint8Array = new Uint8Array(KNOWN_SETS * ROOM);
  readonly view: DataView = new DataView(this.bytes.buffer);
  /** Where key `n` of set `s` is: at index `s * KNOWN_PAIRS + n`. */
  readonly starts: Int32Array = new Int32Array(KNOWN_SETS * KNOWN_PAIRS);
  readonly lengths: Int32Array = new Int32Array(KNOWN_SETS * KNOWN_PAIRS);
  readonly measurements: Int32Array = new Int32Array(KNOWN_SETS);
  readonly tagCounts: Int32Array = new Int32Array(KNOWN_SETS);
  readonly fieldCounts: Int32Array = new Int32Array(KNOWN_SETS);
  /** Changes when a set makes room for another. */
  readonly versions: Int32Array = new Int32Array(KNOWN_SETS);
  /** Sets in use. */
  count = 0;
  /** Index of the key that should come next; -1: the line has left the set. */
  expected = -1;
  /** Behind the last index of the set. */
  #behind = 0;
  #next = 0;
  /** The next set with the same measurement, in a ring. */
  readonly #twins = Int32Array.from({ length: KNOWN_SETS }, (_, set) => set);
  /** Set of the line before. */
  #last = -1;
  #lines: Uint8Array = new Uint8Array(0);
  #linesView: DataView = new DataView(new ArrayBuffer(0));
  #end = 0;

  /** Lines are to be compared with what is known. */
  reset(bytes: Uint8Array, view: DataView, end: number): void {
    this.#lines = bytes;
    this.#linesView = view;
    this.#end = end;
  }

  /** A set with the measurement of the line at `from`, or -1; its first key is then the expected one. */
  find(from: number): number {
    const set = this.#findSet(from);
    if (set < 0) this.expected = -1;
    else {
      this.expected = set * KNOWN_PAIRS;
      this.#behind = this.expected + this.tagCounts[set]! + this.fieldCounts[set]!;
    }
    return set;
  }

  /** Another set with the same measurement, from each of them to the next; the set itself when there is none. */
  twin(set: number): number {
    return this.#twins[set]!;
  }

  /** The set that is to be tried first from now on. */
  prefer(set: number): void {
    this.#last = set;
  }

  /** Whether all `tags` of the line are the first ones of the set. If they are not exactly its tags, no field is expected. */
  areTags(set: number, tags: number): boolean {
    if (this.expected < 0) return false;
    const known = this.tagCounts[set]!;
    if (tags !== known) this.expected = -1;
    return tags <= known;
  }

  /** Whether the line, which has `fields` fields, has just the set's keys. */
  isAll(set: number, fields: number): boolean {
    return this.expected >= 0 && fields === this.fieldCounts[set];
  }

  /** The one of the line before is tried first. */
  #findSet(from: number): number {
    const last = this.#last;
    if (last >= 0 && this.#isMeasurement(last, from)) return last;
    for (let set = 0; set < this.count; set++) {
      if (!this.#isMeasurement(set, from)) continue;
      this.#last = set;
      return set;
    }
    return -1;
  }

  #isMeasurement(set: number, from: number): boolean {
    const length = this.measurements[set]!;
    const end = from + length;
    if (length === 0 || end >= this.#end) return false;
    const c = this.#lines[end];
    return (c === COMMA || c === SPACE) && this.isSame(set * ROOM, length, from);
  }

  /** Whether the expected key stands at `from`. If not, none is expected any more. */
  isExpected(from: number): boolean {
    const n = this.expected;
    if (n < 0) return false;
    const length = this.lengths[n]!;
    if (
      n < this.#behind &&
      from + length <= this.#end &&
      this.isSame(this.starts[n]!, length, from)
    )
      return true;
    this.expected = -1;
    return false;
  }

  /**
   * Whether `length` known bytes stand at `from`, too. The caller has checked that so many are there. Eight at a time, as doubles: no ASCII
   * text is a NaN, and none without NUL is a zero, so they are equal when their bytes are.
   */
  isSame(knownAt: number, length: number, from: number): boolean {
    const known = this.view;
    const lines = this.#linesView;
    if (length < 8) {
      for (let i = 0; i < length; i++)
        if (known.getUint8(knownAt + i) !== lines.getUint8(from + i)) return false;
      return true;
    }
    const last = length - 8;
    for (let i = 0; i < last; i += 8)
      if (known.getFloat64(knownAt + i, true) !== lines.getFloat64(from + i, true)) return false;
    return known.getFloat64(knownAt + last, true) === lines.getFloat64(from + last, true);
  }

  /** Remembers the names of a good line; the oldest set makes room. Nothing happens when they are unusual. */
  learn(
    bytes: Uint8Array,
    from: number,
    end: number,
    pairs: Int32Array,
    tags: number,
    fields: number,
  ): void {
    const set = this.#next;
    if (tags + fields > KNOWN_PAIRS) return;
    const limit = (set + 1) * ROOM;
    // The set is of no use until all of it is there.
    this.versions[set]!++;
    this.measurements[set] = 0;
    this.#unlink(set);
    let at = this.#name(set * ROOM, limit, bytes, from, end);
    for (let n = 0; n < tags + fields && at >= 0; n++) {
      const start = at;
      const i = n * PAIR;
      at = this.#name(at, limit, bytes, pairs[i + Pair.keyAt]!, pairs[i + Pair.keyEnd]! + 1);
      this.starts[set * KNOWN_PAIRS + n] = start;
      this.lengths[set * KNOWN_PAIRS + n] = at - start;
    }
    if (at < 0) return;
    this.measurements[set] = end - from;
    this.tagCounts[set] = tags;
    this.fieldCounts[set] = fields;
    this.count = Math.max(this.count, set + 1);
    this.#next = (set + 1) % KNOWN_SETS;
    this.#link(set);
  }

  #unlink(set: number): void {
    const before = this.#twins.indexOf(set);
    this.#twins[before] = this.#twins[set]!;
    this.#twins[set] = set;
  }

  #link(set: number): void {
    const { bytes, measurements } = this;
    const nameOf = (of: number) => bytes.subarray(of * ROOM, of * ROOM + measurements[of]!);
    const name = nameOf(set);
    for (let other = 0; other < this.count; other++) {
      if (other === set || Buffer.compare(nameOf(other), name) !== 0) continue;
      this.#twins[set] = this.#twins[other]!;
      this.#twins[other] = set;
      return;
    }
  }

  /** End of the copy, or -1. */
  #name(at: number, limit: number, bytes: Uint8Array, from: number, end: number): number {
    if (at + end - from > limit) return -1;
    let o = at;
    for (let p = from; p < end; p++) {
      const c = bytes[p]!;
      if (c > 127 || c === BACKSLASH) return -1;
      this.bytes[o++] = c;
    }
    return o;
  }
}
