import { isZlib, magicCoding } from "../../kit/coding-magic.ts";
import type { Body, Coding } from "../../kit/server/compression.ts";

/**
 * The coding that a body really has: DataFlux Func says gzip of plain bodies that follow a compressed one, and proxies do the reverse.
 * No point begins as gzip or zstd do, and none of the codings but these, zlib and brotli is without a beginning of its own.
 */
export function realCoding(body: Body, named: Coding): Coding {
  const magic = magicCoding(body);
  if (magic !== undefined) return magic;
  if (named === "gzip" || named === "zstd") return "identity";
  return named === "deflate" && !isZlib(body) ? "identity" : named;
}
