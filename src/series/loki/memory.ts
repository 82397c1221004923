import { SLACK } from "../../wire/slack.ts";

/** Memory that grows and keeps its content; whoever writes to it takes `view` anew after each `need`. */
export class GrowingMemory {
  bytes = new Uint8Array(1 << 16);
  view = new DataView(this.bytes.buffer);

  /** Makes room for everything up to `end`, and slack behind it. */
  need(end: number): void {
    if (end + SLACK > this.bytes.length) this.#grow(end + SLACK);
  }

  #grow(length: number): void {
    const larger = new Uint8Array(Math.max(length, this.bytes.length * 2));
    larger.set(this.bytes);
    this.bytes = larger;
    this.view = new DataView(larger.buffer);
  }
}

/** A longer copy, for `length` ints at least. */
export function longer(ints: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const more = new Int32Array(Math.max(length, ints.length * 2));
  more.set(ints);
  return more;
}

/** Writes a varint of up to 31 bits; returns its end. */
export function writeVarint(out: DataView, at: number, value: number): number {
  let rest = value;
  while (rest > 127) {
    out.setUint8(at++, (rest & 127) | 128);
    rest >>>= 7;
  }
  out.setUint8(at, rest);
  return at + 1;
}

/** Bytes of that varint. */
export function varintLength(value: number): number {
  if (value < 128) return 1;
  return value < 16_384 ? 2 : value < 2_097_152 ? 3 : value < 268_435_456 ? 4 : 5;
}
