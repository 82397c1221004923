const MAGIC = 0xfd2fb528;
/** Magic numbers of frames that are passed over differ in their lowest four bits. */
const SKIPPABLE = 0x184d2a50;
const CHECKSUM_BYTES = 4;
const RLE = 1;
/** Bytes of a dictionary's id and of a content's size, by what the frame's first byte says of them. */
const DICTIONARY_BYTES = [0, 1, 2, 4];
const SIZE_BYTES = [0, 2, 4, 8];

/** Where the Zstandard frame ends that begins at `p`, without decoding it (RFC 8878 §3.1); -1 when there is no whole one before `to`. */
export function zstdFrameEnd(bytes: Uint8Array, p: number, to: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, to);
  if (p + 8 > to) return -1;
  const magic = view.getUint32(p, true);
  if ((magic ^ SKIPPABLE) >>> 4 === 0) return within(p + 8 + view.getUint32(p + 4, true), to);
  if (magic !== MAGIC) return -1;
  const descriptor = view.getUint8(p + 4);
  const isSingle = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >>> 6;
  const size = sizeFlag === 0 && isSingle ? 1 : (SIZE_BYTES[sizeFlag] ?? 0);
  let at = p + 5 + (isSingle ? 0 : 1) + (DICTIONARY_BYTES[descriptor & 3] ?? 0) + size;
  for (let isLast = false; !isLast; ) {
    if (at + 3 > to) return -1;
    const head = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    isLast = (head & 1) === 1;
    at += 3 + (((head >>> 1) & 3) === RLE ? 1 : head >>> 3);
  }
  return within(at + ((descriptor & 4) === 0 ? 0 : CHECKSUM_BYTES), to);
}

function within(end: number, to: number): number {
  return end <= to ? end : -1;
}
