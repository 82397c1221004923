import { setImmediate as breathe } from "node:timers/promises";
import { SLACK } from "../../wire/slack.ts";

/** Snappy, which the Collector's clients may send: as one block (prometheus) or framed (gRPC), told apart by the first bytes. */

/** What is wrong with the data; has no answer's words. */
export class SnappyError extends Error {}

/** The chunk that begins a framed stream. */
const MAGIC = Uint8Array.of(0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59);
const COMPRESSED = 0x00;
const PLAIN = 0x01;
const FIRST_SKIPPABLE = 0x80;
const HEAD_BYTES = 4;
const CRC_BYTES = 4;
/** Most bytes that one chunk of a frame may decode to. */
const CHUNK_BYTES = 65_536;
/** Decoded at a stretch; then the event loop is let go. */
const SLICE_BYTES = 2 << 20;
/** Chunks in one stream at most, beside one per KiB: walking over millions of empty ones would hold up the event loop. */
const FEW_CHUNKS = 4_096;
/** Shorter texts are copied byte by byte: a view of the input would cost more. */
const SHORT_BYTES = 32;
/** No input byte makes more than this: a copy of 64 bytes takes three. */
const MOST_GROWTH = 22;

/** Length of the decoded data as the input claims it. Throws SnappyError, also when so much cannot come of it. */
export function snappyLength(input: Uint8Array): number {
  let claimed = 0;
  if (!isFramed(input)) claimed = preamble(input, 0, input.length).value;
  else
    for (const { kind, from, to } of chunks(input))
      claimed +=
        kind === PLAIN ? to - from - CRC_BYTES : preamble(input, from + CRC_BYTES, to).value;
  if (claimed > input.length * MOST_GROWTH) throw new SnappyError("claims more than it can hold");
  return claimed;
}

/** Decodes; `length` as `snappyLength` said. SLACK bytes behind it are readable. Throws SnappyError. */
export async function unsnappy(input: Uint8Array, length: number): Promise<Uint8Array> {
  const output = new Uint8Array(Buffer.allocUnsafeSlow(length + SLACK).buffer);
  const parts = isFramed(input) ? chunks(input) : [{ kind: -1, from: 0, to: input.length }];
  let at = 0;
  let pause = SLICE_BYTES;
  for (const { kind, from, to } of parts) {
    const start = at;
    if (kind === PLAIN) {
      output.set(input.subarray(from + CRC_BYTES, to), at);
      at += to - from - CRC_BYTES;
    } else {
      const block = new Block(input, kind < 0 ? from : from + CRC_BYTES, to, output, at);
      at = block.end;
      for (; !block.decode(pause); pause += SLICE_BYTES) await breathe();
    }
    if (kind >= 0 && masked(output, start, at) !== littleEndian(input, from, CRC_BYTES))
      throw new SnappyError("a checksum is wrong");
    if (at < pause) continue;
    await breathe();
    pause = at + SLICE_BYTES;
  }
  return output;
}

/** Decodes one block into its place in the output, in steps. */
class Block {
  readonly end: number;
  readonly #input: Uint8Array;
  readonly #output: Uint8Array;
  readonly #start: number;
  readonly #to: number;
  #from: number;
  #at: number;

  constructor(input: Uint8Array, from: number, to: number, output: Uint8Array, at: number) {
    const { value, next } = preamble(input, from, to);
    this.#input = input;
    this.#output = output;
    this.#start = at;
    this.#at = at;
    this.end = at + value;
    this.#from = next;
    this.#to = to;
  }

  /** Goes on until the output is `until` long; true when the block is over. */
  decode(until: number): boolean {
    const input = this.#input;
    while (this.#from < this.#to) {
      if (this.#at >= until) return false;
      const tag = input[this.#from++] as number;
      const kind = tag & 3;
      if (kind === 0) this.#literal(tag >>> 2);
      else if (kind === 1) this.#copy(((tag >>> 5) << 8) | this.#number(1), 4 + ((tag >>> 2) & 7));
      else this.#copy(this.#number(kind === 2 ? 2 : 4), 1 + (tag >>> 2));
    }
    if (this.#at !== this.end) throw new SnappyError("ends too early");
    return true;
  }

  /** Up to 60, the length itself, less one; above, how many bytes it has. */
  #literal(size: number): void {
    const length = 1 + (size < 60 ? size : this.#number(size - 59));
    if (length > this.#to - this.#from || length > this.end - this.#at)
      throw new SnappyError("holds a text that is longer than its place");
    if (length > SHORT_BYTES)
      this.#output.set(this.#input.subarray(this.#from, this.#from + length), this.#at);
    else
      for (let i = 0; i < length; i++)
        this.#output[this.#at + i] = this.#input[this.#from + i] as number;
    this.#from += length;
    this.#at += length;
  }

  /** From what was written before; what it reads may be what it writes. */
  #copy(offset: number, length: number): void {
    const output = this.#output;
    const at = this.#at;
    if (offset === 0 || offset > at - this.#start || length > this.end - at)
      throw new SnappyError("points to where nothing is");
    if (offset >= length) output.copyWithin(at, at - offset, at - offset + length);
    else for (let i = 0; i < length; i++) output[at + i] = output[at + i - offset] as number;
    this.#at = at + length;
  }

  #number(bytes: number): number {
    if (bytes > this.#to - this.#from) throw new SnappyError("ends too early");
    const value = littleEndian(this.#input, this.#from, bytes);
    this.#from += bytes;
    return value;
  }
}

interface Chunk {
  readonly kind: number;
  /** Of its content, with the checksum. */
  readonly from: number;
  readonly to: number;
}

function isFramed(input: Uint8Array): boolean {
  return MAGIC.every((byte, i) => input[i] === byte);
}

/** The chunks that hold data. */
function* chunks(input: Uint8Array): Generator<Chunk> {
  let left = FEW_CHUNKS + (input.length >>> 10);
  for (let at = MAGIC.length; at < input.length; ) {
    if (left-- === 0) throw new SnappyError("is cut into too many chunks");
    if (input.length - at < HEAD_BYTES) throw new SnappyError("ends too early");
    const kind = input[at] as number;
    const from = at + HEAD_BYTES;
    const to = from + littleEndian(input, at + 1, 3);
    if (to > input.length) throw new SnappyError("ends too early");
    at = to;
    if (kind >= FIRST_SKIPPABLE) continue;
    if (kind > PLAIN) throw new SnappyError(`holds a chunk of the unknown kind ${kind}`);
    if (to - from < CRC_BYTES || (kind === PLAIN && to - from > CHUNK_BYTES + CRC_BYTES))
      throw new SnappyError("holds a chunk of a wrong length");
    if (kind === COMPRESSED && preamble(input, from + CRC_BYTES, to).value > CHUNK_BYTES)
      throw new SnappyError("holds a chunk of a wrong length");
    yield { kind, from, to };
  }
}

/** A varint of up to 32 bits: the decoded length of a block. */
function preamble(input: Uint8Array, from: number, to: number): { value: number; next: number } {
  let value = 0;
  for (let i = 0; i < 5 && from + i < to; i++) {
    const byte = input[from + i] as number;
    value += (byte & 127) * 2 ** (7 * i);
    if (byte < 128 && value < 2 ** 32) return { value, next: from + i + 1 };
  }
  throw new SnappyError("does not begin with a length");
}

function littleEndian(input: Uint8Array, from: number, bytes: number): number {
  let value = 0;
  for (let i = 0; i < bytes; i++) value += (input[from + i] as number) * 2 ** (8 * i);
  return value;
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

/** CRC-32C, turned and moved as the framing format wants it. */
function masked(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0xffffffff;
  for (let i = from; i < to; i++)
    crc = (crc >>> 8) ^ (CRC[(crc ^ (bytes[i] as number)) & 255] as number);
  crc = ~crc >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
