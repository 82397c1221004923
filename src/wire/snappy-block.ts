/** Snappy's block format (google/snappy format_description.txt), for places without native code. Reading it: kit/server/snappy.ts. */

/** Texts that repeat are looked for within so many bytes: offsets then have 16 bits. */
const BLOCK_BYTES = 1 << 16;
const HASH_BITS = 14;
const HASH_SHIFT = 32 - HASH_BITS;
const HASH_FACTOR = 0x1e35a7bd;
/** Behind the last place that a repetition may begin at. */
const MARGIN = 8;
/** Looked at in vain, before steps become longer by one byte. */
const PATIENCE = 32;
/** Longest copy in one element, and the shortest that is worth one. */
const COPY_MAX = 64;
const COPY_MIN = 4;
/** A copy of two bytes has 11 bits for its offset and 3 for its length. */
const NEAR = 1 << 11;
const SHORT = 12;
/** Lengths of literals up to here stand in their tag; then in one byte, then in two behind it. */
const TAG_LITERAL = 60;
const LENGTH_BYTES = 5;

const Element = { literal: 0, near: 1, far: 2 } as const;

/** Compresses bodies of up to 4 GiB, each as one block. */
class SnappyBlock {
  /** Of a hash of four bytes: where in the block they were last. */
  readonly #places = new Uint16Array(1 << HASH_BITS);
  #input: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(this.#input.buffer);
  #output: Uint8Array = this.#input;
  #to = 0;

  /** New memory; the input is no longer read afterwards. */
  compress(input: Uint8Array): Uint8Array {
    const { length } = input;
    this.#input = input;
    this.#view = new DataView(input.buffer, input.byteOffset, length);
    // A literal's tag and length take three bytes, and there is a copy of at least four bytes in between.
    this.#output = new Uint8Array(LENGTH_BYTES + length + Math.ceil(length / COPY_MIN) + 3);
    this.#to = 0;
    this.#length(length);
    for (let from = 0; from < length; from += BLOCK_BYTES)
      this.#block(from, Math.min(length, from + BLOCK_BYTES));
    const output = this.#output.subarray(0, this.#to);
    this.#input = this.#output = new Uint8Array(0);
    this.#view = new DataView(this.#input.buffer);
    return output;
  }

  #length(value: number): void {
    let left = value;
    for (; left >= 128; left = Math.floor(left / 128))
      this.#output[this.#to++] = (left & 127) | 128;
    this.#output[this.#to++] = left;
  }

  #block(from: number, end: number): void {
    const places = this.#places.fill(0);
    const view = this.#view;
    const last = end - MARGIN;
    let written = from;
    let skipped = PATIENCE;
    for (let at = from + 1; at < last; ) {
      const word = view.getUint32(at, true);
      const hash = Math.imul(word, HASH_FACTOR) >>> HASH_SHIFT;
      const before = from + places[hash]!;
      places[hash] = at - from;
      if (view.getUint32(before, true) !== word) {
        at += Math.floor(skipped++ / PATIENCE);
        continue;
      }
      this.#literal(written, at);
      const length = this.#same(before, at, end);
      this.#copies(at - before, length);
      at += length;
      written = at;
      skipped = PATIENCE;
    }
    this.#literal(written, end);
  }

  /** How many bytes are the same at two places. */
  #same(before: number, at: number, end: number): number {
    const input = this.#input;
    let length = COPY_MIN;
    while (at + length < end && input[before + length] === input[at + length]) length++;
    return length;
  }

  #literal(from: number, end: number): void {
    if (from === end) return;
    const output = this.#output;
    const size = end - from - 1;
    if (size < TAG_LITERAL) output[this.#to++] = (size << 2) | Element.literal;
    else {
      const isLong = size > 255;
      output[this.#to++] = ((isLong ? TAG_LITERAL + 1 : TAG_LITERAL) << 2) | Element.literal;
      output[this.#to++] = size & 255;
      if (isLong) output[this.#to++] = size >>> 8;
    }
    const input = this.#input;
    for (let at = from; at < end; at++) output[this.#to++] = input[at]!;
  }

  #copies(offset: number, length: number): void {
    let left = length;
    // What is left is never shorter than a copy may be.
    for (; left >= COPY_MAX + COPY_MIN; left -= COPY_MAX) this.#copy(offset, COPY_MAX);
    if (left > COPY_MAX) {
      this.#copy(offset, COPY_MAX - COPY_MIN);
      left -= COPY_MAX - COPY_MIN;
    }
    this.#copy(offset, left);
  }

  #copy(offset: number, length: number): void {
    const output = this.#output;
    const isNear = offset < NEAR && length < SHORT;
    output[this.#to++] = isNear
      ? ((offset >>> 8) << 5) | ((length - COPY_MIN) << 2) | Element.near
      : ((length - 1) << 2) | Element.far;
    output[this.#to++] = offset & 255;
    if (!isNear) output[this.#to++] = offset >>> 8;
  }
}

/** A function that compresses one body after the other. */
export function snappyCompressor(): (body: Uint8Array) => Uint8Array {
  const snappy = new SnappyBlock();
  return (body) => snappy.compress(body);
}
