const BACKSLASH = 92;
const DELETE = 127;

/**
 * Whether the name bytes[from, end) ends as one of these, which makes its attribute a field of its own. A name that would have to be changed
 * is none: it might then be another column's.
 */
export function isFieldName(
  bytes: Uint8Array,
  from: number,
  end: number,
  ends: readonly Uint8Array[],
): boolean {
  let isOne = false;
  for (let i = 0; i < ends.length && !isOne; i++) {
    const text = ends[i]!;
    const at = end - text.length;
    let same = at > from ? 0 : -1;
    while (same >= 0 && same < text.length && bytes[at + same] === text[same]) same++;
    isOne = same === text.length;
  }
  for (let p = from; p < end && isOne; p++) {
    const c = bytes[p]!;
    if (c < 32 || c === DELETE || c === BACKSLASH) isOne = false;
  }
  return isOne;
}
