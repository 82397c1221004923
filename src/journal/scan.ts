import { crc32 } from "node:zlib";
import type { Seq } from "../otlp/range.ts";
import { SIGNALS } from "../otlp/tape.ts";
import { CHECKPOINT_MAX, type Checkpoint, decodeCheckpoint } from "./checkpoint.ts";
import type { DiskFile, FileIo } from "./file-io.ts";
import {
  type DecodedRecord,
  decodeGroupHeader,
  decodeRecordHeader,
  GROUP_HEADER,
  GROUP_MAGIC,
  type GroupHeader,
  RECORD_HEADER_MAX,
  RecordType,
  SEGMENT_HEADER,
  segmentName,
  segmentSeed,
} from "./layout.ts";
import type { FrameEntry } from "./segment.ts";

/** Bytes held at once, however large segment and frames are (a checkpoint may add 16 MiB). */
const WINDOW = 1 << 20;
/** What is skipped when the disk cannot read it. */
const BLOCK = 4_096;

/** A moving view of a file. Blocks that cannot be read are zeros and are noted. */
export class FileWindow {
  readonly size: number;
  readonly unreadable: number[] = [];
  readonly #file: DiskFile;
  readonly #bytes = new Uint8Array(WINDOW);
  readonly view = new DataView(this.#bytes.buffer);
  #start = 0;
  #end = 0;

  constructor(file: DiskFile, size: number) {
    this.#file = file;
    this.size = size;
  }

  /** Brings `offset` and up to `length` bytes behind it into the view (fewer at the end of the file); returns where it stands there. */
  async seek(offset: number, length: number): Promise<number> {
    const wanted = Math.min(offset + length, this.size);
    if (offset < this.#start || wanted > this.#end) await this.#load(offset);
    return offset - this.#start;
  }

  /** Bytes of the view that are valid from `at` on, at most `length`. */
  bytes(at: number, length: number): Uint8Array {
    return this.#bytes.subarray(at, Math.min(at + length, this.#end - this.#start));
  }

  /** The valid part as a view of its own: decoders check lengths against its end. */
  get valid(): DataView {
    return new DataView(this.#bytes.buffer, 0, this.#end - this.#start);
  }

  hasUnreadable(from: number, to: number): boolean {
    return this.unreadable.some((block) => block < to && block + BLOCK > from);
  }

  async #load(offset: number): Promise<void> {
    const length = Math.max(0, Math.min(WINDOW, this.size - offset));
    const into = this.#bytes.subarray(0, length);
    this.#start = offset;
    this.#end = offset + length;
    try {
      const got = await this.#file.read(into, offset);
      into.fill(0, got);
    } catch {
      await this.#loadBlocks(into, offset);
    }
  }

  async #loadBlocks(into: Uint8Array, offset: number): Promise<void> {
    for (let at = 0; at < into.length; at += BLOCK) {
      const block = into.subarray(at, at + BLOCK);
      try {
        block.fill(0, await this.#file.read(block, offset + at));
      } catch {
        block.fill(0);
        this.unreadable.push(offset + at);
      }
    }
  }
}

/** A checkpoint or a list of deltas, as bytes. */
export interface JsonRecord {
  readonly type: number;
  readonly bytes: Uint8Array;
}

export interface ScannedGroup {
  readonly header: GroupHeader;
  readonly frames: readonly FrameEntry[];
  readonly json: readonly JsonRecord[];
}

/** Bytes between intact groups. */
export interface Region {
  readonly from: number;
  readonly to: number;
  readonly isUnreadable: boolean;
  /** Frames whose headers are intact although their group is not. */
  readonly survivors: readonly FrameEntry[];
}

export interface Scanned {
  /** End of the last intact group. */
  readonly end: number;
  readonly groups: number;
  /** Where the last write began that brought an intact group: what is broken behind was perhaps never acknowledged. */
  readonly lastWriteAt: number;
  readonly regions: readonly Region[];
  readonly lastSeq: Seq;
}

interface GroupRead {
  readonly group?: ScannedGroup;
  /** End of the group, when its header can be believed. */
  readonly end?: number;
  readonly survivors: readonly FrameEntry[];
}

/** Reads a segment up to `limit`; calls `visit` for each intact group, in order. */
export async function scanSegment(
  window: FileWindow,
  seed: number,
  limit: number,
  visit: (group: ScannedGroup) => void,
): Promise<Scanned> {
  const regions: Region[] = [];
  let at = SEGMENT_HEADER;
  let end = SEGMENT_HEADER;
  let groups = 0;
  let lastNumber = 0;
  let lastWriteAt = 0;
  let lastSeq = 0;
  while (at < limit) {
    const {
      group,
      end: groupEnd,
      survivors,
    } = await readGroup(window, seed, at, limit, lastNumber);
    for (const { seq } of group?.frames ?? survivors) lastSeq = Math.max(lastSeq, seq);
    if (group !== undefined && groupEnd !== undefined) {
      visit(group);
      groups++;
      ({ writeAt: lastWriteAt, number: lastNumber } = group.header);
      at = groupEnd;
      end = groupEnd;
      continue;
    }
    const to = groupEnd ?? (await findGroup(window, seed, at + 1, limit, lastNumber));
    regions.push({ from: at, to, isUnreadable: window.hasUnreadable(at, to), survivors });
    at = to;
  }
  return { end, groups, lastWriteAt, regions, lastSeq };
}

/** The group at `at`; nothing when there is none, and only its end when something in it is broken. */
export async function readGroup(
  window: FileWindow,
  seed: number,
  at: number,
  limit: number,
  lastNumber: number,
): Promise<GroupRead> {
  const here = await window.seek(at, GROUP_HEADER);
  const header = decodeGroupHeader(window.valid, here, seed, at);
  if (header === undefined || !isPossible(header, at, limit, lastNumber)) return { survivors: [] };
  const end = at + header.length;
  const frames: FrameEntry[] = [];
  const json: JsonRecord[] = [];
  let isIntact = true;
  let recordAt = at + GROUP_HEADER;
  for (let i = 0; i < header.records; i++) {
    const start = await window.seek(recordAt, RECORD_HEADER_MAX);
    const record = decodeRecordHeader(window.valid, start, seed, recordAt);
    if (record === undefined || recordAt + record.length > end) {
      isIntact = false;
      break;
    }
    const body = await readBody(window, record, recordAt + record.headerLength);
    isIntact &&= body !== undefined;
    if (record.type === RecordType.frame) frames.push(entryOf(record, recordAt));
    else if (body !== undefined) json.push({ type: record.type, bytes: body });
    recordAt += record.length;
  }
  if (!isIntact || recordAt !== end) return { end, survivors: frames };
  return { group: { header, frames, json }, end, survivors: [] };
}

/** The checkpoint that a segment begins with; undefined when it has none or it is damaged. */
export async function firstCheckpoint(
  io: FileIo,
  journalId: string,
  id: number,
  size: number,
): Promise<Checkpoint | undefined> {
  const file = await io.open(segmentName(id), "read");
  try {
    const window = new FileWindow(file, size);
    const seed = segmentSeed(journalId, id);
    const { group } = await readGroup(window, seed, SEGMENT_HEADER, size, 0);
    const [first] = group?.json ?? [];
    return first && decodeCheckpoint(first.bytes);
  } finally {
    await file.close().catch(() => {});
  }
}

/** Where the next believable group header stands; `limit` when there is none. */
export async function findGroup(
  window: FileWindow,
  seed: number,
  from: number,
  limit: number,
  lastNumber: number,
): Promise<number> {
  let at = from;
  while (at + GROUP_HEADER <= limit) {
    const here = await window.seek(at, GROUP_HEADER);
    const bytes = window.bytes(here, WINDOW);
    const found = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(GROUP_MAGIC);
    if (found < 0) {
      // The magic may straddle the edge of the view.
      at += Math.max(1, bytes.length - GROUP_MAGIC.length + 1);
      continue;
    }
    at += found;
    const there = await window.seek(at, GROUP_HEADER);
    const header = decodeGroupHeader(window.valid, there, seed, at);
    if (header !== undefined && isPossible(header, at, limit, lastNumber)) return at;
    at++;
  }
  return limit;
}

function isPossible(header: GroupHeader, at: number, limit: number, lastNumber: number): boolean {
  const { length, number } = header;
  return length >= GROUP_HEADER && at + length <= limit && number > lastNumber;
}

/** Undefined when the checksum is wrong. Frames' bodies are only summed; an empty array stands for them. */
async function readBody(
  window: FileWindow,
  record: DecodedRecord,
  at: number,
): Promise<Uint8Array | undefined> {
  const length = record.note + record.payload;
  const isJson = record.type !== RecordType.frame;
  if (isJson && length > CHECKPOINT_MAX) return undefined;
  const kept = new Uint8Array(isJson ? length : 0);
  let crc = 0;
  for (let done = 0; done < length; ) {
    const here = await window.seek(at + done, 1);
    const part = window.bytes(here, length - done);
    if (part.length === 0) return undefined;
    crc = crc32(part, crc);
    if (isJson) kept.set(part, done);
    done += part.length;
  }
  return crc === record.bodyCrc ? kept : undefined;
}

function entryOf(record: DecodedRecord, offset: number): FrameEntry {
  const { seq, payload, items, arrivalMs, routes, length } = record;
  const signal = SIGNALS.indexOf(record.signal);
  return { seq, offset, size: length, payload, items, arrivalMs, signal, routes };
}
