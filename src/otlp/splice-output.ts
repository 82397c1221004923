import { copy } from "../wire/copy.ts";
import { SLACK } from "../wire/slack.ts";
import type { Batch } from "./batch.ts";
import { fieldStart } from "./edits.ts";

/** Lengths of messages around items are written in this many bytes, put in when the message ends. */
export const OUTER_WIDTH = 4;

/** A message that is being written: where its content and its field start in the output, and what was there before. */
export class Open {
  isOpen = false;
  content = 0;
  /** Position in the source where its content ends. */
  end = 0;
  #field = 0;
  #top = 0;
  #items = 0;
  #drops = 0;

  begin(s: Output, at: number, end: number): void {
    const field = fieldStart(s.source, at);
    s.flush(field);
    this.isOpen = true;
    this.end = end;
    this.#field = s.o;
    this.#top = s.top;
    this.#items = s.items;
    this.#drops = s.drops;
    s.reserve(1 + OUTER_WIDTH);
    s.bytes[s.o] = s.source[field]!;
    s.o += 1 + OUTER_WIDTH;
    s.from = at;
    this.content = s.o;
  }

  /** Ends the message; one that lost all of its items is taken back. Answers whether it stays. */
  close(s: Output, mayGo: boolean): boolean {
    this.isOpen = false;
    if (mayGo && s.items === this.#items && s.drops > this.#drops) {
      s.o = this.#field;
      s.top = this.#top;
      s.from = this.end;
      return false;
    }
    s.flush(this.end);
    s.padded(this.content - OUTER_WIDTH, OUTER_WIDTH, s.o - this.content);
    return true;
  }
}

/** The bytes a splice writes. */
export class Output {
  readonly source: Uint8Array;
  readonly sourceView: DataView;
  bytes: Uint8Array;
  view: DataView;
  /** Next byte of the output. */
  o = 0;
  /** First byte of the source that is not yet in the output: a position p behind it moves by o − from. */
  from = 0;
  /** Ints on the new tape, items written, items left out. */
  top = 0;
  items = 0;
  drops = 0;

  constructor(batch: Batch, capacity: number) {
    this.source = batch.bytes;
    this.sourceView = batch.view;
    this.bytes = blank(capacity + SLACK);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Makes room for `count` bytes and the overshoot of a word copy. */
  reserve(count: number): void {
    if (this.o + count + SLACK > this.bytes.length) this.#grow(this.o + count + SLACK);
  }

  #grow(need: number): void {
    const larger = blank(Math.max(need, this.bytes.length + (this.bytes.length >> 1)));
    larger.set(this.bytes.subarray(0, this.o));
    this.bytes = larger;
    this.view = new DataView(larger.buffer);
  }

  /** Copies the source up to `until`. */
  flush(until: number): void {
    const count = until - this.from;
    if (count <= 0) return;
    this.reserve(count);
    this.o = copy(this.view, this.o, this.sourceView, this.from, count);
    this.from = until;
  }

  /** `value` as a varint of exactly `width` bytes at `at`. */
  padded(at: number, width: number, value: number): void {
    const { bytes } = this;
    for (let i = 1; i < width; i++) {
      bytes[at++] = (value & 127) | 128;
      value >>>= 7;
    }
    bytes[at] = value;
  }

  /** An unsigned number; there must be room. */
  varint(value: number): void {
    const { bytes } = this;
    for (; value > 127; value >>>= 7) bytes[this.o++] = (value & 127) | 128;
    bytes[this.o++] = value;
  }
}

/** Memory that is not cleared first, which would cost as much as filling it. All of it that counts is written. */
export function blank(length: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
}
