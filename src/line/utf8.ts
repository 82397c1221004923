/** U+FFFD in UTF-8, which stands for what is none. */
const REPLACEMENT = [0xef, 0xbf, 0xbd] as const;
/** Bytes that must follow a first byte, any of 0x80 to 0xbf; 0: it is none, or they may not be any. */
const FREE = new Uint8Array(256).fill(1, 0xc2, 0xe0).fill(2, 0xe1, 0xed).fill(2, 0xee, 0xf0);
const HIGH_BITS = 0x80808080 | 0;
/** What a text grows to at most when all of it is replaced. */
export const REPLACED_GROWTH = 3;

/** Whether `bytes[from, end)` is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). */
export function isUtf8(bytes: Uint8Array, from: number, end: number): boolean {
  let p = from;
  while (p < end) {
    const c = bytes[p]!;
    if (c < 0x80) p++;
    // Most of what is not ASCII: characters of two or three bytes whose first leaves the others free.
    else if (FREE[c] === 1 && p + 1 < end && (bytes[p + 1]! & 0xc0) === 0x80) p += 2;
    else if (
      FREE[c] === 2 &&
      p + 2 < end &&
      (bytes[p + 1]! & 0xc0) === 0x80 &&
      (bytes[p + 2]! & 0xc0) === 0x80
    )
      p += 3;
    else {
      const size = sizeAt(bytes, p, end);
      if (size < 0) return false;
      p += size;
    }
  }
  return true;
}

/** Whether `view[from, end)` is ASCII only: so is most text, which makes it UTF-8. Up to 3 bytes behind it are read. */
export function isAscii(view: DataView, from: number, end: number): boolean {
  let p = from;
  for (; p + 16 <= end; p += 16) {
    const half = view.getInt32(p, true) | view.getInt32(p + 4, true);
    const other = view.getInt32(p + 8, true) | view.getInt32(p + 12, true);
    if (((half | other) & HIGH_BITS) !== 0) return false;
  }
  for (; p + 4 <= end; p += 4) if ((view.getInt32(p, true) & HIGH_BITS) !== 0) return false;
  return p === end || ((view.getInt32(p, true) << (8 * (p + 4 - end))) & HIGH_BITS) === 0;
}

/**
 * Copies `bytes[from, end)` to `target[o]` with U+FFFD for what is not UTF-8: one for each beginning of a character that breaks off, as decoders of
 * WHATWG do it. Needs room for REPLACED_GROWTH times the length; both may be the same memory where they do not overlap. Returns the end.
 */
export function copyReplaced(
  target: Uint8Array,
  o: number,
  bytes: Uint8Array,
  from: number,
  end: number,
): number {
  for (let p = from; p < end; ) {
    const size = sizeAt(bytes, p, end);
    if (size < 0) {
      target[o] = REPLACEMENT[0];
      target[o + 1] = REPLACEMENT[1];
      target[o + 2] = REPLACEMENT[2];
      o += 3;
      p -= size;
    } else for (const next = p + size; p < next; p++) target[o++] = bytes[p]!;
  }
  return o;
}

/** Bytes of the character at `p`; below zero: those of the beginning of one that breaks off there, at least one. */
function sizeAt(bytes: Uint8Array, p: number, end: number): number {
  const c = bytes[p]!;
  if (c < 0x80) return 1;
  if (c < 0xc2 || c > 0xf4) return -1;
  const size = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
  const least = c === 0xe0 ? 0xa0 : c === 0xf0 ? 0x90 : 0x80;
  const most = c === 0xed ? 0x9f : c === 0xf4 ? 0x8f : 0xbf;
  if (p + 1 >= end || bytes[p + 1]! < least || bytes[p + 1]! > most) return -1;
  for (let i = 2; i < size; i++) if (p + i >= end || (bytes[p + i]! & 0xc0) !== 0x80) return -i;
  return size;
}
