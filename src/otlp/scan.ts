import { Buffer } from "node:buffer";
import { FIRST, type KeyTable } from "./key-table.ts";
import { ENTRY, ITEM_HEADER } from "./tape.ts";

/** Deepest AnyValue in an AnyValue: the value of an attribute or body is at depth 1. */
export const MAX_DEPTH = 64;
/** A length that no parent has room for. */
const TOO_LONG = 0x7fffffff;
/** Tapes up to here are copied out of a scratch (ints). */
const SCRATCH_INTS = 1 << 12;
/** Part of its memory that a tape must fill if it is not to be copied; one of more than COPIED_INTS never is: that would take too long. */
const FULL = 0.85;
const COPIED_INTS = 1 << 20;
/** A name that was not the expected one costs as much more as looking up so many at once. */
const SURPRISE_COST = 3;
/** Requests whose names are looked up before one is tried with predictions again. */
const TRIAL_EVERY = 32;
/** What can be put off: kinds of whole fields that are only checked and leave nothing on the tape, except a Status. */
export const Check = {
  list: 0,
  map: 1,
  keyValueTail: 2,
  event: 3,
  link: 4,
  status: 5,
  exemplar: 6,
  quantile: 7,
  buckets: 8,
  varints: 9,
} as const;
export type Check = (typeof Check)[keyof typeof Check];
const NONE = new Int32Array(0);
const NO_BYTES = new Uint8Array(0);
const NO_VIEW = new DataView(new ArrayBuffer(0));

/**
 * The state of one indexing pass: where it reads and the tape it writes. The pass accepts canonical, valid wire only; at the
 * first thing that is not, its functions answer `false`, and canonicalize (the slow judge) looks at the whole request.
 * Reads may run up to 12 bytes behind a message's end, which slack makes harmless; every end is compared before it is believed.
 */
export class Scan {
  readonly keys: KeyTable;
  bytes: Uint8Array = NO_BYTES;
  view: DataView = NO_VIEW;
  tape: Int32Array = NONE;
  /** For requests whose tape is short, and copied. */
  readonly #scratch: Int32Array = new Int32Array(SCRATCH_INTS);
  /** Ints per byte of the request before, at most 1. */
  #density = 0.5;
  /** Ints written. */
  top = 0;
  items = 0;
  /** Tape index of the current GROUP and METRIC. */
  group = 0;
  metric = 0;
  isTooLarge = false;
  /** Row of the key table's expectations for the next attribute: the key before it, or where its message begins (`FIRST`). */
  before: number = FIRST.item;
  /** Names of attributes are looked up at once, and not predicted first: the sender seems to shuffle them. */
  isShuffled = false;
  /** Names of this request that were not the expected ones. */
  surprises = 0;
  /** Requests until names are predicted again, where they are not. */
  #untilTrial = 0;
  /** Where the last multi-byte varint ended. */
  at = 0;
  /** The Buckets being read have their counts already. */
  hasCounts = false;
  /** Parts of more bytes than this are checked later. In a pass that never pauses, none is. */
  largest = Number.POSITIVE_INFINITY;
  /** What is to be checked later: four numbers each, see `putOff`. */
  readonly later: number[] = [];
  #limit = 0;

  constructor(keys: KeyTable) {
    this.keys = keys;
  }

  /** `limit`: most ints the tape may have; `length`: bytes of the request, if its tape is to be as large as the one before suggests. */
  begin(bytes: Uint8Array, view: DataView, limit: number, length = 0): void {
    this.bytes = bytes;
    this.view = view;
    this.top = 0;
    this.items = 0;
    this.surprises = 0;
    this.isTooLarge = false;
    this.largest = Number.POSITIVE_INFINITY;
    this.later.length = 0;
    this.#limit = limit;
    const ints = Math.min(Math.ceil(length * this.#density * 1.03) + 16, limit + 4);
    this.tape = ints < SCRATCH_INTS ? this.#scratch : uninitialized(ints);
  }

  /** The tape of a request of `length` bytes. Lets go of everything. */
  finish(length: number): Int32Array {
    if (length > 0) this.#density = Math.min(1, this.top / length);
    this.#judge();
    return this.handOver();
  }

  /** Whether to predict the names of the next request, from what came of it in this one. */
  #judge(): void {
    if (this.isShuffled) this.isShuffled = --this.#untilTrial > 0;
    else if (this.surprises * SURPRISE_COST > (this.top - this.items * ITEM_HEADER) / ENTRY) {
      this.isShuffled = true;
      this.#untilTrial = TRIAL_EVERY;
    }
  }

  /** The tape itself, where little of its memory is unused: so that a large one need not be copied at once. Ends this scan. */
  handOver(): Int32Array {
    const isFull =
      this.top > COPIED_INTS || (this.tape !== this.#scratch && this.top > this.tape.length * FULL);
    const tape = isFull
      ? new Int32Array(this.tape.buffer, 0, this.top)
      : this.tape.slice(0, this.top);
    this.release();
    return tape;
  }

  /** Ends this scan without a tape, whose memory is free at once where it is much. */
  discard(): void {
    if (this.tape.length > COPIED_INTS) letGo(this.tape);
    this.release();
  }

  release(): void {
    this.tape = NONE;
    this.later.length = 0;
    this.bytes = NO_BYTES;
    this.view = NO_VIEW;
  }

  /**
   * Ints that the tape should have so that `ints` more fit: enough for the whole request of `length` bytes, if it goes on as it did up
   * to `position`, and some more. 0: it has them. A short tape need not have room for all that may come: `room` copies it in no time.
   */
  foresee(ints: number, position: number, length: number): number {
    const most = this.#limit + 4;
    const isShort = this.top <= COPIED_INTS;
    const usual = position === 0 ? 0 : Math.ceil((this.top / position) * length * 1.02) + 16;
    const need = Math.min(isShort ? usual : this.top + ints + 4, most);
    if (need <= this.tape.length) return 0;
    const all = Math.max(usual * 1.1, this.tape.length * (isShort ? 1.25 : 1.5));
    return Math.min(Math.max(need, Math.ceil(all)), most);
  }

  /** Leaves the check of a large part for later (`index-large.ts`); false where it is small enough to be done now. */
  putOff(check: Check, p: number, end: number, extra = 0): boolean {
    if (end - p <= this.largest) return false;
    this.later.push(check, p, end, extra);
    return true;
  }

  /** Makes room for `ints` more (and 4 beyond); false when the tape would be over its limit. */
  room(ints: number): boolean {
    const need = this.top + ints + 4;
    return need <= this.tape.length || this.#grow(need);
  }

  #grow(need: number): boolean {
    if (need - 4 > this.#limit) {
      this.isTooLarge = true;
      return false;
    }
    this.#enlarge(Math.max(need, Math.min(this.tape.length * 2, this.#limit + 4)));
    return true;
  }

  #enlarge(ints: number): void {
    const larger = uninitialized(ints);
    larger.set(this.tape.subarray(0, this.top));
    this.tape = larger;
  }

  /** Goes on with a larger tape, which has all that the present one has. */
  move(tape: Int32Array): void {
    const before = this.tape;
    this.tape = tape;
    if (before !== this.#scratch) letGo(before);
  }

  /** A length whose first byte (at `p`) has the continuation bit. Leaves its end in `at`; TOO_LONG for what no int32 holds. */
  long(p: number): number {
    const bytes = this.bytes;
    let value = bytes[p]! & 127;
    for (let shift = 7; shift < 35; shift += 7) {
      const byte = bytes[++p]!;
      if (shift === 28 && byte > 7) break;
      value |= (byte & 127) << shift;
      if (byte < 128) {
        this.at = p + 1;
        return value;
      }
    }
    this.at = p;
    return TOO_LONG;
  }

  /** End of the payload whose length is at `p`, or -1 when it does not end within `end`. Leaves its start in `at`. */
  sized(p: number, end: number): number {
    let length = this.bytes[p]!;
    if (length < 128) this.at = p + 1;
    else length = this.long(p);
    return length > end - this.at ? -1 : this.at + length;
  }

  /** End of the varint at `p`, or -1: longer than 10 bytes, beyond `end`, or more than 64 bits. */
  varintEnd(p: number, end: number): number {
    const bytes = this.bytes;
    for (let n = 1; p < end && n <= 10; n++) {
      const byte = bytes[p++]!;
      if (byte < 128) return n === 10 && byte > 1 ? -1 : p;
    }
    return -1;
  }

  /** The enum whose varint is at `p`, or 0 when it is above `max` (a future number, or a negative one). */
  smallEnum(p: number, max: number): number {
    const first = this.bytes[p]!;
    const value = first < 128 ? first : this.long(p);
    return value <= max ? value : 0;
  }

  /**
   * Skips the unknown field that starts at `p`; its end, or -1 for a field that is malformed or whose number is in `known` (a bit
   * per field number: here it has the wrong wire type, or stands where canonical wire does not have it).
   */
  skip(p: number, end: number, known: number): number {
    let tag = this.bytes[p++]!;
    if (tag > 127) {
      tag = this.long(p - 1);
      if (tag === TOO_LONG || tag < 128) return -1;
      p = this.at;
    }
    const field = tag >>> 3;
    if (field === 0 || (field < 32 && (known >>> field) & 1)) return -1;
    switch (tag & 7) {
      case 0:
        return this.varintEnd(p, end);
      case 1:
        return end - p < 8 ? -1 : p + 8;
      case 2: {
        if (p >= end) return -1;
        let length = this.bytes[p++]!;
        if (length > 127) {
          length = this.long(p - 1);
          p = this.at;
        }
        return length > end - p ? -1 : p + length;
      }
      case 5:
        return end - p < 4 ? -1 : p + 4;
      default:
        return -1;
    }
  }
}

/** Memory for a tape: every int below `top` is written before anybody sees it. */
export function uninitialized(ints: number): Int32Array {
  return new Int32Array(Buffer.allocUnsafeSlow(ints * 4).buffer, 0, ints);
}

/** Frees the memory of a tape now, and not when the garbage collector comes. */
function letGo(tape: Int32Array): void {
  const { buffer } = tape;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** Position of the fixed64 or 8-byte id at `p`, or -1 when it is 0. */
export function nonZero(view: DataView, p: number): number {
  return (view.getInt32(p, true) | view.getInt32(p + 4, true)) === 0 ? -1 : p;
}

/** Position of the 16-byte id at `p`, or -1 when it is all zero. */
export function idAt(view: DataView, p: number): number {
  const low = view.getInt32(p, true) | view.getInt32(p + 4, true);
  const high = view.getInt32(p + 8, true) | view.getInt32(p + 12, true);
  return (low | high) === 0 ? -1 : p;
}
