/** Texts that are remembered, a power of two, */
const SLOTS = 256;
/** each of so many bytes at most. */
const LONGEST = 40;

/** Short names as strings: the points of a sender repeat theirs, and a string is costly to make. */
export class NameTexts {
  readonly #texts: string[] = new Array<string>(SLOTS).fill("");

  /** `bytes[0, length)`, which is UTF-8, as a string. */
  get(bytes: Uint8Array, length: number): string {
    let hash = length;
    if (length <= LONGEST)
      for (let i = 0; i < length; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193);
    const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
    const known = this.#texts[slot] ?? "";
    if (isSame(known, bytes, length)) return known;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, length).toString();
    if (length <= LONGEST) this.#texts[slot] = text;
    return text;
  }
}

/** Whether a text is these bytes; one with characters beyond ASCII never is. */
function isSame(text: string, bytes: Uint8Array, length: number): boolean {
  if (text.length !== length) return false;
  for (let i = 0; i < length; i++) {
    const byte = bytes[i] ?? 0;
    if (byte > 127 || text.charCodeAt(i) !== byte) return false;
  }
  return true;
}
