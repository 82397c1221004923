/** Value of a base64 digit, of the standard and of the URL alphabet (RFC 4648); 255: none. */
const DIGITS = new Uint8Array(256).fill(255);
for (const [i, digit] of [
  ..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
].entries())
  DIGITS[digit.charCodeAt(0)] = i;
DIGITS["-".charCodeAt(0)] = 62;
DIGITS["_".charCodeAt(0)] = 63;
const PADDING = 0x3d;

/**
 * Decodes bytes[from, end), padded or not, to where it stands or before it (`to` ≤ `from`). The end of the result, or -1 for what is no
 * base64. Bits that are left over are not looked at.
 */
export function readBase64(bytes: Uint8Array, to: number, from: number, end: number): number {
  let stop = end;
  if ((end - from) % 4 === 0)
    while (stop > from && end - stop < 2 && bytes[stop - 1] === PADDING) stop--;
  if ((stop - from) % 4 === 1) return -1;
  let bits = 0;
  let o = to;
  for (let p = from; p < stop; p++) {
    const digit = DIGITS[bytes[p]!]!;
    if (digit > 63) return -1;
    bits = (bits << 6) | digit;
    switch ((p - from) & 3) {
      case 1:
        bytes[o++] = bits >>> 4;
        break;
      case 2:
        bytes[o++] = bits >>> 2;
        break;
      case 3:
        bytes[o++] = bits;
        break;
    }
  }
  return o;
}
