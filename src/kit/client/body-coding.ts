import { promisify } from "node:util";
import { constants, gzip, zstdCompress } from "node:zlib";
import { z } from "zod";

/** `compression:` of exporters whose bodies are sent once and thrown away. */
export const compression = z
  .enum(["none", "gzip", "zstd"])
  .default("none")
  .describe(
    "Of requests. The Collector's default is gzip; none costs a fraction of the processor time. zstd: not every server takes it.",
  );

/** Name for Content-Encoding and grpc-encoding, and the work. Uses the thread pool; resolves when the input is no longer read. */
export interface BodyCoding {
  readonly name: "gzip" | "zstd";
  encode(body: Uint8Array): Promise<Uint8Array>;
}

const gzipLater = promisify(gzip);
const zstdLater = promisify(zstdCompress);
/** The fastest levels: what they leave is a few percent larger, for a third of the time. */
const GZIP = { level: constants.Z_BEST_SPEED };
const ZSTD = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Undefined for `none`. */
export function codingFor(name: z.output<typeof compression>): BodyCoding | undefined {
  if (name === "none") return undefined;
  return name === "gzip"
    ? { name, encode: (body) => gzipLater(body, GZIP) }
    : { name, encode: (body) => zstdLater(body, ZSTD) };
}
