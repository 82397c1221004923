import { setImmediate as turn } from "node:timers/promises";
import { outOfMemory } from "../../kit/budget.ts";
import { type Body, decompress } from "../../kit/server/compression.ts";
import { zstdFrameEnd } from "../../kit/server/zstd-frames.ts";
import { isRefusal, type Refusal } from "../../otlp/status.ts";
import type { Lease } from "../../pipeline/contracts.ts";
import { SLACK } from "../../wire/slack.ts";
import type { Message } from "./message.ts";

/** Frames that are this small when decoded are decoded in memory of their own, before the room for all of them grows. */
const SMALL_BYTES = 1 << 20;
/** Fluentd makes a frame of each append to a chunk. */
const FRAMES_MAX = 65_536;
const FRAMES_PER_TURN = 256;

/**
 * The message with its entries as they were before they were compressed; what cannot be read makes it one with a problem. A refusal:
 * the lease could not grow, later it may.
 */
export async function unpacked(
  message: Message,
  limitBytes: number,
  lease: Lease,
): Promise<Message | Refusal> {
  const { content, bytes, from, to } = message;
  if (content.kind !== "compressed") return message;
  const { coding } = content;
  const packed = bytes.subarray(from, to);
  const body =
    coding === "gzip"
      ? await decompress("gzip", packed, packed.length, limitBytes, lease)
      : coding === "zstd"
        ? await fromFrames(packed, limitBytes, lease)
        : damaged(`unknown compression ${JSON.stringify(coding)}: send gzip, zstd or none`);
  if (!isRefusal(body))
    return {
      ...message,
      content: { kind: "entries" },
      bytes: body.bytes,
      from: 0,
      to: body.length,
    };
  if (body.kind !== "invalid" && body.kind !== "too_large") return body;
  return { ...message, content: { kind: "none" }, problem: `a compressed message: ${body.why}` };
}

/** node:zlib stops behind the first frame, so each is decoded by itself. */
async function fromFrames(
  packed: Uint8Array,
  limitBytes: number,
  lease: Lease,
): Promise<Body | Refusal> {
  const decoded: Body[] = [];
  let length = 0;
  for (let p = 0; p < packed.length; ) {
    const end = zstdFrameEnd(packed, p, packed.length);
    if (end < 0) return damaged("it is not zstd, as the message says, or it is cut off");
    if (decoded.length === FRAMES_MAX) return damaged(`it has more than ${FRAMES_MAX} frames`);
    const frame = packed.subarray(p, end);
    const body = await decodeFrame(frame, limitBytes - length, lease);
    if (isRefusal(body)) return body;
    decoded.push(body);
    length += body.length;
    p = end;
    if (decoded.length % FRAMES_PER_TURN === 0) await turn();
  }
  const [only] = decoded;
  return decoded.length === 1 && only !== undefined ? only : joined(decoded, length, lease);
}

async function decodeFrame(
  frame: Uint8Array,
  limitBytes: number,
  lease: Lease,
): Promise<Body | Refusal> {
  const small = Math.min(limitBytes, SMALL_BYTES);
  const body = await decompress("zstd", frame, frame.length, small);
  const isLarge = isRefusal(body) && body.kind === "too_large" && limitBytes > small;
  if (isLarge) return decompress("zstd", frame, frame.length, limitBytes, lease);
  if (!isRefusal(body) && !lease.grow(body.length)) return outOfMemory(lease);
  return body;
}

function joined(parts: readonly Body[], length: number, lease: Lease): Body | Refusal {
  if (!lease.grow(length)) return outOfMemory(lease);
  const bytes = new Uint8Array(length + SLACK);
  let at = 0;
  for (const part of parts) {
    bytes.set(part.bytes.subarray(0, part.length), at);
    at += part.length;
  }
  return { bytes, length };
}

function damaged(why: string): Refusal {
  return { kind: "invalid", retryAfterMs: 0, why };
}
