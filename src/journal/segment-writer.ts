import {
  draftCheckpoint,
  draftGroup,
  type Encoded,
  encodeGroups,
  type GroupDraft,
} from "./encode.ts";
import type { DiskFile, FileIo } from "./file-io.ts";
import { writeIdentity } from "./identity.ts";
import { encodeSegmentHeader, SEGMENT_HEADER, segmentSeed, VERSION } from "./layout.ts";
import { Progress } from "./progress.ts";
import { type FrameEntry, Segment } from "./segment.ts";
import type { JournalState } from "./state.ts";

interface Active {
  readonly segment: Segment;
  readonly file: DiskFile;
  readonly seed: number;
}

interface Options {
  readonly io: FileIo;
  readonly state: JournalState;
  readonly segmentBytes: number;
  readonly fsync: boolean;
  readonly isVolatile: boolean;
  readonly nowMs: () => number;
}

/**
 * Puts groups at the end of the journal, one write and one fdatasync at a time. When it rejects, nothing of the write counts: after a
 * full disk the next write takes the same place; after any other error the segment is never written or synced again.
 */
export class SegmentWriter {
  readonly #options: Options;
  #active: Active | undefined;
  #groupNumber = 1;
  fsyncs = 0;
  fsyncFailures = 0;

  constructor(options: Options) {
    this.#options = options;
  }

  /** The next write begins a new segment. */
  async roll(): Promise<void> {
    const active = this.#active;
    this.#active = undefined;
    await active?.file.close().catch(() => {});
  }

  /** Writes what is dirty and then the groups. Returns the segment and its new frames, in order. */
  async write(
    groups: readonly GroupDraft[],
  ): Promise<{ readonly segment: Segment; readonly frames: readonly FrameEntry[] }> {
    const { io, state, segmentBytes, fsync } = this.#options;
    if (state.isIdentityStale) {
      await writeIdentity(io, state.identity(), fsync);
      state.isIdentityStale = false;
    }
    let bytes = 0;
    for (const group of groups) bytes += group.bytes;
    const full = this.#active;
    if (full !== undefined && full.segment.length + bytes > segmentBytes) await this.roll();
    const active = this.#active ?? (await this.#create());
    const isFresh = active.segment.length === 0;
    const saved = [...state.routes.values()].flatMap((route) => {
      const { version, progress, isDirty } = route;
      return isDirty
        ? [{ route, version, durable: new Progress(progress.upTo, progress.open) }]
        : [];
    });
    const encoded = this.#encode(active, groups, isFresh);
    try {
      await this.#put(active, encoded, isFresh);
    } catch (error) {
      await this.#abandon(active, isFresh, error);
      throw error;
    }
    const { segment } = active;
    if (isFresh) state.segments.list.push(segment);
    state.segments.bytes += encoded.end - segment.length;
    segment.length = encoded.end;
    for (const frame of encoded.frames) segment.add(frame);
    state.segments.frames += encoded.frames.length;
    state.isDamageNew = false;
    for (const { route, version, durable } of saved) {
      route.savedVersion = version;
      route.durable = durable;
    }
    return { segment, frames: encoded.frames };
  }

  /** The last segment and its length: what a clean stop notes. */
  async close(): Promise<void> {
    await this.roll();
    const { io, state, fsync } = this.#options;
    const last = state.segments.list.at(-1);
    await writeIdentity(io, state.identity([last?.id ?? 0, last?.length ?? 0]), fsync);
  }

  #encode(active: Active, groups: readonly GroupDraft[], isFresh: boolean): Encoded {
    const { state, isVolatile } = this.#options;
    const { segment, seed } = active;
    const isDirty = !isVolatile && (isFresh || state.isDirty);
    const checkpoint = isDirty ? [draftGroup([draftCheckpoint(state.checkpoint(isFresh))])] : [];
    const all = [...checkpoint, ...groups];
    const at = isFresh ? SEGMENT_HEADER : segment.length;
    const place = { seed, at, writeAt: segment.length };
    const encoded = encodeGroups(all, place, state.nextSeq, this.#groupNumber);
    this.#groupNumber += all.length;
    const previous = state.segments.list.at(-1);
    const header = {
      version: VERSION,
      id: segment.id,
      journalId: state.id,
      unsynced: !this.#options.fsync,
      firstSeq: state.nextSeq,
      previousId: previous?.id ?? 0,
      previousLength: previous?.length ?? 0,
      createdMs: segment.createdMs,
    };
    // Numbers are used up even when the write fails: part of it may be on the disk.
    state.nextSeq += encoded.frames.length;
    if (!isFresh) return encoded;
    return { ...encoded, parts: [encodeSegmentHeader(header), ...encoded.parts] };
  }

  async #create(): Promise<Active> {
    const { io, state, nowMs } = this.#options;
    const segment = new Segment(state.nextSegment++, nowMs());
    const file = await io.open(segment.name, "append");
    this.#active = { segment, file, seed: segmentSeed(state.id, segment.id) };
    return this.#active;
  }

  async #put(active: Active, encoded: Encoded, isFresh: boolean): Promise<void> {
    const { io, fsync } = this.#options;
    await active.file.write(encoded.parts, active.segment.length);
    if (!fsync) return;
    try {
      await active.file.datasync();
      if (isFresh) await io.syncDirectory();
      this.fsyncs++;
    } catch (error) {
      this.fsyncFailures++;
      throw error instanceof Error ? new SyncError(error) : error;
    }
  }

  async #abandon(active: Active, isFresh: boolean, error: unknown): Promise<void> {
    if (!isFresh && isDiskFull(error)) return;
    await this.roll();
    if (isFresh) await this.#options.io.remove(active.segment.name).catch(() => {});
  }
}

/** fdatasync failed: what the kernel did with the pages is unknown, so the file is not synced again. */
export class SyncError extends Error {
  constructor(cause: Error) {
    super(`fdatasync failed: ${cause.message}`, { cause });
    this.name = "SyncError";
  }
}

/** No space, or no more allowed. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error) || !("code" in error)) return false;
  return error.code === "ENOSPC" || error.code === "EDQUOT";
}
