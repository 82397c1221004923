/** Kinds of MessagePack values. */
export const Msgpack = {
  nil: 0,
  boolean: 1,
  /** An int64, in `low` and `high`. */
  integer: 2,
  /** An integer above the largest int64, in `low` and `high`. */
  unsigned: 3,
  double: 4,
  text: 5,
  bytes: 6,
  extension: 7,
  list: 8,
  map: 9,
} as const;
export type Msgpack = (typeof Msgpack)[keyof typeof Msgpack];

const NO_BYTES = new Uint8Array(0);
const NO_VIEW = new DataView(new ArrayBuffer(0));
/** Bytes of a head that begins with 0xc0 … 0xdf, that byte included and the payload not; 0: no such head. */
const HEAD_BYTES = Uint8Array.of(
  ...[1, 0, 1, 1, 2, 3, 5, 3, 4, 6, 5, 9, 2, 3, 5, 9],
  ...[2, 3, 5, 9, 2, 2, 2, 2, 2, 2, 3, 5, 3, 5, 3, 5],
);

/**
 * Values of MessagePack as positions in memory; makes no objects and no strings. `head` takes the position of a value and says in fields
 * what it is. The memory needs SLACK bytes behind `end`. Nothing is believed: a length that goes past `end` is the end of what is whole.
 */
export class MsgpackScan {
  bytes: Uint8Array = NO_BYTES;
  view: DataView = NO_VIEW;
  end = 0;
  /** Of the last `head`. */
  kind: Msgpack = Msgpack.nil;
  /** Halves of an integer; `low` is 1 or 0 of a boolean. */
  low = 0;
  high = 0;
  /** A double, in the first element. */
  readonly double = new Float64Array(1);
  /** Payload of a text, bytes or an extension: `bytes[at, at + length)`. */
  at = 0;
  length = 0;
  /** Type of an extension, -128 … 127. */
  type = 0;
  /** Elements of a list, pairs of a map. */
  count = 0;
  /** The last failure was for want of bytes, not because of a byte that begins no value. */
  isShort = false;
  /** Values that `skipSome` has still to pass. */
  missing = 0;

  /** Reads `bytes[0, end)`. */
  begin(bytes: Uint8Array, view: DataView, end: number): void {
    this.bytes = bytes;
    this.view = view;
    this.end = end;
  }

  /** Reads the value at `p`. Gives the position behind it, of lists and maps the position of their first element, or -1. */
  head(p: number): number {
    if (p >= this.end) return this.#short();
    const c = this.bytes[p]!;
    if (c < 0x80) return this.#small(c, p);
    if (c < 0x90) return this.#items(Msgpack.map, c & 15, p + 1);
    if (c < 0xa0) return this.#items(Msgpack.list, c & 15, p + 1);
    if (c < 0xc0) return this.#payload(Msgpack.text, p + 1, c & 31);
    if (c >= 0xe0) return this.#small(c - 256, p);
    const size = HEAD_BYTES[c & 31]!;
    if (size === 0) {
      this.isShort = false;
      return -1;
    }
    return p + size > this.end ? this.#short() : this.#long(c, p + 1, p + size);
  }

  /** The end of the value at `p`, whatever is in it, or -1. */
  skip(p: number): number {
    this.missing = 1;
    const end = this.skipSome(p);
    return this.missing === 0 ? end : -1;
  }

  /**
   * Passes `missing` values from `p` on, as far as they are there, and gives the position reached: when `missing` is not 0 then, the rest
   * begins there. For data that arrives in parts: no byte is looked at twice but those of one head. -1: a byte that begins no value.
   */
  skipSome(p: number): number {
    while (this.missing > 0) {
      const next = this.head(p);
      if (next < 0) return this.isShort ? p : -1;
      this.missing--;
      if (this.kind === Msgpack.list) this.missing += this.count;
      else if (this.kind === Msgpack.map) this.missing += 2 * this.count;
      p = next;
    }
    return p;
  }

  #short(): -1 {
    this.isShort = true;
    return -1;
  }

  #small(value: number, p: number): number {
    this.kind = Msgpack.integer;
    this.low = value;
    this.high = value >> 31;
    return p + 1;
  }

  #items(kind: Msgpack, count: number, p: number): number {
    this.kind = kind;
    this.count = count;
    return p;
  }

  #payload(kind: Msgpack, at: number, length: number): number {
    if (length > this.end - at) return this.#short();
    this.kind = kind;
    this.at = at;
    this.length = length;
    return at + length;
  }

  /** A value with the head `c`, whose argument is at `p` and whose head ends at `next`. */
  #long(c: number, p: number, next: number): number {
    const { view } = this;
    if (c === 0xc0) {
      this.kind = Msgpack.nil;
      return next;
    }
    if (c < 0xc4) {
      this.kind = Msgpack.boolean;
      this.low = c & 1;
      this.high = 0;
      return next;
    }
    if (c < 0xc7) return this.#payload(Msgpack.bytes, next, this.#size(c - 0xc4, p));
    if (c < 0xca || (c > 0xd3 && c < 0xd9)) {
      this.type = view.getInt8(next - 1);
      return this.#payload(
        Msgpack.extension,
        next,
        c < 0xca ? this.#size(c - 0xc7, p) : 1 << (c - 0xd4),
      );
    }
    if (c < 0xcc) {
      this.kind = Msgpack.double;
      this.double[0] = c === 0xca ? view.getFloat32(p) : view.getFloat64(p);
      return next;
    }
    if (c < 0xd4) return this.#integer(c, p, next);
    if (c < 0xdc) return this.#payload(Msgpack.text, next, this.#size(c - 0xd9, p));
    const count = this.#size(1 + (c & 1), p);
    return this.#items(c < 0xde ? Msgpack.list : Msgpack.map, count, next);
  }

  /** An unsigned number of 1, 2 or 4 bytes, for a width of 0, 1 or 2. */
  #size(width: number, p: number): number {
    if (width === 0) return this.bytes[p]!;
    return width === 1 ? this.view.getUint16(p) : this.view.getUint32(p);
  }

  #integer(c: number, p: number, next: number): number {
    const { view } = this;
    this.kind = Msgpack.integer;
    const isSigned = c >= 0xd0;
    if (next - p === 8) {
      this.high = view.getInt32(p);
      this.low = view.getInt32(p + 4);
      if (!isSigned && this.high < 0) this.kind = Msgpack.unsigned;
      return next;
    }
    if (isSigned) {
      this.low = c === 0xd0 ? view.getInt8(p) : c === 0xd1 ? view.getInt16(p) : view.getInt32(p);
      this.high = this.low >> 31;
      return next;
    }
    this.low = this.#size(c - 0xcc, p) | 0;
    this.high = 0;
    return next;
  }
}
