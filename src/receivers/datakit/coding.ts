import { type Body, type Coding, codingOf } from "../../kit/compression.ts";

/** The coding that a request names; undefined for what nobody knows. */
export function namedCoding(name: string | undefined): Coding | undefined {
  return name?.trim().toLowerCase() === "br" ? "br" : codingOf(name);
}

/**
 * The coding that a body really has: DataFlux Func says gzip of plain bodies that follow a compressed one, and proxies do the reverse.
 * No point begins as gzip or zstd do, and none of the codings but these, zlib and brotli is without a beginning of its own.
 */
export function realCoding({ bytes, length }: Body, named: Coding): Coding {
  const [a, b, c, d] = bytes.subarray(0, Math.min(4, length));
  if (a === 0x1f && b === 0x8b) return "gzip";
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return "zstd";
  if (named === "gzip" || named === "zstd") return "identity";
  // RFC 1950: the method is deflate, and both bytes together are a multiple of 31.
  const isZlib = a !== undefined && b !== undefined && (a & 15) === 8 && (a * 256 + b) % 31 === 0;
  return named === "deflate" && !isZlib ? "identity" : named;
}
