import { type Body, type Coding, codingOf } from "../../kit/compression.ts";

/** The first bytes of framed Snappy: a chunk of six bytes that says "sNaP…". */
const SNAPPY = [0xff, 0x06, 0x00, 0x00, 0x73];

/**
 * The coding that a body really has: by its first bytes, which no JSON, MessagePack or form begins with. Only Brotli and one block of Snappy
 * have none of their own: for these the header is believed, where the body does not look like JSON.
 */
export function realCoding({ bytes, length }: Body, header: string | undefined): Coding {
  const [a = 0, b = 0, c = 0, d = 0] = bytes.subarray(0, Math.min(4, length));
  if (a === 0x1f && b === 0x8b) return "gzip";
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return "zstd";
  if (length >= SNAPPY.length && SNAPPY.every((byte, i) => bytes[i] === byte)) return "snappy";
  // RFC 1950: deflate with a window of 32 KiB, and both bytes together are a multiple of 31.
  if (a === 0x78 && (a * 256 + b) % 31 === 0) return "deflate";
  const named = header?.trim().toLowerCase() === "br" ? "br" : codingOf(header);
  const isPlain = (a === 0x7b || a === 0x5b) && isJsonAfter(bytes, 1, length);
  return (named === "br" || named === "snappy") && !isPlain ? named : "identity";
}

/** Whether the first byte from `p` on that is no white space is one that may follow a bracket in JSON. */
function isJsonAfter(bytes: Uint8Array, p: number, length: number): boolean {
  while (p < length && " \t\r\n".includes(String.fromCharCode(bytes[p] ?? 0))) p++;
  return p < length && '"{[]}'.includes(String.fromCharCode(bytes[p] ?? 0));
}
