/**
 * Number of bytes below the lowest mark (bit 7 of a byte) of two words that were read one behind the other, of which one has a mark;
 * without a branch, as it is anyone's guess which.
 */
export function bytesBelowMark(marks: number, marksAfter: number): number {
  const first = (31 - Math.clz32(marks & -marks)) >> 3;
  const after = (31 - Math.clz32(marksAfter & -marksAfter)) >>> 3;
  // Without a mark, `first` is -1.
  return first + ((first >> 31) & (5 + after));
}

/** By bytes that are left of eight: which of the first and of the last four are text. What stands behind a text is odd nearly always. */
const FIRST_BYTES = Int32Array.of(0, 0xff, 0xffff, 0xffffff, -1, -1, -1, -1);
const LAST_BYTES = Int32Array.of(0, 0, 0, 0, 0, 0xff, 0xffff, 0xffffff);

/** Whether a mark of two words, read one behind the other, stands within the first `length` bytes. */
export function hasMark(marks: number, marksAfter: number, length: number): boolean {
  if (length >= 8) return (marks | marksAfter) !== 0;
  return ((marks & FIRST_BYTES[length]!) | (marksAfter & LAST_BYTES[length]!)) !== 0;
}
