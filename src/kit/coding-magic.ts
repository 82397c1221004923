import { type Body, type Coding, codingOf } from "./server/compression.ts";

/** The coding that a header names, Brotli among them; undefined for what nobody knows. */
export function namedCoding(header: string | undefined): Coding | undefined {
  return header?.trim().toLowerCase() === "br" ? "br" : codingOf(header);
}

/** gzip (RFC 1952 §2.3.1) or zstd (RFC 8878 §3.1.1), by how a body begins: no text, JSON value or MessagePack map does. */
export function magicCoding({ bytes, length }: Body): "gzip" | "zstd" | undefined {
  const [a, b, c, d] = bytes.subarray(0, Math.min(4, length));
  if (a === 0x1f && b === 0x8b) return "gzip";
  return a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd ? "zstd" : undefined;
}

/** Whether a body begins as zlib does (RFC 1950 §2.2): the method is deflate, both bytes together are a multiple of 31. Texts may do so, too. */
export function isZlib({ bytes, length }: Body): boolean {
  const [a, b] = bytes.subarray(0, Math.min(2, length));
  return a !== undefined && b !== undefined && (a & 15) === 8 && (a * 256 + b) % 31 === 0;
}
