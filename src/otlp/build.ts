import { SLACK } from "../wire/slack.ts";

/** Messages open at once. OTLP's own nesting is 10; AnyValues may add 2 per level up to 64. */
const MAX_OPEN = 256;

/** Bytes a length takes as a minimal varint. */
export function varintSize(value: number): number {
  if (value < 128) return 1;
  if (value < 16_384) return 2;
  if (value < 2_097_152) return 3;
  return value < 268_435_456 ? 4 : 5;
}

/**
 * Appends protobuf to a growing memory that always has SLACK behind it. `tag` is `field << 3 | wire type` (tags.gen.ts). A nested
 * message is written between `open` and `close`; its length is put in afterwards.
 */
export class ProtoWriter {
  bytes: Uint8Array;
  view: DataView;
  /** Bytes written. */
  length = 0;
  readonly #opened = new Int32Array(MAX_OPEN);
  readonly #widths = new Uint8Array(MAX_OPEN);
  #depth = 0;

  constructor(capacity = 4096) {
    this.bytes = new Uint8Array(capacity + SLACK);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Forgets what was written; keeps the memory. */
  clear(): void {
    this.length = 0;
    this.#depth = 0;
  }

  /** Makes room for `count` more bytes, and SLACK behind them. */
  reserve(count: number): void {
    const need = this.length + count + SLACK;
    if (need <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(need, this.bytes.length * 2));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
    this.view = new DataView(larger.buffer);
  }

  /** A copy that is nobody else's, with SLACK behind `length`. */
  take(): Uint8Array {
    return this.bytes.slice(0, this.length + SLACK);
  }

  /** An unsigned number below 2^32 as a varint, without a tag. */
  varint(value: number): void {
    this.reserve(10);
    const bytes = this.bytes;
    let at = this.length;
    for (; value > 127; value >>>= 7) bytes[at++] = (value & 127) | 128;
    bytes[at++] = value;
    this.length = at;
  }

  /** Any 64-bit integer as a varint, without a tag; negative ones take ten bytes. */
  varint64(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    this.reserve(10);
    for (; rest > 127n; rest >>= 7n) this.bytes[this.length++] = Number(rest & 127n) | 128;
    this.bytes[this.length++] = Number(rest);
  }

  /** A field with an unsigned number below 2^32. */
  uint(tag: number, value: number): void {
    this.varint(tag);
    this.varint(value);
  }

  /** A field with an int64 or uint64 varint. */
  int64(tag: number, value: bigint): void {
    this.varint(tag);
    this.varint64(value);
  }

  fixed64(tag: number, value: bigint): void {
    this.varint(tag);
    this.reserve(8);
    this.view.setBigUint64(this.length, BigInt.asUintN(64, value), true);
    this.length += 8;
  }

  fixed32(tag: number, value: number): void {
    this.varint(tag);
    this.reserve(4);
    this.view.setUint32(this.length, value, true);
    this.length += 4;
  }

  double(tag: number, value: number): void {
    this.varint(tag);
    this.reserve(8);
    this.view.setFloat64(this.length, value, true);
    this.length += 8;
  }

  /** A text field; unpaired surrogates become U+FFFD. */
  text(tag: number, value: string): void {
    this.open(tag, varintSize(value.length));
    this.reserve(value.length * 3);
    const { written } = new TextEncoder().encodeInto(value, this.bytes.subarray(this.length));
    this.length += written;
    this.close();
  }

  /** A text or bytes field, or a whole message, from bytes as they are. */
  data(tag: number, value: Uint8Array): void {
    this.varint(tag);
    this.varint(value.length);
    this.raw(value);
  }

  /** Bytes as they are, without tag and length. */
  raw(value: Uint8Array): void {
    this.reserve(value.length);
    this.bytes.set(value, this.length);
    this.length += value.length;
  }

  /** Starts a nested message. `width`: bytes kept for its length; a good guess saves moving the content when it is closed. */
  open(tag: number, width = 1): void {
    if (this.#depth === MAX_OPEN) throw new RangeError(`more than ${MAX_OPEN} messages are open`);
    this.varint(tag);
    this.reserve(width);
    this.length += width;
    this.#opened[this.#depth] = this.length;
    this.#widths[this.#depth++] = width;
  }

  /** Ends the message opened last. */
  close(): void {
    if (this.#depth === 0) throw new RangeError("no message is open");
    const start = this.#opened[--this.#depth]!;
    let width = this.#widths[this.#depth]!;
    const size = this.length - start;
    const wanted = varintSize(size);
    if (wanted > width) {
      this.reserve(wanted - width);
      this.bytes.copyWithin(start + wanted - width, start, this.length);
      this.length += wanted - width;
    }
    let at = start - width;
    width = Math.max(width, wanted);
    let rest = size;
    for (let i = 1; i < width; i++) {
      this.bytes[at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.bytes[at] = rest;
  }

  /** Undoes everything behind `length`, a value that it had; messages opened since are forgotten. */
  rewind(length: number): void {
    this.length = length;
    while (this.#depth > 0 && this.#opened[this.#depth - 1]! > length) this.#depth--;
  }
}
