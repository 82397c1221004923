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

const NO_MEMBERS = new Int32Array(0);
