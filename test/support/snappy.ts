import { crc32c } from "./crc32c.ts";

/** An encoder for tests: picks texts and copies at random, so that all kinds of elements occur. */

type Random = (below: number) => number;

/** One block. */
export function snappyBlock(content: Uint8Array, random: Random): Buffer {
  const parts: Uint8Array[] = [varint(content.length)];
  for (let at = 0; at < content.length; ) {
    const [offset, matching] = match(content, at, random);
    if (matching < 4 || random(4) === 0) {
      const length = Math.min(content.length - at, 1 + random(random(8) === 0 ? 70_000 : 100));
      parts.push(textHead(length), content.subarray(at, at + length));
      at += length;
    } else {
      parts.push(copy(offset, matching, random));
      at += matching;
    }
  }
  return Buffer.concat(parts);
}

/** A framed stream, with padding now and then. */
export function snappyFramed(content: Uint8Array, random: Random): Buffer {
  const parts: Uint8Array[] = [Buffer.from("ff060000734e61507059", "hex")];
  for (let at = 0; at < content.length; ) {
    const piece = content.subarray(at, at + 1 + random(65_536));
    const isPlain = random(3) === 0;
    const data = isPlain ? piece : snappyBlock(piece, random);
    const crc = Buffer.alloc(4);
    const sum = crc32c(piece);
    crc.writeUInt32LE((((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0);
    parts.push(chunkHead(isPlain ? 1 : 0, data.length + 4), crc, data);
    if (random(4) === 0) parts.push(chunkHead(0xfe, 3), Buffer.alloc(3));
    at += piece.length;
  }
  return Buffer.concat(parts);
}

/** A place before `at` and how many bytes are the same there, at most 64. */
function match(content: Uint8Array, at: number, random: Random): readonly [number, number] {
  if (at === 0) return [0, 0];
  const offset = 1 + random(Math.min(at, random(2) === 0 ? 20 : at));
  let length = 0;
  while (
    length < 64 &&
    at + length < content.length &&
    content[at + length] === content[at + length - offset]
  )
    length += 1;
  return [offset, length];
}

function copy(offset: number, length: number, random: Random): Buffer {
  if (offset < 2_048 && length <= 11 && random(2) === 0)
    return Buffer.of(((offset >>> 8) << 5) | ((length - 4) << 2) | 1, offset & 255);
  const isWide = offset > 65_535 || random(3) === 0;
  const bytes = Buffer.alloc(isWide ? 5 : 3);
  bytes[0] = ((length - 1) << 2) | (isWide ? 3 : 2);
  if (isWide) bytes.writeUInt32LE(offset, 1);
  else bytes.writeUInt16LE(offset, 1);
  return bytes;
}

function textHead(length: number): Buffer {
  const less = length - 1;
  if (less < 60) return Buffer.of(less << 2);
  const bytes: number[] = [];
  for (let rest = less; rest > 0; rest >>>= 8) bytes.push(rest & 255);
  return Buffer.from([(59 + bytes.length) << 2, ...bytes]);
}

function chunkHead(kind: number, length: number): Buffer {
  return Buffer.of(kind, length & 255, (length >>> 8) & 255, length >>> 16);
}

/** A length as the protobufs and Snappy write it. */
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}
