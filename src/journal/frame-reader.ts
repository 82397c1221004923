import { crc32 } from "node:zlib";
import type { Batch } from "../otlp/batch.ts";
import { type Indexer, SLICED_BYTES } from "../otlp/indexer.ts";
import type { Stored } from "../otlp/range.ts";
import type { Signal } from "../otlp/tape.ts";
import { SLACK, withSlack } from "../wire/slack.ts";
import type { DiskFile, FileIo } from "./file-io.ts";
import { decodeRecordHeader, segmentSeed } from "./layout.ts";
import type { Segment } from "./segment.ts";

/** Bytes per read of small frames; a larger frame is read alone. */
const CHUNK = 1 << 20;

/** A frame's place, as a reader wants it. */
export interface Wanted {
  readonly segment: Segment;
  readonly index: number;
}

/** Why a frame cannot be had. */
export interface Unreadable {
  readonly unreadable: "checksum" | "unreadable" | "unindexable";
}

/** Frames from the disk, checked again and indexed again. */
export class FrameReader {
  readonly #io: FileIo;
  readonly #indexer: Indexer;
  readonly #journalId: string;
  readonly #isVolatile: boolean;
  readonly #took: (bytes: number) => void;
  /** For the next chunk: a new one each time would be as much garbage as the frames. */
  #spare: Uint8Array | undefined;

  /** `took`: told how much memory frames and their tapes have got. */
  constructor(
    io: FileIo,
    indexer: Indexer,
    journalId: string,
    isVolatile: boolean,
    took: (bytes: number) => void,
  ) {
    this.#io = io;
    this.#indexer = indexer;
    this.#journalId = journalId;
    this.#isVolatile = isVolatile;
    this.#took = took;
  }

  /** One answer per wanted frame; they stand in journal order. Memory: the frames and one chunk. */
  async read<S extends Signal>(wanted: readonly Wanted[]): Promise<(Stored<S> | Unreadable)[]> {
    const answers: (Stored<S> | Unreadable)[] = [];
    for (let from = 0; from < wanted.length; ) {
      const first = wanted[from] as Wanted;
      let to = from + 1;
      while (to < wanted.length && wanted[to]?.segment === first.segment) to++;
      const part = wanted.slice(from, to);
      await this.#readSegment(first.segment, part, answers);
      await this.#readMoved(first.segment, part, answers);
      from = to;
    }
    return answers;
  }

  /** What could not be read because it is in another file now. */
  async #readMoved<S extends Signal>(
    segment: Segment,
    wanted: readonly Wanted[],
    answers: (Stored<S> | Unreadable)[],
  ): Promise<void> {
    const before = answers.length - wanted.length;
    for (const [i, { index }] of wanted.entries()) {
      if (segment.moved === undefined || !("unreadable" in (answers[before + i] ?? {}))) continue;
      const target = await segment.moved;
      const seq = segment.seq(index);
      const there = target?.indexFrom(seq) ?? 0;
      if (target === undefined || target.seq(there) !== seq) continue;
      const [answer] = await this.read<S>([{ segment: target, index: there }]);
      if (answer !== undefined) answers[before + i] = answer;
    }
  }

  async #readSegment<S extends Signal>(
    segment: Segment,
    wanted: readonly Wanted[],
    answers: (Stored<S> | Unreadable)[],
  ): Promise<void> {
    let file: DiskFile | undefined;
    const before = answers.length;
    try {
      file = await this.#io.open(segment.name, "read");
      for (let from = 0; from < wanted.length; ) {
        const start = segment.offset(wanted[from]?.index ?? 0);
        let end = start;
        let to = from;
        for (; to < wanted.length; to++) {
          const index = wanted[to]?.index ?? 0;
          const frameEnd = segment.offset(index) + segment.size(index);
          if (to > from && frameEnd - start > CHUNK) break;
          end = frameEnd;
        }
        await this.#readChunk(file, start, end, wanted.slice(from, to), answers);
        from = to;
      }
    } catch {
      while (answers.length < before + wanted.length) answers.push({ unreadable: "unreadable" });
    } finally {
      await file?.close().catch(() => {});
    }
  }

  async #readChunk<S extends Signal>(
    file: DiskFile,
    start: number,
    end: number,
    wanted: readonly Wanted[],
    answers: (Stored<S> | Unreadable)[],
  ): Promise<void> {
    const chunk = this.#takeChunk(end - start);
    const length = await file.read(chunk.subarray(0, end - start), start).catch(() => Number.NaN);
    for (const { segment, index } of wanted) {
      const at = segment.offset(index) - start;
      if (Number.isNaN(length)) answers.push(await this.#readAlone(file, segment, index, wanted));
      else answers.push(await this.#decode(chunk.subarray(0, length), at, segment, index));
    }
    if (chunk.length === CHUNK) this.#spare = chunk;
  }

  /** Frames are copied out of it. A frame that is larger gets memory of its own. */
  #takeChunk(bytes: number): Uint8Array {
    if (bytes > CHUNK) return new Uint8Array(bytes + SLACK);
    const chunk = this.#spare ?? new Uint8Array(CHUNK);
    this.#spare = undefined;
    return chunk;
  }

  /** After an I/O error the neighbours get a chance of their own. */
  async #readAlone<S extends Signal>(
    file: DiskFile,
    segment: Segment,
    index: number,
    wanted: readonly Wanted[],
  ): Promise<Stored<S> | Unreadable> {
    if (wanted.length === 1) return { unreadable: "unreadable" };
    const answers: (Stored<S> | Unreadable)[] = [];
    const start = segment.offset(index);
    await this.#readChunk(file, start, start + segment.size(index), [{ segment, index }], answers);
    return answers[0] ?? { unreadable: "unreadable" };
  }

  async #decode<S extends Signal>(
    chunk: Uint8Array,
    at: number,
    segment: Segment,
    index: number,
  ): Promise<Stored<S> | Unreadable> {
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
    const seed = segmentSeed(this.#journalId, segment.id);
    const header = decodeRecordHeader(view, at, seed, segment.offset(index));
    const seq = segment.seq(index);
    if (header === undefined || header.seq !== seq || at + header.length > chunk.length)
      return { unreadable: "checksum" };
    const noteAt = at + header.headerLength;
    const body = chunk.subarray(noteAt, noteAt + header.note + header.payload);
    if (!this.#isVolatile && crc32(body) !== header.bodyCrc) return { unreadable: "checksum" };
    const note = body.slice(0, header.note);
    const payload = body.subarray(header.note);
    const isLarge = header.payload > SLICED_BYTES;
    const indexed = isLarge
      ? await this.#indexer.indexSlowly(header.signal, withSlack(payload), header.payload)
      : this.#indexer.index(header.signal, ownCopy(payload), header.payload);
    if ("refused" in indexed || indexed.batch.items > header.items)
      return { unreadable: "unindexable" };
    const { batch } = indexed;
    this.#took(batch.length + batch.tape.byteLength);
    // The caller asks for a signal that the route vouches for; frames of other signals never carry its bit.
    return { seq, batch: batch as Batch<S>, arrivalMs: header.arrivalMs, note };
  }
}

/** Small frames are read many at a time: a frame that somebody keeps must not keep its neighbours. */
function ownCopy(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(payload.length + SLACK);
  bytes.set(payload);
  return bytes;
}
