import { crc32 } from "node:zlib";
import type { Checkpoint } from "./checkpoint.ts";
import {
  type Draft,
  draftCheckpoint,
  draftGroup,
  encodeGroups,
  type GroupDraft,
} from "./encode.ts";
import type { DiskFile, FileIo } from "./file-io.ts";
import {
  COPY_VERSION,
  type DecodedRecord,
  decodeRecordHeader,
  encodeSegmentHeader,
  GROUP_HEADER,
  RECORD_HEADER_MAX,
  RecordType,
  SEGMENT_HEADER,
  segmentSeed,
} from "./layout.ts";
import type { Pace } from "./pace.ts";
import { Segment } from "./segment.ts";

/** Bytes read, summed and written at once; a larger frame goes in parts of this. */
const PART = 1 << 20;
/** Bytes between two frames that are rather read along than left out. */
const GAP = 64 << 10;
/** Bytes between two fdatasyncs: one of everything at the end would keep those of the appends waiting. */
const SYNC_BYTES = 4 << 20;
const NO_BYTES = new Uint8Array(0);

/** A segment and which of its frames are copied, by index. */
export interface Source {
  readonly segment: Segment;
  readonly indexes: readonly number[];
}

export interface CopyPlan {
  readonly journalId: string;
  readonly unsynced: boolean;
  /** Bodies have no checksums. */
  readonly isVolatile: boolean;
  /** Neighbours, in order. The copy takes the place of the last one. */
  readonly sources: readonly Source[];
  /** Totals and cursors as of the end of the last source. */
  readonly checkpoint: Checkpoint;
}

/** Something that a copy needs cannot be read back as it was written, so the segment stays as it is. */
export class DamagedSource extends Error {
  readonly segment: Segment;
  constructor(segment: Segment, what: string, cause?: unknown) {
    super(`${segment.name}: ${what} cannot be read`, { cause });
    this.name = "DamagedSource";
    this.segment = segment;
  }
}

function damaged(segment: Segment, index: number, cause?: unknown): DamagedSource {
  return new DamagedSource(segment, `frame ${segment.seq(index)}`, cause);
}

/** Frames that are read and written together: close to one another, or a single one of any size. */
interface Piece {
  readonly segment: Segment;
  readonly indexes: readonly number[];
}

/**
 * Writes the frames into a new file and makes it durable. Each keeps its number, time, routes and note; every checksum is verified
 * before it is written anew. Returns what the segment will be once the file has its name.
 */
export async function copySegments(
  io: FileIo,
  name: string,
  plan: CopyPlan,
  pace: Pace,
): Promise<Segment> {
  const pieces = piecesOf(plan.sources);
  const file = await io.open(name, "append");
  try {
    const copy = new Copy(io, file, plan, pace);
    await copy.begin(pieces);
    for (const piece of pieces) await copy.add(piece);
    await file.datasync();
    const size = await file.size();
    if (size !== copy.target.length)
      throw new Error(`${name} has ${size} bytes instead of ${copy.target.length}`);
    return copy.target;
  } finally {
    await file.close().catch(() => {});
  }
}

function piecesOf(sources: readonly Source[]): Piece[] {
  const pieces: Piece[] = [];
  for (const { segment, indexes } of sources) {
    let piece: number[] = [];
    let start = 0;
    let end = 0;
    for (const index of indexes) {
      const at = segment.offset(index);
      const next = at + segment.size(index);
      if (piece.length > 0 && (next - start > PART || at - end > GAP)) {
        pieces.push({ segment, indexes: piece });
        piece = [];
      }
      if (piece.length === 0) start = at;
      piece.push(index);
      end = next;
    }
    if (piece.length > 0) pieces.push({ segment, indexes: piece });
  }
  return pieces;
}

class Copy {
  readonly target: Segment;
  readonly #io: FileIo;
  readonly #file: DiskFile;
  readonly #plan: CopyPlan;
  readonly #pace: Pace;
  #groups = 1;
  #unsynced = 0;

  constructor(io: FileIo, file: DiskFile, plan: CopyPlan, pace: Pace) {
    this.#io = io;
    this.#file = file;
    this.#plan = plan;
    this.#pace = pace;
    const { sources } = plan;
    const last = sources.at(-1) as Source;
    this.target = new Segment(last.segment.id, sources[0]?.segment.createdMs ?? 0);
  }

  /** Header and checkpoint. */
  async begin(pieces: readonly Piece[]): Promise<void> {
    const { journalId, unsynced, checkpoint } = this.#plan;
    const first = draftGroup([draftCheckpoint(checkpoint)]);
    let ownLength = SEGMENT_HEADER + first.bytes;
    for (const { segment, indexes } of pieces)
      ownLength += indexes.reduce((sum, index) => sum + segment.size(index), GROUP_HEADER);
    const { id, createdMs } = this.target;
    const firstSeq = pieces[0]?.segment.seq(pieces[0].indexes[0] ?? 0) ?? 0;
    const header = encodeSegmentHeader({
      ...{ version: COPY_VERSION, id, journalId, unsynced, firstSeq, createdMs, ownLength },
      ...{ previousId: 0, previousLength: 0 },
    });
    await this.#write([header], 0);
    this.target.length = SEGMENT_HEADER;
    await this.#put(first);
  }

  async add(piece: Piece): Promise<void> {
    const { segment, indexes } = piece;
    const [first = 0] = indexes;
    const file = await this.#io.open(segment.name, "read").catch((cause: unknown) => {
      throw damaged(segment, first, cause);
    });
    try {
      if (indexes.length === 1 && segment.size(first) > PART)
        await this.#alone(file, segment, first);
      else await this.#together(file, piece);
    } finally {
      await file.close().catch(() => {});
    }
  }

  async #together(file: DiskFile, { segment, indexes }: Piece): Promise<void> {
    const start = segment.offset(indexes[0] ?? 0);
    const last = indexes.at(-1) ?? 0;
    const bytes = new Uint8Array(segment.offset(last) + segment.size(last) - start);
    await readAll(file, bytes, start, segment, last);
    const drafts = indexes.map((index): Draft => {
      const at = segment.offset(index) - start;
      const record = this.#header(bytes.subarray(at, at + segment.size(index)), segment, index);
      const noteAt = at + record.headerLength;
      const body = bytes.subarray(noteAt, noteAt + record.note + record.payload);
      const { isVolatile } = this.#plan;
      if (!isVolatile && crc32(body) !== record.bodyCrc) throw damaged(segment, index);
      // Memory keeps what is written by reference: it must not keep what was between the frames.
      const own = isVolatile ? body.slice() : body;
      const noteBytes = own.subarray(0, record.note);
      return { ...record, noteBytes, payloadBytes: own.subarray(record.note) };
    });
    await this.#put(draftGroup(drafts));
  }

  /** A frame of any size, in parts: its checksum is known to be right only at the end, and the file counts only then. */
  async #alone(file: DiskFile, segment: Segment, index: number): Promise<void> {
    const start = segment.offset(index);
    const head = new Uint8Array(RECORD_HEADER_MAX);
    await readAll(file, head, start, segment, index);
    const record = this.#header(head, segment, index);
    const body = { noteBytes: NO_BYTES, payloadBytes: NO_BYTES };
    let at = this.target.length + GROUP_HEADER + record.headerLength;
    await this.#put(draftGroup([{ ...record, ...body }]));
    let crc = 0;
    for (let done = record.headerLength; done < record.length; ) {
      const part = new Uint8Array(Math.min(PART, record.length - done));
      await readAll(file, part, start + done, segment, index);
      crc = crc32(part, crc);
      await this.#write([part], at);
      at += part.length;
      done += part.length;
    }
    if (!this.#plan.isVolatile && crc !== record.bodyCrc) throw damaged(segment, index);
  }

  #header(bytes: Uint8Array, segment: Segment, index: number): DecodedRecord {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const seed = segmentSeed(this.#plan.journalId, segment.id);
    const record = decodeRecordHeader(view, 0, seed, segment.offset(index));
    const isIt =
      record?.type === RecordType.frame &&
      record.seq === segment.seq(index) &&
      record.length === segment.size(index);
    if (!isIt) throw damaged(segment, index);
    return record;
  }

  /** One group at the end of the new segment. */
  async #put(group: GroupDraft): Promise<void> {
    const { target } = this;
    const at = target.length;
    const place = { seed: segmentSeed(this.#plan.journalId, target.id), at, writeAt: at };
    const encoded = encodeGroups([group], place, "kept", this.#groups++);
    await this.#write(encoded.parts, at);
    target.length = encoded.end;
    for (const frame of encoded.frames) target.add(frame);
  }

  async #write(parts: readonly Uint8Array[], at: number): Promise<void> {
    await this.#file.write(parts, at);
    const bytes = parts.reduce((sum, { length }) => sum + length, 0);
    this.#unsynced += bytes;
    if (this.#unsynced >= SYNC_BYTES) {
      await this.#file.datasync();
      this.#unsynced = 0;
    }
    await this.#pace.spent(bytes);
  }
}

async function readAll(
  file: DiskFile,
  into: Uint8Array,
  at: number,
  segment: Segment,
  index: number,
): Promise<void> {
  const length = await file.read(into, at).catch((cause: unknown) => {
    throw damaged(segment, index, cause);
  });
  if (length < into.length) throw damaged(segment, index);
}
