import { crc32 } from "node:zlib";
import { SIGNALS, type Signal } from "../otlp/tape.ts";
import type { Routes } from "./journal.ts";
import { MAX_ROUTES } from "./routes.ts";

/*
 * On disk, little endian. A segment is a header and then groups without gaps; a group is a header and then records. A group is
 * intact when its own header and every record in it are, so an append is recovered as a whole or not at all.
 *
 * Every header checksum starts from a seed made of journal, segment and offset: a block that a disk wrote to the wrong place, or
 * twice, does not check. The body's checksum stands in the record header and is thereby bound to the place as well.
 */
export const SEGMENT_HEADER = 64;
export const GROUP_HEADER = 40;
/** Fixed part of a record header; the words of the route set and the header's checksum follow. */
const RECORD_FIXED = 40;
const MAX_WORDS = MAX_ROUTES / 32;
/** Longest record header. */
export const RECORD_HEADER_MAX = RECORD_FIXED + 4 * MAX_WORDS + 4;
export const VERSION = 1;
/** A segment that copy-forward wrote. The same as version 1 but for its header, which says how long it is and not what came before. */
export const COPY_VERSION = 2;
const SEGMENT_MAGIC = new TextEncoder().encode("WEIRJRNL");
/** First bytes of a group; recovery searches for them behind damage. */
export const GROUP_MAGIC = new Uint8Array([0xf1, 0x57, 0x47, 0x9e]);
const GROUP_MAGIC_WORD = 0x9e4757f1;

export const RecordType = { frame: 1, checkpoint: 2, delta: 3, memos: 4 } as const;
export type RecordType = (typeof RecordType)[keyof typeof RecordType];

/** Checksum seed of one segment of one journal. */
export function segmentSeed(journalId: string, segment: number): number {
  return crc32(`${journalId}/${segment}`);
}

/** The multiplier is odd, so two offsets of a segment never share a seed. */
function seedAt(segment: number, offset: number): number {
  return (segment ^ Math.imul(offset, 0x9e3779b1)) >>> 0;
}

export interface SegmentHeader {
  readonly version: number;
  readonly id: number;
  /** 32 hexadecimal digits. */
  readonly journalId: string;
  /** Written without fsync: a power cut may have taken any part of it. */
  readonly unsynced: boolean;
  readonly firstSeq: number;
  /** The segment before, and how much of it counts: what lies behind was never acknowledged. */
  readonly previousId: number;
  readonly previousLength: number;
  readonly createdMs: number;
  /** Only in version 2: bytes of the whole file. It was complete before it had its name. */
  readonly ownLength?: number;
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER);
  const view = new DataView(bytes.buffer);
  bytes.set(SEGMENT_MAGIC, 0);
  view.setUint16(8, header.version, true);
  view.setUint16(10, header.unsynced ? 1 : 0, true);
  view.setUint32(12, header.id, true);
  bytes.set(Buffer.from(header.journalId, "hex"), 16);
  view.setFloat64(32, header.firstSeq, true);
  view.setUint32(40, header.previousId, true);
  view.setUint32(44, header.ownLength ?? header.previousLength, true);
  view.setFloat64(48, header.createdMs, true);
  view.setUint32(60, crc32(bytes.subarray(0, 60)), true);
  return bytes;
}

/** "newer": a version this program does not know. "bad": not a header, or damaged. */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | "newer" | "bad" {
  if (bytes.length < SEGMENT_HEADER) return "bad";
  for (const [index, byte] of SEGMENT_MAGIC.entries()) if (bytes[index] !== byte) return "bad";
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const version = view.getUint16(8, true);
  if (view.getUint32(60, true) !== crc32(bytes.subarray(0, 60)))
    return version > COPY_VERSION ? "newer" : "bad";
  if (version > COPY_VERSION) return "newer";
  const length = view.getUint32(44, true);
  return {
    version,
    unsynced: (view.getUint16(10, true) & 1) === 1,
    id: view.getUint32(12, true),
    journalId: Buffer.from(bytes.subarray(16, 32)).toString("hex"),
    firstSeq: view.getFloat64(32, true),
    previousId: view.getUint32(40, true),
    ...(version === COPY_VERSION
      ? { previousLength: 0, ownLength: length }
      : { previousLength: length }),
    createdMs: view.getFloat64(48, true),
  };
}

export interface GroupHeader {
  /** Bytes of the whole group, this header included. */
  readonly length: number;
  readonly records: number;
  /** Offset at which the write that brought this group began: all groups of one write are acknowledged together. */
  readonly writeAt: number;
  /** Increases within a journal: stale bytes behind the end of a segment are told by it. */
  readonly number: number;
  readonly firstSeq: number;
}

export function encodeGroupHeader(
  view: DataView,
  at: number,
  group: GroupHeader,
  seed: number,
  offset: number,
): void {
  view.setUint32(at, GROUP_MAGIC_WORD, true);
  view.setUint32(at + 4, group.length, true);
  view.setUint32(at + 8, group.records, true);
  view.setUint32(at + 12, group.writeAt, true);
  view.setFloat64(at + 16, group.number, true);
  view.setFloat64(at + 24, group.firstSeq, true);
  view.setUint32(at + 32, 0, true);
  const head = new Uint8Array(view.buffer, view.byteOffset + at, 36);
  view.setUint32(at + 36, crc32(head, seedAt(seed, offset)), true);
}

/** Undefined when there is no intact group header at `at` of the memory, which holds the segment's byte `offset`. */
export function decodeGroupHeader(
  view: DataView,
  at: number,
  seed: number,
  offset: number,
): GroupHeader | undefined {
  if (at + GROUP_HEADER > view.byteLength) return undefined;
  if (view.getUint32(at, true) !== GROUP_MAGIC_WORD) return undefined;
  const head = new Uint8Array(view.buffer, view.byteOffset + at, 36);
  if (view.getUint32(at + 36, true) !== crc32(head, seedAt(seed, offset))) return undefined;
  return {
    length: view.getUint32(at + 4, true),
    records: view.getUint32(at + 8, true),
    writeAt: view.getUint32(at + 12, true),
    number: view.getFloat64(at + 16, true),
    firstSeq: view.getFloat64(at + 24, true),
  };
}

export interface RecordHeader {
  readonly type: RecordType;
  readonly signal: Signal;
  readonly seq: number;
  readonly arrivalMs: number;
  readonly items: number;
  readonly note: number;
  readonly payload: number;
  /** Of note and payload, without seed. */
  readonly bodyCrc: number;
  readonly routes: Routes;
}

export function recordHeaderLength(words: number): number {
  return RECORD_FIXED + 4 * words + 4;
}

export function recordLength(words: number, note: number, payload: number): number {
  return RECORD_FIXED + 4 * words + 4 + note + payload;
}

/** Returns the end of the header. */
export function encodeRecordHeader(
  view: DataView,
  at: number,
  record: RecordHeader,
  seed: number,
  offset: number,
): number {
  const words = record.routes.length;
  view.setUint32(at, recordLength(words, record.note, record.payload), true);
  view.setUint8(at + 4, record.type);
  view.setUint8(at + 5, SIGNALS.indexOf(record.signal));
  view.setUint16(at + 6, words, true);
  view.setFloat64(at + 8, record.seq, true);
  view.setFloat64(at + 16, record.arrivalMs, true);
  view.setUint32(at + 24, record.items, true);
  view.setUint32(at + 28, record.note, true);
  view.setUint32(at + 32, record.payload, true);
  view.setUint32(at + 36, record.bodyCrc, true);
  let end = at + RECORD_FIXED;
  for (let i = 0; i < words; i++, end += 4) view.setUint32(end, record.routes[i] ?? 0, true);
  const head = new Uint8Array(view.buffer, view.byteOffset + at, end - at);
  view.setUint32(end, crc32(head, seedAt(seed, offset)), true);
  return end + 4;
}

/** A record header with the length of its own and of the whole record. */
export interface DecodedRecord extends RecordHeader {
  readonly headerLength: number;
  readonly length: number;
}

/** Undefined when there is no intact record header. Needs RECORD_HEADER_MAX bytes, or all there are. */
export function decodeRecordHeader(
  view: DataView,
  at: number,
  seed: number,
  offset: number,
): DecodedRecord | undefined {
  if (at + RECORD_FIXED + 4 > view.byteLength) return undefined;
  const type = view.getUint8(at + 4);
  const signal = SIGNALS[view.getUint8(at + 5)];
  const words = view.getUint16(at + 6, true);
  if (words > MAX_WORDS || at + recordHeaderLength(words) > view.byteLength) return undefined;
  const end = at + RECORD_FIXED + 4 * words;
  const head = new Uint8Array(view.buffer, view.byteOffset + at, end - at);
  if (view.getUint32(end, true) !== crc32(head, seedAt(seed, offset))) return undefined;
  if (signal === undefined || (type !== 1 && type !== 2 && type !== 3 && type !== 4))
    return undefined;
  const note = view.getUint32(at + 28, true);
  const payload = view.getUint32(at + 32, true);
  const length = view.getUint32(at, true);
  if (length !== recordLength(words, note, payload)) return undefined;
  const routes = new Uint32Array(words);
  for (let i = 0; i < words; i++) routes[i] = view.getUint32(at + RECORD_FIXED + 4 * i, true);
  return {
    type,
    signal,
    seq: view.getFloat64(at + 8, true),
    arrivalMs: view.getFloat64(at + 16, true),
    items: view.getUint32(at + 24, true),
    note,
    payload,
    bodyCrc: view.getUint32(at + 36, true),
    routes,
    headerLength: recordHeaderLength(words),
    length,
  };
}

/** `00000042.segment` */
export function segmentName(id: number): string {
  return `${String(id).padStart(8, "0")}.segment`;
}

/** The id in a segment's name; undefined for any other file. */
export function segmentIdOf(name: string): number | undefined {
  const id = /^\d{8,10}\.segment$/.test(name) ? Number.parseInt(name, 10) : 0;
  return id > 0 && id <= 0xffff_fffe && segmentName(id) === name ? id : undefined;
}
