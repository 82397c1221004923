import type { Checkpoint } from "./checkpoint.ts";
import type { FileIo } from "./file-io.ts";
import { isPassed, lookAt, settledIn } from "./holding.ts";
import type { CopyCounts, CopyFailure } from "./journal.ts";
import { Pace } from "./pace.ts";
import { firstCheckpoint } from "./scan.ts";
import type { Segment } from "./segment.ts";
import { copySegments, DamagedSource, type Source } from "./segment-copy.ts";
import { COPY_SUFFIX } from "./segment-files.ts";
import { isDiskFull } from "./segment-writer.ts";
import type { JournalLog, JournalState } from "./state.ts";

/** When sparse segments are copied. */
export interface CopyRules {
  /** A segment is sparse when routes need less than this part of its bytes; twice that once the journal is half full. 0 = never copied. */
  readonly sparseShare: number;
  /** Between two looks. */
  readonly lookMs: number;
  readonly bytesPerSecond: number;
  /** After a failure. */
  readonly pauseMs: number;
}

export const DEFAULT_RULES: CopyRules = {
  sparseShare: 0.25,
  lookMs: 1_000,
  bytesPerSecond: 32 << 20,
  pauseMs: 30_000,
};

/** A neighbour on the left is copied along when it is at most this many times as large: each byte is copied a few times in all. */
const NEIGHBOUR_GROWTH = 2;
/** So many times the share is sparse once the journal is half full. */
const CROWDED_GROWTH = 2;

const NO_CHECKPOINT: Checkpoint = { routes: [], quarantined: {} };

interface Options {
  readonly io: FileIo;
  readonly state: JournalState;
  readonly log: JournalLog;
  readonly nowMs: () => number;
  readonly fsync: boolean;
  readonly isVolatile: boolean;
  readonly segmentBytes: number;
  readonly maxBytes: number;
  readonly retainMs: number;
  readonly rules: CopyRules;
}

/**
 * Keeps a route that is far behind from pinning what others are through with: the few frames that are needed in neighbouring sparse
 * segments go into one file, which takes the name of the last of them in one step. A crash leaves the old files or the new one.
 */
export class CopyForward {
  readonly #options: Options;
  readonly #stop = new AbortController();
  readonly #pace: Pace;
  readonly #failures = new Map<CopyFailure, number>();
  /** Segments that cannot be read. */
  readonly #unreadable = new WeakSet<Segment>();
  /** Files whose frames are elsewhere, the newest first: a crash in between leaves the first ones, whose copies are told by their numbers. */
  #obsolete: string[] = [];
  #segments = 0;
  #freedBytes = 0;
  #hasBegun = false;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #nextAt = 0;

  constructor(options: Options) {
    this.#options = options;
    this.#pace = new Pace(options.rules.bytesPerSecond, this.#stop.signal);
  }

  get counts(): CopyCounts {
    const failures = new Map(this.#failures);
    return { segments: this.#segments, freedBytes: this.#freedBytes, failures };
  }

  /** From the first append on no route is added that could want what the others are through with. */
  begin(): void {
    this.#hasBegun = true;
  }

  /** Something was written: looks for sparse segments, now or when it is time. */
  wake(): void {
    const { rules, state } = this.#options;
    if (!this.#hasBegun || rules.sparseShare === 0 || state.segments.list.length < 2) return;
    if (this.#running !== undefined || this.#timer !== undefined || this.#stop.signal.aborted)
      return;
    const waitMs = this.#nextAt - performance.now();
    if (waitMs > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.wake();
      }, waitMs);
      this.#timer.unref();
      return;
    }
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves when nothing is being copied any more. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#stop.abort(new Error("the journal is stopping"));
    await this.#running;
  }

  async #run(): Promise<void> {
    this.#nextAt = Number.POSITIVE_INFINITY;
    const { rules } = this.#options;
    let waitMs = rules.lookMs;
    try {
      await this.#sweep();
      for (;;) {
        const sources = await this.#choose();
        if (sources === undefined) break;
        await this.#move(sources).catch((error: unknown) => {
          if (!(error instanceof DamagedSource)) throw error;
          this.#failed(error);
        });
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) {
        this.#failed(error);
        waitMs = rules.pauseMs;
      }
    }
    this.#nextAt = performance.now() + waitMs;
  }

  /** The oldest sparse segment, the sparse ones right behind it, and small neighbours before it. */
  async #choose(): Promise<Source[] | undefined> {
    const { state, segmentBytes } = this.#options;
    const older = state.segments.older();
    for (const [at, segment] of older.entries()) {
      if (!(await this.#isRipe(segment))) continue;
      const run = [sourceOf(segment)];
      let bytes = segment.look?.liveBytes ?? 0;
      for (const next of older.slice(at + 1)) {
        if (!(await this.#isRipe(next))) break;
        bytes += next.look?.liveBytes ?? 0;
        if (bytes > segmentBytes) break;
        run.push(sourceOf(next));
      }
      for (const before of older.slice(0, at).toReversed()) {
        const more = before.length - before.offset(0);
        if (more > NEIGHBOUR_GROWTH * bytes || bytes + more > segmentBytes) break;
        if (!this.#isDense(before)) break;
        bytes += more;
        run.unshift({
          segment: before,
          indexes: Array.from({ length: before.count }, (_, i) => i),
        });
      }
      return run;
    }
    return undefined;
  }

  /** Sparse, and what is not needed was kept long enough for a replay. */
  async #isRipe(segment: Segment): Promise<boolean> {
    const { state, retainMs, nowMs, maxBytes, rules } = this.#options;
    if (this.#unreadable.has(segment) || isPassed(state, segment)) return false;
    const { look } = segment;
    // A look that found it sparse holds until the retention is over: what was settled later stays for the next time.
    const isOld = look === undefined || look.settled < settledIn(state, segment);
    if (isOld && !this.#isSparse(segment)) {
      const most = CROWDED_GROWTH * rules.sparseShare * segment.length;
      segment.look = await lookAt(state, segment, most, nowMs());
    }
    this.#stop.signal.throwIfAborted();
    if (!this.#isSparse(segment)) return false;
    const isCrowded = state.segments.bytes > maxBytes - segment.length;
    return isCrowded || (segment.look?.atMs ?? 0) + retainMs <= nowMs();
  }

  /** Bytes before the first frame do not count: a copy of very little would be sparse for ever. */
  #isSparse(segment: Segment): boolean {
    const { state, maxBytes, rules } = this.#options;
    if (segment.look === undefined) return false;
    const growth = state.segments.bytes > maxBytes / 2 ? CROWDED_GROWTH : 1;
    const bytes = segment.length - segment.offset(0);
    return segment.look.liveBytes < growth * rules.sparseShare * bytes;
  }

  #isDense(segment: Segment): boolean {
    const { state } = this.#options;
    const isFine = !this.#unreadable.has(segment) && !isPassed(state, segment);
    return isFine && segment.look !== undefined && !this.#isSparse(segment);
  }

  /** Replaces the segments by one, or by nothing where nothing is needed. */
  async #move(sources: readonly Source[]): Promise<void> {
    const { state, io } = this.#options;
    const segments = sources.map(({ segment }) => segment);
    const { list } = state.segments;
    if (segments.some((segment) => segment.isLeaving || !list.includes(segment))) return;
    const { promise, resolve } = Promise.withResolvers<Segment | undefined>();
    for (const segment of segments) segment.moved = promise;
    let target: Segment | undefined;
    const name = `${(segments.at(-1) as Segment).name}${COPY_SUFFIX}`;
    try {
      const isEmpty = sources.every(({ indexes }) => indexes.length === 0);
      if (!isEmpty) target = await this.#copy(name, sources);
      this.#swap(segments, target);
    } catch (error) {
      for (const segment of segments) segment.moved = undefined;
      await io.remove(name).catch(() => {});
      throw error;
    } finally {
      resolve(target);
    }
    await this.#sweep();
  }

  /** Rejects when the files are as they were. */
  async #copy(name: string, sources: readonly Source[]): Promise<Segment> {
    const { io, state, fsync, isVolatile } = this.#options;
    const last = sources.at(-1) as Source;
    const checkpoint = isVolatile ? NO_CHECKPOINT : await this.#checkpointBehind(last.segment);
    const replaces = sources.slice(0, -1).map(({ segment }) => segment.id);
    const plan = {
      ...{ journalId: state.id, unsynced: !fsync, isVolatile, sources },
      checkpoint: { ...checkpoint, replaces },
    };
    if ((await io.list()).includes(name)) await io.remove(name);
    const target = await copySegments(io, name, plan, this.#pace);
    await io.rename(name, target.name).catch(async (error: unknown) => {
      // It may have happened all the same: then the old file is gone.
      if ((await io.list()).includes(name)) throw error;
    });
    return target;
  }

  /**
   * Totals and cursors at the end of a segment: what the next one begins with. One that is removed meanwhile has been passed, so the
   * one behind it does as well.
   */
  async #checkpointBehind(segment: Segment): Promise<Checkpoint> {
    const { io, state } = this.#options;
    const { list } = state.segments;
    for (const { name, id, length } of list.slice(list.indexOf(segment) + 1)) {
      const checkpoint = await firstCheckpoint(io, state.id, id, length).catch(() => undefined);
      if (checkpoint !== undefined) {
        const { routes, quarantined } = checkpoint;
        return { routes, quarantined };
      }
      if (list.some((next) => next.id === id && !next.isLeaving))
        throw new DamagedSource(segment, `the checkpoint behind it, in ${name},`);
    }
    throw new Error(`nothing is left behind ${segment.name}`);
  }

  #swap(segments: readonly Segment[], target: Segment | undefined): void {
    const { state } = this.#options;
    for (const { length } of segments) this.#freedBytes += length;
    this.#freedBytes -= target?.length ?? 0;
    this.#segments += segments.length;
    if (target !== undefined) for (const route of state.routes.values()) route.adoptFrom(target);
    state.segments.replace(segments, target);
    const gone = segments.filter(({ name }) => name !== target?.name);
    this.#obsolete = gone.map(({ name }) => name).toReversed();
  }

  /** Removes files whose frames are elsewhere, once that is durable. */
  async #sweep(): Promise<void> {
    const { io } = this.#options;
    if (this.#obsolete.length === 0) return;
    await io.syncDirectory();
    const there = new Set(await io.list());
    while (this.#obsolete.length > 0) {
      const [name = ""] = this.#obsolete;
      if (there.has(name)) await io.remove(name);
      this.#obsolete.shift();
    }
  }

  #failed(error: unknown): void {
    const { log } = this.#options;
    const isDamaged = error instanceof DamagedSource;
    if (isDamaged) this.#unreadable.add(error.segment);
    const reason = isDamaged ? "unreadable" : isDiskFull(error) ? "disk_full" : "io";
    this.#failures.set(reason, (this.#failures.get(reason) ?? 0) + 1);
    log.warn(
      { err: error instanceof Error ? error.message : String(error), reason },
      "sparse segments could not be copied; they stay as they are, and it is tried again later",
    );
  }
}

function sourceOf(segment: Segment): Source {
  return { segment, indexes: segment.look?.live ?? [] };
}
