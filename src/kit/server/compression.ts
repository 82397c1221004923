import {
  brotliDecompress,
  brotliDecompressSync,
  constants,
  gunzip,
  gunzipSync,
  inflate,
  inflateRaw,
  inflateRawSync,
  inflateSync,
  zstdDecompress,
  zstdDecompressSync,
} from "node:zlib";
import type { Refusal } from "../../otlp/status.ts";
import { SLACK } from "../../wire/slack.ts";
import { outOfMemory } from "../budget.ts";
import { SnappyError, snappyLength, unsnappy } from "./snappy.ts";

/** Bytes of a message and their count; SLACK bytes behind `length` are readable. */
export interface Body {
  readonly bytes: Uint8Array;
  readonly length: number;
}

type ZlibCoding = "gzip" | "zstd" | "deflate" | "deflate-raw" | "br";
/** "br" and "deflate-raw" (RFC 1951) are taken only by receivers whose senders use them: OTLP has none. */
export type Coding = "identity" | ZlibCoding | "snappy";

/** Codings that servers announce in Accept-Encoding and grpc-accept-encoding. */
export const ACCEPTED_CODINGS = "gzip, zstd, deflate, snappy";

/** Output below this is produced at once: the way through the thread pool costs more (40–80 µs) than it frees. */
const SYNC_BYTES = 1024 * 1024;
/** No deflate stream expands more than this; a gzip trailer that claims more lies or is of another member. */
const DEFLATE_MOST = 1_032;
/** First guess when the size of the output is unknown. */
const GUESS_FACTOR = 4;
const SMALLEST_OUTPUT = 16 * 1024;
/** 8 MiB, the largest window that the `zstd` content coding may use (RFC 9659). */
const ZSTD_WINDOW_LOG = 23;
/** Code of our own error, in words that go into the answer. */
const MANY_FRAMES = "more than one frame";

/** Takes from the budget before memory is taken; see Lease. */
export interface Growing {
  grow(bytes: number): boolean;
  readonly isBeyondBudget?: boolean;
}

/** The one coding of a Content-Encoding or grpc-encoding header; undefined for unknown and for stacked ones. */
export function codingOf(header: string | undefined): Coding | undefined {
  if (header === undefined) return "identity";
  const name = header.trim().toLowerCase();
  if (name === "" || name === "identity" || name === "none") return "identity";
  if (name === "gzip" || name === "x-gzip") return "gzip";
  if (name === "zstd") return "zstd";
  // Both are RFC 1950, as in the Collector and in HTTP (RFC 9110 §8.4.1.2).
  if (name === "deflate" || name === "zlib") return "deflate";
  return name === "snappy" || name === "x-snappy-framed" ? "snappy" : undefined;
}

/** What to tell who sent a coding that `codingOf` does not know. */
export function unknownCoding(header: string): string {
  const stacked = header.includes(",");
  return stacked
    ? `the body is encoded more than once (${JSON.stringify(header.slice(0, 60))}): send it with one encoding, ${ACCEPTED_CODINGS} or none`
    : `unknown encoding ${JSON.stringify(header.slice(0, 60))}: send ${ACCEPTED_CODINGS} or none`;
}

/**
 * The decoded body. Never more than `limitBytes`, and never more than `lease` grants: the output's memory is taken from the lease
 * before it is allocated. Small bodies are decoded at once, larger ones on the thread pool.
 */
export function decompress(
  coding: Coding,
  bytes: Uint8Array,
  length: number,
  limitBytes: number,
  lease?: Growing,
): Body | Refusal | Promise<Body | Refusal> {
  if (coding === "identity") return length > limitBytes ? tooLarge(limitBytes) : { bytes, length };
  const input = bytes.subarray(0, length);
  if (coding === "snappy") return fromSnappy(input, limitBytes, lease);
  const expected = expectedBytes(coding, bytes, length);
  if (expected > limitBytes) return tooLarge(limitBytes);
  const first = expected < 0 ? length * GUESS_FACTOR : expected;
  const room = Math.min(limitBytes, Math.max(first, SMALLEST_OUTPUT));
  return attempt({ coding, input, limitBytes, lease }, room);
}

async function fromSnappy(
  input: Uint8Array,
  limitBytes: number,
  lease: Growing | undefined,
): Promise<Body | Refusal> {
  try {
    const length = snappyLength(input);
    if (length > limitBytes) return tooLarge(limitBytes);
    if (lease?.grow(length) === false) return outOfMemory(lease);
    return { bytes: await unsnappy(input, length), length };
  } catch (error) {
    if (!(error instanceof SnappyError)) throw error;
    return damaged("snappy", error.message);
  }
}

interface Job {
  readonly coding: ZlibCoding;
  readonly input: Uint8Array;
  readonly limitBytes: number;
  readonly lease: Growing | undefined;
}

/** Decodes into at most `room` bytes; when that is too little, again with four times as much, up to the limit. */
function attempt(job: Job, room: number): Body | Refusal | Promise<Body | Refusal> {
  if (job.lease?.grow(room) === false) return outOfMemory(job.lease);
  // Much input may make little output: an empty gzip member has 20 bytes.
  if (Math.max(room, job.input.length) >= SYNC_BYTES) return attemptOnThreadPool(job, room);
  try {
    return slacked(decodeNow(job, room));
  } catch (error) {
    return afterFailure(job, room, error);
  }
}

async function attemptOnThreadPool(job: Job, room: number): Promise<Body | Refusal> {
  try {
    return slacked(await decodeLater(job, room));
  } catch (error) {
    return afterFailure(job, room, error);
  }
}

function afterFailure(
  job: Job,
  room: number,
  error: unknown,
): Body | Refusal | Promise<Body | Refusal> {
  const code = error instanceof Error && "code" in error ? error.code : "";
  if (code === "ERR_BUFFER_TOO_LARGE")
    return room >= job.limitBytes
      ? tooLarge(job.limitBytes)
      : attempt(job, Math.min(job.limitBytes, room * GUESS_FACTOR));
  if (code === MANY_FRAMES)
    return {
      kind: "invalid",
      retryAfterMs: 0,
      why: `the body is ${MANY_FRAMES} of ${job.coding}: compress it as one`,
    };
  return damaged(job.coding, String(code));
}

function damaged(coding: Coding, detail: string): Refusal {
  return {
    kind: "invalid",
    retryAfterMs: 0,
    why: `the body is not ${coding}, as its encoding header says, or it is damaged (${detail})`,
  };
}

/** One output chunk with room behind the end: no growing, no joining, and slack for free. */
function optionsOf(job: Job, room: number) {
  return {
    chunkSize: Math.max(room + SLACK + 1, SMALLEST_OUTPUT),
    maxOutputLength: room,
    info: true,
    ...(job.coding === "zstd" && { params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } }),
  };
}

interface Decoder {
  now(input: Uint8Array, options: ReturnType<typeof optionsOf>): unknown;
  later(
    input: Uint8Array,
    options: ReturnType<typeof optionsOf>,
    done: (error: Error | null, output: unknown) => void,
  ): void;
}

const DECODERS: Readonly<Record<ZlibCoding, Decoder>> = {
  gzip: { now: gunzipSync, later: gunzip },
  deflate: { now: inflateSync, later: inflate },
  "deflate-raw": { now: inflateRawSync, later: inflateRaw },
  br: { now: brotliDecompressSync, later: brotliDecompress },
  zstd: { now: zstdDecompressSync, later: zstdDecompress },
};

function decodeNow(job: Job, room: number): Uint8Array {
  return whole(job, DECODERS[job.coding].now(job.input, optionsOf(job, room)));
}

async function decodeLater(job: Job, room: number): Promise<Uint8Array> {
  const decoded = await new Promise((resolve, reject) => {
    const done = (error: Error | null, output: unknown) =>
      error === null ? resolve(output) : reject(error);
    DECODERS[job.coding].later(job.input, optionsOf(job, room), done);
  });
  return whole(job, decoded);
}

/**
 * The output, after a look at how much input it took (`info: true`, which the types of node:zlib do not know): for zstd and deflate,
 * node:zlib stops silently behind the first frame, and what was in the others would be lost.
 */
function whole(job: Job, decoded: unknown): Uint8Array {
  if (!isDecoded(decoded)) throw new TypeError("node:zlib ignores `info`");
  if (job.coding !== "gzip" && decoded.engine.bytesWritten !== job.input.length)
    throw Object.assign(new Error(MANY_FRAMES), { code: MANY_FRAMES });
  return decoded.buffer;
}

function isDecoded(
  decoded: unknown,
): decoded is { buffer: Uint8Array; engine: { bytesWritten: number } } {
  return typeof decoded === "object" && decoded !== null && "engine" in decoded;
}

/** Never memory of Buffer's shared pool, so nothing foreign lies behind the end and nothing foreign is kept alive. */
function slacked(output: Uint8Array): Body {
  const length = output.length;
  if (output.byteOffset === 0 && output.buffer.byteLength >= length + SLACK)
    return { bytes: new Uint8Array(output.buffer, 0, length + SLACK), length };
  const bytes = new Uint8Array(length + SLACK);
  bytes.set(output);
  return { bytes, length };
}

/** Size of the output as the data itself claims; -1 when it does not, or not credibly. */
function expectedBytes(coding: ZlibCoding, bytes: Uint8Array, length: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  if (coding === "gzip") return gzipSize(view);
  return coding === "zstd" ? zstdContentSize(view) : -1;
}

/** ISIZE, the last four bytes (RFC 1952): the output modulo 2^32, of the last member only. */
function gzipSize(view: DataView): number {
  if (view.byteLength < 18) return -1;
  const size = view.getUint32(view.byteLength - 4, true);
  return size <= view.byteLength * DEFLATE_MOST ? size : -1;
}

/** Frame_Content_Size (RFC 8878, 3.1.1.1). */
function zstdContentSize(view: DataView): number {
  if (view.byteLength < 14 || view.getUint32(0, true) !== 0xfd2fb528) return -1;
  const descriptor = view.getUint8(4);
  const single = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number;
  const at = 5 + (single ? 0 : 1) + dictionaryBytes;
  const sizeFlag = descriptor >>> 6;
  if (sizeFlag === 0) return single ? view.getUint8(at) : -1;
  if (sizeFlag === 1) return view.getUint16(at, true) + 256;
  if (sizeFlag === 2) return view.byteLength >= at + 4 ? view.getUint32(at, true) : -1;
  return view.byteLength >= at + 8
    ? view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32
    : -1;
}

function tooLarge(limitBytes: number): Refusal {
  return {
    kind: "too_large",
    retryAfterMs: 0,
    why: `the decoded body is larger than the limit of ${limitBytes} bytes: send smaller batches, or raise the receiver's limit`,
  };
}
