import type { Encoding } from "./config.ts";

/** Bytes of a character of UTF-8 at most, but the last. */
const HALF_MAX = 3;

/** Whether characters are written in units of two bytes. */
export function isWide(encoding: Encoding): boolean {
  return encoding === "utf-16le" || encoding === "utf-16be";
}

/**
 * The last position up to `to` at which no character is parted, in text that begins at `from` with a whole one. What is no text of the encoding
 * parts nowhere.
 */
export function wholeEnd(bytes: Uint8Array, from: number, to: number, encoding: Encoding): number {
  if (encoding === "latin1") return to;
  if (isWide(encoding)) {
    const even = to - ((to - from) & 1);
    const high = encoding === "utf-16be" ? even - 2 : even - 1;
    // Half of a surrogate pair.
    return high >= from && ((bytes[high] ?? 0) & 0xfc) === 0xd8 ? even - 2 : even;
  }
  for (let p = to - 1; p >= from && p >= to - HALF_MAX; p--) {
    const c = bytes[p] ?? 0;
    if ((c & 0xc0) !== 0x80) return p + sizeOf(c) > to ? p : to;
  }
  return to;
}

/** Bytes of the character of UTF-8 that begins with this one. */
function sizeOf(c: number): number {
  if (c < 0xc2 || c > 0xf4) return 1;
  return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}
