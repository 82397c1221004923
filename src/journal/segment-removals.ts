import type { FileIo } from "./file-io.ts";
import { isPassed } from "./holding.ts";
import type { Segment } from "./segment.ts";
import type { JournalLog, JournalState } from "./state.ts";

/** Longest pause between two looks at retained segments. */
const RETAIN_LOOK_MS = 60_000;
/** After a file could not be removed. */
const TRY_AGAIN_MS = 10_000;
/** The journal is crowded so many bytes before it is full: retained segments go then. */
const CROWDED_BYTES = 64 << 10;

interface Options {
  readonly io: FileIo;
  readonly state: JournalState;
  readonly log: JournalLog;
  readonly nowMs: () => number;
  readonly maxBytes: number;
  readonly retainMs: number;
  /** There is something to remove in so many milliseconds. */
  readonly lookIn: (ms: number) => void;
}

/**
 * Removes the files of segments that every route has passed and that were retained long enough: one at a time, and beside the writes,
 * because a disk takes up to a few hundred milliseconds to free a large file. A segment counts until its file is gone; one whose file
 * outlives the process is passed at the next start, too, and goes then.
 */
export class SegmentRemovals {
  readonly #options: Options;
  /** Monotonic time of the next attempt, for files that could not be removed. */
  readonly #tryAgainAt = new WeakMap<Segment, number>();
  #isBusy = false;
  #isStopped = false;
  #running = Promise.resolve();

  constructor(options: Options) {
    this.#options = options;
  }

  /** Something may have been passed, or kept long enough. */
  wake(): void {
    if (this.#isBusy || this.#isStopped) return;
    this.#isBusy = true;
    this.#running = this.#run();
  }

  /** Resolves when there is nothing left to remove now. */
  done(): Promise<void> {
    return this.#running;
  }

  /** Resolves when the removal that runs has ended; no other begins. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let segment = this.#next(); segment !== undefined; segment = this.#next()) {
      segment.isLeaving = true;
      if (await this.#isGone(segment)) this.#options.state.segments.remove(segment);
      segment.isLeaving = false;
    }
    this.#isBusy = false;
  }

  /** The oldest segment that may go now. */
  #next(): Segment | undefined {
    const { state, retainMs, nowMs, maxBytes, lookIn } = this.#options;
    if (this.#isStopped) return undefined;
    const now = nowMs();
    const isCrowded = state.segments.bytes > maxBytes - CROWDED_BYTES;
    for (const segment of state.segments.older()) {
      if (segment.moved !== undefined || !isPassed(state, segment)) continue;
      segment.passedAtMs ??= now;
      const keptMs = isCrowded ? 0 : segment.passedAtMs + retainMs - now;
      const pauseMs = (this.#tryAgainAt.get(segment) ?? 0) - performance.now();
      const leftMs = Math.max(keptMs, pauseMs);
      if (leftMs <= 0) return segment;
      lookIn(Math.min(leftMs, RETAIN_LOOK_MS));
    }
    return undefined;
  }

  async #isGone(segment: Segment): Promise<boolean> {
    const { io, log } = this.#options;
    try {
      await io.remove(segment.name);
      return true;
    } catch (error) {
      // somebody else removed it
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return true;
      this.#tryAgainAt.set(segment, performance.now() + TRY_AGAIN_MS);
      log.warn(
        { segment: segment.name, err: error instanceof Error ? error.message : String(error) },
        "a segment that nobody needs could not be removed; it is tried again: may this process delete files in its directory?",
      );
      return false;
    }
  }
}
