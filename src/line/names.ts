import { bytesBelowMark } from "../wire/marks.ts";
import { NAME as ImportedName } from "./characters.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const COMMA = 44;
const EQUALS = 61;
const SPACE = 32;
const NAME = ImportedName;

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
    const view = this.#view;
    const last = this.#end - 8;
    this.isEscaped = false;
    let p = from;
    while (p <= last) {
      const odd = oddInName(view.getInt32(p, true));
      const oddAfter = oddInName(view.getInt32(p + 4, true));
      if ((odd | oddAfter) === 0) p += 8;
      else {
        p += bytesBelowMark(odd, oddAfter);
        const kind = NAME[this.#bytes[p]!]!;
        if (kind === 1) return p;
        p = this.#behind(p, kind);
      }
    }
    return this.#slowEnd(p);
  }

  /** The end behind `from`, where words would be read that are not all there. */
  #slowEnd(from: number): number {
    const bytes = this.#bytes;
    const end = this.#end;
    let p = from;
    while (p < end) {
      const kind = NAME[bytes[p]!]!;
      if (kind === 1) return p;
      p = kind === 0 ? p + 1 : this.#behind(p, kind);
    }
    return end;
  }

  /** Behind the backslash or the byte above 0x7f at `p`, and behind what the backslash escapes. */
  #behind(p: number, kind: number): number {
    if (kind === 3) {
      this.isAscii = false;
      return p + 1;
    }
    this.isEscaped = true;
    const c = p + 1 < this.#end ? this.#bytes[p + 1] : 0;
    return c === COMMA || c === EQUALS || c === SPACE ? p + 2 : p + 1;
  }
}

/** Marks (bit 7 of a byte) what is not plain: space and below, DEL and above, comma, equals sign, backslash. The lowest mark is never wrong. */
function oddInName(word: number): number {
  return (
    (word |
      (word + ONES) |
      (word - SPACES_AND_1) |
      ((word ^ COMMAS) - ONES) |
      ((word ^ EQUALS_SIGNS) - ONES) |
      ((word ^ BACKSLASHES) - ONES)) &
    HIGH_BITS
  );
}
