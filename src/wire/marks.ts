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
