import { copy } from "../../wire/copy.ts";
import type { Slab } from "../writer.ts";
import { GrowingMemory, longer, varintLength, writeVarint } from "./memory.ts";

/** Tags of PushRequest.streams, of StreamAdapter.labels, and of StreamAdapter.entries (pkg/push/push.proto). */
const STREAMS = 0x0a;
const LABELS = 0x0a;
export const ENTRIES = 0x12;

/** Ints of a stream. */
const STREAM = 8;
const Stream = {
  labelsAt: 0,
  labelsLength: 1,
  hash: 2,
  first: 3, // row, or -1
  last: 4,
  rows: 5,
  bytes: 6, // of its entries
  isOutOfOrder: 7,
} as const;

/** Ints of a row, which is an entry with its tag and length. */
const ROW = 5;
const Row = { at: 0, length: 1, low: 2, high: 3, next: 4 } as const;
const NONE = -1;

/** Tags and lengths of one stream at most, without its labels. */
const FRAMING = 12;

/**
 * The entries of one push, by stream: they are written one behind the other into `entries` as records come, found by the hash of
 * their labels, and put together at the end, each stream's in the order of their times. Nothing is made per record.
 */
export class Streams {
  /** Where entries are written to. */
  readonly #entries: GrowingMemory;
  /** Bytes of all that was added, at most. */
  size = 0;
  rows = 0;
  readonly #labels = new GrowingMemory();
  #labelsEnd = 0;
  #streams = new Int32Array(16 * STREAM);
  #count = 0;
  #rowInts = new Int32Array(1024 * ROW);
  /** Number of a stream + 1, by hash. */
  #slots = new Int32Array(64);
  #order = new Int32Array(0);
  #sorted = new Int32Array(0);
  readonly #seed: number;

  /** Any seed gives the same bytes; a random one keeps senders from choosing labels that collide. */
  constructor(entries: GrowingMemory, seed: number = Math.floor(Math.random() * 0x7fffffff)) {
    this.#entries = entries;
    this.#seed = seed;
  }

  reset(): void {
    this.size = 0;
    this.rows = 0;
    this.#labelsEnd = 0;
    this.#count = 0;
    this.#slots.fill(0);
  }

  /** The stream whose labels are the `length` bytes at the start of a memory. */
  find({ bytes, view }: GrowingMemory, length: number): number {
    let hash = this.#seed ^ length;
    for (let i = 0; i < length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
    hash ^= hash >>> 15;
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const found = this.#slots[slot]! - 1;
      if (found < 0) {
        this.#slots[slot] = this.#count + 1;
        return this.#add(hash, view, length);
      }
      if (this.#isSame(found * STREAM, hash, bytes, length)) return found;
    }
  }

  #isSame(at: number, hash: number, bytes: Uint8Array, length: number): boolean {
    const streams = this.#streams;
    if (streams[at + Stream.hash] !== hash || streams[at + Stream.labelsLength] !== length)
      return false;
    const own = this.#labels.bytes;
    const from = streams[at + Stream.labelsAt]!;
    for (let i = 0; i < length; i++) if (own[from + i] !== bytes[i]) return false;
    return true;
  }

  #add(hash: number, labels: DataView, length: number): number {
    const number = this.#count++;
    const at = number * STREAM;
    if (at + STREAM > this.#streams.length) this.#streams = longer(this.#streams, at + STREAM);
    const streams = this.#streams;
    this.#labels.need(this.#labelsEnd + length);
    copy(this.#labels.view, this.#labelsEnd, labels, 0, length);
    streams[at + Stream.labelsAt] = this.#labelsEnd;
    streams[at + Stream.labelsLength] = length;
    streams[at + Stream.hash] = hash;
    streams[at + Stream.first] = NONE;
    streams[at + Stream.last] = NONE;
    streams[at + Stream.rows] = 0;
    streams[at + Stream.bytes] = 0;
    streams[at + Stream.isOutOfOrder] = 0;
    this.#labelsEnd += length;
    if (2 * this.#count > this.#slots.length) this.#rehash();
    return number;
  }

  #rehash(): void {
    const slots = new Int32Array(this.#slots.length * 4);
    const mask = slots.length - 1;
    for (let i = 0; i < this.#count; i++) {
      let slot = this.#streams[i * STREAM + Stream.hash]! & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = i + 1;
    }
    this.#slots = slots;
  }

  /** Bytes that a stream takes beside its entries, once it has one; 0 when they are in `size` already. */
  framing(stream: number): number {
    const at = stream * STREAM;
    return this.#streams[at + Stream.rows] === 0
      ? this.#streams[at + Stream.labelsLength]! + FRAMING
      : 0;
  }

  /** Adds the entry at [at, at + length) of `entries`, tag and length included, with its time. */
  add(stream: number, at: number, length: number, low: number, high: number): void {
    this.size += length + this.framing(stream);
    const row = this.rows++;
    const r = row * ROW;
    if (r + ROW > this.#rowInts.length) this.#rowInts = longer(this.#rowInts, r + ROW);
    const rows = this.#rowInts;
    rows[r + Row.at] = at;
    rows[r + Row.length] = length;
    rows[r + Row.low] = low;
    rows[r + Row.high] = high;
    rows[r + Row.next] = NONE;
    const streams = this.#streams;
    const s = stream * STREAM;
    const last = streams[s + Stream.last]!;
    if (last === NONE) streams[s + Stream.first] = row;
    else {
      rows[last * ROW + Row.next] = row;
      if (this.#isLater(last, row)) streams[s + Stream.isOutOfOrder] = 1;
    }
    streams[s + Stream.last] = row;
    streams[s + Stream.rows]!++;
    streams[s + Stream.bytes]! += length;
  }

  /** Whether the time of row `a` is later than that of row `b`. */
  #isLater(a: number, b: number): boolean {
    const rows = this.#rowInts;
    const high = rows[a * ROW + Row.high]! - rows[b * ROW + Row.high]!;
    if (high !== 0) return high > 0;
    return rows[a * ROW + Row.low]! >>> 0 > rows[b * ROW + Row.low]! >>> 0;
  }

  /** Writes the PushRequest to a memory; returns its end. It takes `size` bytes at most. */
  write({ bytes, view: out }: Pick<Slab, "bytes" | "view">, at: number): number {
    const streams = this.#streams;
    let o = at;
    for (let s = 0; s < this.#count * STREAM; s += STREAM) {
      if (streams[s + Stream.rows] === 0) continue;
      if (streams[s + Stream.isOutOfOrder] === 1) this.#sort(s);
      const length = streams[s + Stream.labelsLength]!;
      const head = 1 + varintLength(length) + length;
      out.setUint8(o, STREAMS);
      o = writeVarint(out, o + 1, head + streams[s + Stream.bytes]!);
      out.setUint8(o, LABELS);
      o = writeVarint(out, o + 1, length);
      o = copy(out, o, this.#labels.view, streams[s + Stream.labelsAt]!, length);
      o = this.#rowsFrom(streams[s + Stream.first]!, bytes, o);
    }
    return o;
  }

  /** Copies the rows from `first` on, as many at a time as stand one behind the other. */
  #rowsFrom(first: number, out: Uint8Array, at: number): number {
    const rows = this.#rowInts;
    const { bytes } = this.#entries;
    let o = at;
    for (let row = first; row !== NONE; ) {
      const from = rows[row * ROW + Row.at]!;
      let end = from;
      for (; row !== NONE && rows[row * ROW + Row.at] === end; row = rows[row * ROW + Row.next]!)
        end += rows[row * ROW + Row.length]!;
      out.set(bytes.subarray(from, end), o);
      o += end - from;
    }
    return o;
  }

  /** Puts the rows of a stream into the order of their times; equal ones stay as they came. Merges from the bottom up. */
  #sort(s: number): void {
    const count = this.#streams[s + Stream.rows]!;
    const rows = this.#rowInts;
    if (count > this.#order.length) {
      this.#order = new Int32Array(2 * count);
      this.#sorted = new Int32Array(2 * count);
    }
    let from = this.#order;
    let to = this.#sorted;
    let row = this.#streams[s + Stream.first]!;
    for (let i = 0; i < count; i++) {
      from[i] = row;
      row = rows[row * ROW + Row.next]!;
    }
    for (let width = 1; width < count; width *= 2) {
      for (let i = 0; i < count; i += 2 * width) this.#merge(from, to, i, width, count);
      [from, to] = [to, from];
    }
    this.#streams[s + Stream.first] = from[0]!;
    for (let i = 0; i < count; i++)
      rows[from[i]! * ROW + Row.next] = i + 1 < count ? from[i + 1]! : NONE;
  }

  /** Merges from[i, i + width) and from[i + width, i + 2 × width) into the same place of `to`. */
  #merge(from: Int32Array, to: Int32Array, i: number, width: number, count: number): void {
    const middle = Math.min(i + width, count);
    const end = Math.min(i + 2 * width, count);
    let a = i;
    let b = middle;
    for (let k = i; k < end; k++)
      to[k] =
        b === end || (a < middle && !this.#isLater(from[a]!, from[b]!)) ? from[a++]! : from[b++]!;
  }
}
