/** Decodes a snappy block as its format description says, byte by byte: an oracle for what we send. */
export function unsnap(block: Uint8Array): Buffer {
  let at = 0;
  const byte = () => {
    const value = block[at++];
    if (value === undefined) throw new Error("the block ends too early");
    return value;
  };
  const number = (bytes: number) => {
    let value = 0;
    for (let i = 0; i < bytes; i++) value += byte() * 256 ** i;
    return value;
  };
  let length = 0;
  for (let scale = 1; ; scale *= 128) {
    const part = byte();
    length += (part & 127) * scale;
    if (part < 128) break;
  }
  const out: number[] = [];
  while (at < block.length) {
    const tag = byte();
    const size = tag >>> 2;
    if ((tag & 3) === 0) {
      const count = 1 + (size < 60 ? size : number(size - 59));
      for (let i = 0; i < count; i++) out.push(byte());
      continue;
    }
    const isShort = (tag & 3) === 1;
    const count = isShort ? 4 + (size & 7) : 1 + size;
    const offset = isShort ? (tag >>> 5) * 256 + byte() : number((tag & 3) === 2 ? 2 : 4);
    if (offset === 0 || offset > out.length) throw new Error("a copy from before the start");
    for (let i = 0; i < count; i++) out.push(out[out.length - offset] as number);
  }
  if (out.length !== length) throw new Error(`${out.length} bytes instead of ${length}`);
  return Buffer.from(out);
}
