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

const GZIP_LEVELS = { least: 1, most: 9 };
const ZSTD_LEVELS = { least: 1, most: 22 };

/** `compression_params:`, as in the Collector (configcompression). */
export const compressionParams = z
  .strictObject({
    level: z
      .int()
      .min(Math.min(GZIP_LEVELS.least, ZSTD_LEVELS.least))
      .max(Math.max(GZIP_LEVELS.most, ZSTD_LEVELS.most))
      .optional()
      .describe("1 to 9 with gzip, 1 to 22 with zstd. Default: 1, the fastest."),
  })
  .optional()
  .describe("How bodies are compressed.");

/** What is wrong with a level for this compression; undefined: nothing. */
export function levelProblem(name: string, level: number | undefined): string | undefined {
  if (level === undefined || name === "none") return undefined;
  const { least, most } = name === "gzip" ? GZIP_LEVELS : ZSTD_LEVELS;
  return level < least || level > most
    ? `${name} has the levels ${least} to ${most}, got ${level}`
    : undefined;
}

/** Name for Content-Encoding and grpc-encoding, and the work. Uses the thread pool; resolves when the input is no longer read. */
export interface BodyCoding {
  readonly name: "gzip" | "zstd";
  encode(body: Uint8Array): Promise<Uint8Array>;
}

const gzipLater = promisify(gzip);
const zstdLater = promisify(zstdCompress);
/** The fastest: what others leave is a few percent smaller, for three times the work. */
const FASTEST = 1;

/** Undefined for `none`. */
export function codingFor(
  name: z.output<typeof compression>,
  level = FASTEST,
): BodyCoding | undefined {
  if (name === "none") return undefined;
  return name === "gzip"
    ? { name, encode: (body) => gzipLater(body, { level }) }
    : {
        name,
        encode: (body) =>
          zstdLater(body, { params: { [constants.ZSTD_c_compressionLevel]: level } }),
      };
}
