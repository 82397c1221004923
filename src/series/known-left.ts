import { ENTRIES_MAX, SHAPES } from "./entry-shapes.ts";

/** Ints of a member: twice the place of its entry in the tape behind the item's first, and 1 more for text; place and length of its name. */
export const MEMBER = 3;

/** Whether the members of a shape can be written from `members`. */
export const Quick = { unknown: 0, yes: 1, no: 2 } as const;

/** What one table leaves of the entries of items, by the shape of the items. */
export class KnownLeft {
  /** By shape: the shape's `learnt` that it is of, and the number of places. */
  readonly learnt = new Int32Array(SHAPES);
  readonly counts = new Int32Array(SHAPES);
  /** By shape: places of the entries that the table does not declare, in the order of their names. */
  readonly places: readonly Int32Array[] = Array.from(
    { length: SHAPES },
    () => new Int32Array(ENTRIES_MAX),
  );
  /** By shape: how many of the names stand before those of the resource, and how many start with its prefix themselves. */
  readonly before = new Int32Array(SHAPES);
  readonly prefixed = new Int32Array(SHAPES);
  /** By shape: MEMBER ints of each place, where all that is said of a member holds for every item of the shape. */
  readonly quick = new Uint8Array(SHAPES);
  readonly members: Int32Array[] = Array.from({ length: SHAPES }, () => NO_MEMBERS);
}

/** Where the members of an item stand in the output, for further rows of it that have the same. */
export class SharedMembers {
  from = 0;
  end = 0;
  #item = 0;
  #members: Int32Array = NO_MEMBERS;

  /** Whether these members of the item, as `KnownLeft` has them, are there. */
  has(item: number, members: Int32Array): boolean {
    if (this.#item !== item || this.#members.length !== members.length) return false;
    let different = 0;
    for (let m = 0; m < members.length; m++) different |= this.#members[m]! ^ members[m]!;
    return different === 0;
  }

  keep(item: number, members: Int32Array, from: number, end: number): void {
    this.#item = item;
    this.#members = members;
    this.from = from;
    this.end = end;
  }
}

const NO_MEMBERS: Int32Array = new Int32Array(0);
