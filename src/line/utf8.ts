/** Whether `bytes[from, end)` is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). */
export function isUtf8(bytes: Uint8Array, from: number, end: number): boolean {
  let p = from;
  while (p < end) {
    const c = bytes[p++]!;
    if (c < 0x80) continue;
    if (c < 0xc2 || c > 0xf4) return false;
    const more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    if (p + more > end) return false;
    const second = bytes[p]!;
    const least = c === 0xe0 ? 0xa0 : c === 0xf0 ? 0x90 : 0x80;
    const most = c === 0xed ? 0x9f : c === 0xf4 ? 0x8f : 0xbf;
    if (second < least || second > most) return false;
    for (let i = 1; i < more; i++) if ((bytes[p + i]! & 0xc0) !== 0x80) return false;
    p += more;
  }
  return true;
}
