import { Buffer } from "node:buffer";
import { SLACK } from "../wire/slack.ts";
import { varintSize } from "./build.ts";
import { type FieldTable, NUMBERS } from "./read-json-fields.ts";
import { NoRoom, type Room } from "./room.ts";

/**
 * Room that is always kept beyond what the rest of the input can become: word copies overshoot, and the lengths of messages that are
 * open may have been guessed some bytes too long.
 */
const MARGIN = 4_096;
/** What is moved byte by byte; larger pieces are held in memory of their own. */
const FEW_BYTES = 64;
const MEMBERS = 256;
/** Least that is taken from the budget at once. */
const CHARGED_BYTES = 1 << 18;
/** Ints per member. */
const MEMBER = 3;
/** Bits that are no field's number: a member stands behind one of a higher number; one is there twice, or excludes another. */
const OUT_OF_ORDER = 1;
const REPEATED = 1 << 30;
/** KeyValue.key */
const KEY = 0x0a;

const NO_BYTES = new Uint8Array(0);
const NO_VIEW = new DataView(new ArrayBuffer(0));

/**
 * The protobuf that is being written, and which members of the open messages stand where: JSON has them in any order, twice, or several
 * of a oneof. As JSON is longer than the same as protobuf but for lists of numbers, room is asked for now and then only (`keep`).
 */
export class JsonOutput {
  bytes: Uint8Array = NO_BYTES;
  view: DataView = NO_VIEW;
  /** Bytes written. */
  length = 0;
  readonly #table: FieldTable;
  readonly #room: Room | undefined;
  /** Bytes the length of a message took last time. */
  readonly #widths: Uint8Array;
  /** Of each member: field number, start, and bits: one per number up to here, OUT_OF_ORDER, REPEATED. */
  #members = new Int32Array(MEMBER * MEMBERS);
  #memberTop = 0;
  /** Bytes taken from the budget. */
  #charged = 0;
  readonly #held = new Uint8Array(FEW_BYTES);

  /** `room`: what larger memory is taken from. */
  constructor(table: FieldTable, room?: Room) {
    this.#table = table;
    this.#room = room;
    this.#widths = new Uint8Array(table.messageCount).fill(1);
  }

  /** For input of `bytes`. */
  begin(bytes: number): void {
    this.length = 0;
    this.#memberTop = 0;
    this.#charged = 0;
    this.keep(bytes);
  }

  /** Makes room for what `rest` bytes of input become. */
  keep(rest: number): void {
    if (this.bytes.length - this.length < rest + MARGIN) this.#enlarge(this.length + rest + MARGIN);
    if (this.length > this.#charged) this.#charge(this.length >>> 2);
  }

  /** Takes from the budget what has been written and is not paid for yet, and `ahead` bytes. Memory that is not written to costs nothing. */
  #charge(ahead: number): void {
    const bytes = this.length - this.#charged + Math.max(ahead, CHARGED_BYTES);
    if (this.#room?.grow(bytes) === false) throw new NoRoom();
    this.#charged += bytes;
  }

  /** Takes from the budget what is missing, at the end. */
  settle(): void {
    if (this.length > this.#charged) this.#charge(0);
  }

  #enlarge(need: number): void {
    const size = Math.max(need, Math.ceil(this.length * 1.5));
    // What was written so far is there twice for a while.
    if (this.#room?.grow(this.length) === false) throw new NoRoom();
    const larger = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer, 0, size);
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
    this.view = new DataView(larger.buffer);
  }

  /** An unsigned number below 2^32 as a varint. */
  varint(value: number): void {
    const bytes = this.bytes;
    let at = this.length;
    for (; value > 127; value >>>= 7) bytes[at++] = (value & 127) | 128;
    bytes[at++] = value;
    this.length = at;
  }

  /** A 64-bit number given as its halves. */
  varint64(low: number, high: number): void {
    const bytes = this.bytes;
    let at = this.length;
    while (high !== 0) {
      bytes[at++] = (low & 127) | 128;
      low = (low >>> 7) | (high << 25);
      high >>>= 7;
    }
    this.length = at;
    this.varint(low >>> 0);
  }

  /** Starts a field of tag and length; returns where its content begins. `width`: bytes to keep for the length. */
  open(tag: number, width: number): number {
    this.varint(tag);
    this.length += width;
    return this.length;
  }

  /** Bytes to keep for the length of such a message: as many as the last one had. */
  widthOf(message: number): number {
    return this.#widths[message]!;
  }

  closeMessage(start: number, width: number, message: number): void {
    this.#widths[message] = varintSize(this.length - start);
    this.close(start, width);
  }

  /** Ends the field whose content begins at `start` and whose length has `width` bytes: as many as it needs, the content moves. */
  close(start: number, width: number): void {
    let rest = this.length - start;
    let at = start - width;
    const used = varintSize(rest);
    if (used !== width) {
      this.bytes.copyWithin(at + used, start, this.length);
      this.length += used - width;
    }
    for (; rest > 127; rest >>>= 7) this.bytes[at++] = (rest & 127) | 128;
    this.bytes[at] = rest;
  }

  /** A copy of what was written, with SLACK behind it. */
  copy(): Uint8Array {
    return this.bytes.slice(0, this.length + SLACK);
  }

  /** Lets go of the memory. */
  release(): void {
    this.bytes = NO_BYTES;
    this.view = NO_VIEW;
  }

  /** Undoes everything behind `length`, and forgets members noted since `mark`. */
  rewind(length: number, mark: number): void {
    this.length = length;
    this.#memberTop = mark;
  }

  /** Where the members of the next message are noted. */
  get mark(): number {
    return this.#memberTop;
  }

  /** Notes that the field `number` of a message, whose members are noted since `mark`, begins here. */
  member(message: number, number: number, mark: number): void {
    const top = this.#memberTop;
    if (top + MEMBER > this.#members.length) this.#enlargeMembers();
    const members = this.#members;
    let bits = 0;
    if (top > mark) {
      bits = members[top - 1]!;
      const rivals = this.#table.siblings[message * NUMBERS + number]! | (1 << number);
      if (number < members[top - MEMBER]!) bits |= OUT_OF_ORDER;
      if ((rivals & bits) !== 0) bits |= REPEATED;
    }
    members[top] = number;
    members[top + 1] = this.length;
    members[top + 2] = bits | (1 << number);
    this.#memberTop = top + MEMBER;
  }

  #enlargeMembers(): void {
    const larger = new Int32Array(2 * this.#members.length);
    larger.set(this.#members);
    this.#members = larger;
  }

  /**
   * Ends a message whose members are noted since `mark`: puts them into the order of their numbers; of those that are there twice or exclude
   * each other, the last one stays.
   */
  arrange(message: number, mark: number): void {
    const top = this.#memberTop;
    const bits = top > mark ? this.#members[top - 1]! : 0;
    if ((bits & REPEATED) !== 0) this.#dropRepeated(message, mark);
    if ((bits & OUT_OF_ORDER) !== 0) this.#sort(mark);
    this.#memberTop = mark;
  }

  /** Insertion from behind: most senders have one member out of place, which moves once. */
  #sort(mark: number): void {
    const members = this.#members;
    const top = this.#memberTop;
    for (let i = top - 2 * MEMBER; i >= mark; i -= MEMBER) {
      let j = i + MEMBER;
      while (j < top && members[j]! < members[i]!) j += MEMBER;
      if (j > i + MEMBER) this.#moveBehind(i, j);
    }
  }

  /** Takes the field back that begins at `at`, if all behind its tag is zero: a number, or the length of an empty text. */
  dropZero(at: number): void {
    const { bytes, length } = this;
    let p = at + (bytes[at]! > 127 ? 2 : 1);
    while (p < length && bytes[p] === 0) p++;
    if (p === length) this.length = at;
  }

  /** A KeyValue that begins at `start` and has no key gets an empty one, which stands before its value. */
  addKey(start: number): void {
    if (this.length > start && this.bytes[start] === KEY) return;
    this.bytes.copyWithin(start + 2, start, this.length);
    this.bytes[start] = KEY;
    this.bytes[start + 1] = 0;
    this.length += 2;
  }

  /** Moves the member at `i` behind those up to `j`. */
  #moveBehind(i: number, j: number): void {
    const members = this.#members;
    const number = members[i]!;
    const start = members[i + 1]!;
    const middle = members[i + MEMBER + 1]!;
    const end = j < this.#memberTop ? members[j + 1]! : this.length;
    this.#swap(start, middle, end);
    for (let k = i; k < j - MEMBER; k += MEMBER) {
      members[k] = members[k + MEMBER]!;
      members[k + 1] = members[k + MEMBER + 1]! - (middle - start);
    }
    members[j - MEMBER] = number;
    members[j - MEMBER + 1] = end - (middle - start);
  }

  /** Lets [start, middle) and [middle, end) change places; the smaller one is held elsewhere meanwhile. */
  #swap(start: number, middle: number, end: number): void {
    const { bytes } = this;
    const left = middle - start;
    const right = end - middle;
    const size = Math.min(left, right);
    const from = left <= right ? start : middle;
    const held = this.#hold(from, size);
    if (left <= right) bytes.copyWithin(start, middle, end);
    else bytes.copyWithin(start + right, start, middle);
    const to = left <= right ? start + right : start;
    if (size > FEW_BYTES) bytes.set(held.subarray(0, size), to);
    else for (let i = 0; i < size; i++) bytes[to + i] = held[i]!;
  }

  #hold(from: number, size: number): Uint8Array {
    if (size > FEW_BYTES) return this.bytes.slice(from, from + size);
    const held = this.#held;
    for (let i = 0; i < size; i++) held[i] = this.bytes[from + i]!;
    return held;
  }

  #dropRepeated(message: number, mark: number): void {
    const members = this.#members;
    const top = this.#memberTop;
    const { siblings } = this.#table;
    let gone = 0; // a bit per number
    let end = this.length;
    for (let i = top - MEMBER; i >= mark; i -= MEMBER) {
      const number = members[i]!;
      const start = members[i + 1]!;
      if ((gone >>> number) & 1) members[i] = 0;
      gone |= 1 << number;
      if (end > start && members[i] !== 0) gone |= siblings[message * NUMBERS + number]!;
      end = start;
    }
    let to = mark < top ? members[mark + 1]! : this.length;
    let kept = mark;
    for (let i = mark; i < top; i += MEMBER) {
      const start = members[i + 1]!;
      const stop = i + MEMBER < top ? members[i + MEMBER + 1]! : this.length;
      if (members[i] === 0) continue;
      if (to !== start) this.bytes.copyWithin(to, start, stop);
      members[kept] = members[i]!;
      members[kept + 1] = to;
      to += stop - start;
      kept += MEMBER;
    }
    this.length = to;
    this.#memberTop = kept;
  }
}
