/** Bytes as lower-case hexadecimal text and back. */

const DIGITS = "0123456789abcdef";
/** "00" … "ff" as little-endian 16-bit words. */
const PAIRS = new Uint16Array(256);
for (let i = 0; i < 256; i++)
  PAIRS[i] = DIGITS.charCodeAt(i >> 4) | (DIGITS.charCodeAt(i & 15) << 8);
/** Value of a hex digit of either case; 255 for every other byte. */
export const HEX_VALUES = new Uint8Array(256).fill(255);
for (let i = 0; i < 16; i++) {
  HEX_VALUES[DIGITS.charCodeAt(i)] = i;
  HEX_VALUES[DIGITS.toUpperCase().charCodeAt(i)] = i;
}

/** Writes `length` bytes of `source` as 2 × `length` digits; returns the end in `out`. */
export function writeHex(
  out: DataView,
  at: number,
  source: DataView,
  from: number,
  length: number,
): number {
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    const x = source.getInt32(from + i, true);
    out.setInt32(at + 2 * i, PAIRS[x & 255]! | (PAIRS[(x >>> 8) & 255]! << 16), true);
    out.setInt32(at + 2 * i + 4, PAIRS[(x >>> 16) & 255]! | (PAIRS[x >>> 24]! << 16), true);
  }
  for (; i < length; i++) out.setUint16(at + 2 * i, PAIRS[source.getUint8(from + i)]!, true);
  return at + 2 * length;
}

/** Reads 2 × `length` digits of either case into `length` bytes; false at the first byte that is no digit. */
export function readHex(
  out: DataView,
  at: number,
  source: DataView,
  from: number,
  length: number,
): boolean {
  for (let i = 0; i < length; i++) {
    const high = HEX_VALUES[source.getUint8(from + 2 * i)]!;
    const low = HEX_VALUES[source.getUint8(from + 2 * i + 1)]!;
    if ((high | low) > 15) return false;
    out.setUint8(at + i, (high << 4) | low);
  }
  return true;
}
