/** Bytes that must be readable and writable behind the counted end of a memory, because word copies overshoot. */
export const SLACK = 16;

/** The same bytes in memory that has SLACK behind `length`; copies only when there is none. */
export function withSlack(bytes: Uint8Array, length = bytes.length): Uint8Array {
  if (bytes.buffer.byteLength - bytes.byteOffset >= length + SLACK)
    return new Uint8Array(bytes.buffer, bytes.byteOffset, length + SLACK);
  const roomy = new Uint8Array(length + SLACK);
  roomy.set(bytes.subarray(0, length));
  return roomy;
}
