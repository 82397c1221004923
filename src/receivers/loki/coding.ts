import { type Body, type Coding, decompress } from "../../kit/server/compression.ts";
import { isRefusal, PipelineError } from "../../otlp/status.ts";
import type { Lease } from "../../pipeline/contracts.ts";
import type { Format } from "./reader.ts";

/** JSON by its content type; all else is protobuf, as in Loki. Throws PipelineError. */
export function formatOf(contentType: string | undefined): Format {
  const [type = "", ...parameters] = (contentType ?? "").split(";");
  if (type.trim() === "") throw invalid("mime: no media type");
  if (parameters.some((text) => text.trim() !== "" && !text.includes("=")))
    throw invalid("mime: invalid media parameter");
  return type.trim().toLowerCase() === "application/json" ? "json" : "protobuf";
}

/** Throws PipelineError for an encoding that Loki does not take. */
export function checkPushCoding(header: string | undefined): void {
  if (!["", "snappy", "gzip", "deflate"].includes(header ?? ""))
    throw invalid(`Content-Encoding "${(header ?? "").slice(0, 100)}" not supported`);
}

/** The coding around a body, before the snappy of protobuf. `deflate` is that of Go, without zlib's head; with one it is taken, too. */
export function outerCoding({ bytes, length }: Body, header: string | undefined): Coding {
  const [a = 0, b = 0] = bytes.subarray(0, Math.min(2, length));
  if (header === "deflate")
    return a === 0x78 && (a * 256 + b) % 31 === 0 ? "deflate" : "deflate-raw";
  if (header !== "gzip") return "identity";
  if (a !== 0x1f || b !== 0x8b) throw invalid(length === 0 ? "EOF" : "gzip: invalid header");
  return "gzip";
}

/** Protobuf is always one block of snappy. */
export async function unsnapped(body: Body, limitBytes: number, lease: Lease): Promise<Body> {
  const plain = await decompress("snappy", body.bytes, body.length, limitBytes, lease);
  if (!isRefusal(plain)) return plain;
  throw plain.kind === "invalid" ? invalid("snappy: corrupt input") : new PipelineError(plain);
}

/** Loki's OTLP endpoint takes exactly these two. Throws PipelineError. */
export function otlpFormatOf(contentType: string | undefined): Format {
  if (contentType === "application/json") return "json";
  if (contentType === "application/x-protobuf") return "protobuf";
  throw invalid(`content type: ${(contentType ?? "").slice(0, 100)} is not supported`);
}

/** Throws PipelineError for an encoding that Loki's OTLP endpoint does not take, and for lz4. */
export function checkOtlpCoding(header: string | undefined): void {
  if (["", "gzip", "zstd"].includes(header ?? "")) return;
  const name = (header ?? "").slice(0, 100);
  throw invalid(
    name === "lz4"
      ? "lz4 is not taken here: send gzip, zstd or none"
      : `unsupported content encoding ${name}: only gzip, lz4 and zstd are supported`,
  );
}

/** The sender's mistake: it must not send this again. */
export function invalid(why: string): PipelineError {
  return new PipelineError({ kind: "invalid", retryAfterMs: 0, why });
}
