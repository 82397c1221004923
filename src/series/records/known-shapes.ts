/** How many shapes are kept. */
const SHAPES = 16;
/** Shapes of more members are not kept. */
const MEMBERS = 48;
/** A shape's part of the table has one member more, so that each can say where the next name goes. */
const ROOM = (MEMBERS + 1) * 4;
/** Nor are those whose names have more bytes, each rounded up to whole words. */
const NAME_BYTES = 1_024;

/** Ints per member of a shape, and the offsets inside one. */
export const KNOWN = 4;
export const Known = {
  /** Length of the name, and the layer in the two low bits. */
  head: 0,
  /** Number in `NAMES`, or -1. */
  name: 1,
  /** Index of the member of the same name that it replaces, or -1. */
  replaces: 2,
  /** Where its name is. */
  at: 3,
} as const;

/**
 * The names of records that came before, in their order, and what was found out about them: most records have the names of one of the last
 * few. A shape is found by its print, a number made of the lengths of its names; then every byte is compared.
 */
export class KnownShapes {
  /** Members of all shapes. */
  readonly table: Int32Array = new Int32Array(SHAPES * ROOM);
  readonly #counts = new Int32Array(SHAPES);
  readonly #prints = new Int32Array(SHAPES);
  readonly #names = new DataView(new ArrayBuffer(SHAPES * NAME_BYTES));

  /** Index in `table` of the first member of the shape with this print; -1 when there is none. */
  find(count: number, print: number): number {
    const shape = slotOf(print);
    const isKnown = this.#counts[shape] === count && this.#prints[shape] === print;
    return isKnown && count > 0 ? shape * ROOM : -1;
  }

  /** Whether the member at `k` of a shape has the name `view[at, at + length)`. Up to 3 bytes behind it are read. */
  isName(k: number, view: DataView, at: number, length: number): boolean {
    const names = this.#names;
    let p = this.table[k + Known.at]!;
    let q = at;
    for (let rest = length; rest > 0; rest -= 4) {
      const odd = names.getInt32(p, true) ^ view.getInt32(q, true);
      if (odd !== 0 && (rest > 3 || odd << (32 - 8 * rest) !== 0)) return false;
      p += 4;
      q += 4;
    }
    return true;
  }

  /** Makes room for a shape in the place of one with the same slot. Index in `table` of its first member; -1 when it is not to be kept. */
  begin(count: number, print: number, nameBytes: number): number {
    if (count > MEMBERS || nameBytes + 4 * count > NAME_BYTES) return -1;
    const shape = slotOf(print);
    this.#counts[shape] = count;
    this.#prints[shape] = print;
    const k = shape * ROOM;
    this.table[k + Known.at] = shape * NAME_BYTES;
    return k;
  }

  /** Keeps a member at `k`; the next one is KNOWN behind it. */
  keep(
    k: number,
    view: DataView,
    at: number,
    length: number,
    head: number,
    name: number,
    replaces: number,
  ): void {
    const { table } = this;
    table[k + Known.head] = head;
    table[k + Known.name] = name;
    table[k + Known.replaces] = replaces;
    let p = table[k + Known.at]!;
    for (let i = 0; i < length; i += 4, p += 4)
      this.#names.setInt32(p, view.getInt32(at + i, true), true);
    table[k + KNOWN + Known.at] = p;
  }
}

/** The high bits of the product are of all of the print. */
function slotOf(print: number): number {
  return Math.imul(print, 0x9e3779b1) >>> 28;
}
