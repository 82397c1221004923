import fc from "fast-check";
import { expect, test } from "vitest";
import { bytesBelowMark, hasMark } from "../../src/wire/marks.ts";

/** Two words of which these bytes have a mark. */
function wordsOf(marked: readonly number[]): [number, number] {
  const bytes = new DataView(new ArrayBuffer(8));
  for (const at of marked) bytes.setUint8(at, 0x80);
  return [bytes.getInt32(0, true), bytes.getInt32(4, true)];
}

const anyMarks = fc.uniqueArray(fc.nat(7));

test("a mark counts where it stands within the text, however long that is", () => {
  fc.assert(
    fc.property(anyMarks, fc.nat(20), (marked, length) => {
      const [marks, marksAfter] = wordsOf(marked);
      expect(hasMark(marks, marksAfter, length)).toBe(marked.some((at) => at < length));
    }),
  );
});

test("the bytes below the lowest mark are counted over both words", () => {
  fc.assert(
    fc.property(anyMarks, (marked) => {
      fc.pre(marked.length > 0);
      const [marks, marksAfter] = wordsOf(marked);
      expect(bytesBelowMark(marks, marksAfter)).toBe(Math.min(...marked));
    }),
  );
});
