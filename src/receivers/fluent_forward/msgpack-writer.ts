/** Writes the few small MessagePack values that weir itself sends. */
export class MsgpackWriter {
  readonly #parts: Uint8Array[] = [];

  /** At most 15 elements follow. */
  list(count: number): this {
    return this.#add(Uint8Array.of(0x90 | count));
  }

  /** At most 15 pairs follow. */
  map(count: number): this {
    return this.#add(Uint8Array.of(0x80 | count));
  }

  boolean(value: boolean): this {
    return this.#add(Uint8Array.of(value ? 0xc3 : 0xc2));
  }

  text(value: string): this {
    const bytes = Buffer.from(value);
    const { length } = bytes;
    if (length < 32) return this.#add(Uint8Array.of(0xa0 | length), bytes);
    if (length < 256) return this.#add(Uint8Array.of(0xd9, length), bytes);
    return this.#add(headOf(0xdb, length), bytes);
  }

  /** At most 255 bytes. */
  bytes(value: Uint8Array): this {
    return this.#add(Uint8Array.of(0xc4, value.length), value);
  }

  /** Values that are written already. */
  raw(...values: readonly Uint8Array[]): this {
    return this.#add(...values);
  }

  /** A text that is made of pieces. */
  joined(pieces: readonly Uint8Array[], length: number): this {
    return this.#add(headOf(0xdb, length), ...pieces);
  }

  /** A map of any number of pairs, which follow. */
  largeMap(count: number): this {
    return this.#add(headOf(0xdf, count));
  }

  take(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #add(...parts: readonly Uint8Array[]): this {
    this.#parts.push(...parts);
    return this;
  }
}

function headOf(kind: number, length: number): Uint8Array {
  const head = Buffer.alloc(5, kind);
  head.writeUInt32BE(length, 1);
  return head;
}
