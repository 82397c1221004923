import { isZlib, magicCoding, namedCoding } from "../../kit/coding-magic.ts";
import type { Body, Coding } from "../../kit/server/compression.ts";

/** The first bytes of framed Snappy: a chunk of six bytes that says "sNaP…". */
const SNAPPY = [0xff, 0x06, 0x00, 0x00, 0x73];
/** The first byte of zlib with a window of 32 KiB, which everybody uses: those of smaller ones may be text. */
const DEFLATE_32K = 0x78;

/**
 * The coding that a body really has: by its first bytes, which no JSON, MessagePack or form begins with. Only Brotli and one block of Snappy
 * have none of their own: for these the header is believed, where the body does not look like JSON.
 */
export function realCoding(body: Body, header: string | undefined): Coding {
  const { bytes, length } = body;
  const magic = magicCoding(body);
  if (magic !== undefined) return magic;
  if (length >= SNAPPY.length && SNAPPY.every((byte, i) => bytes[i] === byte)) return "snappy";
  const [first = 0] = bytes.subarray(0, Math.min(1, length));
  if (first === DEFLATE_32K && isZlib(body)) return "deflate";
  const named = namedCoding(header);
  const isPlain = (first === 0x7b || first === 0x5b) && isJsonAfter(bytes, 1, length);
  return (named === "br" || named === "snappy") && !isPlain ? named : "identity";
}

/** Whether the first byte from `p` on that is no white space is one that may follow a bracket in JSON. */
function isJsonAfter(bytes: Uint8Array, p: number, length: number): boolean {
  while (p < length && " \t\r\n".includes(String.fromCharCode(bytes[p] ?? 0))) p++;
  return p < length && '"{[]}'.includes(String.fromCharCode(bytes[p] ?? 0));
}
