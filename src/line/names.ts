import { COMMA, EQUALS, NAME, SPACE } from "./characters.ts";

/** The same byte four times. */
const ONES = 0x01010101;
const HIGH_BITS = 0x80808080 | 0;
const SPACES_AND_1 = 0x21212121;
const COMMAS = 0x2c2c2c2c;
const EQUALS_SIGNS = 0x3d3d3d3d;
const BACKSLASHES = 0x5c5c5c5c;

/** Finds the ends of measurements, keys and tag values. What it saw on the way stays in its members. */
export class NameScanner {
  /** The latest name has a backslash. */
  isEscaped = false;
  /** False once a byte above 0x7f was seen; the caller sets it to true. */
  isAscii = true;
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #end = 0;

  reset(bytes: Uint8Array, view: DataView, end: number): void {
    this.#bytes = bytes;
    this.#view = view;
    this.#end = end;
  }

  /** End of the name at `from`. A backslash escapes comma, equals sign and space, else it is a character. */
  end(from: number): number {
    const bytes = this.#bytes;
    const end = this.#end;
    let p = this.#skipPlain(from);
    this.isEscaped = false;
    for (;;) {
      while (p < end && NAME[bytes[p]!] === 0) p++;
      if (p >= end) return end;
      const kind = NAME[bytes[p]!]!;
      if (kind === 1) return p;
      p++;
      if (kind === 3) {
        this.isAscii = false;
        continue;
      }
      this.isEscaped = true;
      const c = p < end ? bytes[p] : 0;
      if (c === COMMA || c === EQUALS || c === SPACE) p++;
    }
  }

  /** Passes over words of which every byte is a plain one: above space, not DEL, not above it, no comma, equals sign or backslash. */
  #skipPlain(from: number): number {
    const view = this.#view;
    const last = this.#end - 4;
    let p = from;
    for (; p <= last; p += 4) {
      const word = view.getInt32(p, true);
      const special =
        word |
        (word + ONES) |
        (word - SPACES_AND_1) |
        ((word ^ COMMAS) - ONES) |
        ((word ^ EQUALS_SIGNS) - ONES) |
        ((word ^ BACKSLASHES) - ONES);
      if ((special & HIGH_BITS) !== 0) break;
    }
    return p;
  }
}
