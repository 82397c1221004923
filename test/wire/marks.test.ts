import fc from "fast-check";
import { expect, test } from "vitest";
import { bytesBelowMark } from "../../src/wire/marks.ts";

const MARKS = 0x80808080 | 0;
const word = fc.integer().map((bits) => bits & MARKS);

/** The eight bytes one by one. */
function slowly(marks: number, marksAfter: number): number {
  const bytes = [marks, marksAfter].flatMap((x) => [0, 8, 16, 24].map((by) => (x >>> by) & 0x80));
  return bytes.findIndex((byte) => byte !== 0);
}

test("the bytes below the lowest mark of two words are those that come before it", () => {
  fc.assert(
    fc.property(word, word, (marks, marksAfter) => {
      fc.pre((marks | marksAfter) !== 0);
      expect(bytesBelowMark(marks, marksAfter)).toBe(slowly(marks, marksAfter));
    }),
    { numRuns: 500, seed: 1 },
  );
});
