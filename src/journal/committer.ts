import { setImmediate as endOfTurn } from "node:timers/promises";
import type { Stored } from "../otlp/range.ts";
import { PipelineError, type Refusal } from "../otlp/status.ts";
import type { CopyForward } from "./copy-forward.ts";
import { type Skipped, settleDelta, skipDelta } from "./deltas.ts";
import { type Draft, draftChanges, draftFrame, draftGroup, type GroupDraft } from "./encode.ts";
import type { FileIo } from "./file-io.ts";
import type { FrameCache } from "./frame-cache.ts";
import { isPassed } from "./holding.ts";
import type { Frame, Memo, Removal, Settlement } from "./journal.ts";
import { findLeaving, type Leaving, removalDeltas } from "./removal.ts";
import type { RouteState } from "./route-state.ts";
import { routeNumbers, withoutRoute } from "./routes.ts";
import type { FrameEntry, Segment } from "./segment.ts";
import { SegmentRemovals } from "./segment-removals.ts";
import { isDiskFull, SegmentWriter } from "./segment-writer.ts";
import type { JournalLog, JournalState } from "./state.ts";
import { Tide } from "./tide.ts";

/** Bytes on disk beside a frame's own, generously. */
export const ROOM_PER_FRAME = 256;
/** Bytes after which one write is full. A larger append is written alone. */
const WRITE_BYTES = 8 << 20;
/** Offsets in a segment have 32 bits. */
const GROUP_BYTES_MAX = 1 << 30;
const RESERVE_FILE = "reserve";
/** A route whose next frame is so old stands still (ms). */
const STANDS_STILL_MS = 2_000;

interface Options {
  readonly io: FileIo;
  readonly state: JournalState;
  readonly cache: FrameCache;
  readonly copies: CopyForward;
  readonly log: JournalLog;
  readonly nowMs: () => number;
  readonly fsync: boolean;
  readonly isVolatile: boolean;
  readonly segmentBytes: number;
  readonly maxBytes: number;
  readonly maxFrames: number;
  readonly retainMs: number;
  readonly flushMs: number;
  readonly reserveBytes: number;
}

interface Pending {
  readonly group: GroupDraft;
  readonly frames: readonly Draft[];
  readonly settles: readonly Settlement[];
  readonly skipped: readonly Skipped[];
  readonly leaving: readonly Leaving[];
  readonly memos: readonly Memo[];
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Group commit when idle: while one write and its fdatasync run, appends queue; the next write takes them all. */
export class Committer {
  readonly #options: Options;
  readonly #writer: SegmentWriter;
  readonly #removals: SegmentRemovals;
  readonly #tide = new Tide(STANDS_STILL_MS);
  #queue: Pending[] = [];
  #isFlushDue = false;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = 0;
  #isDiskFull = false;
  #isStopped = false;

  constructor(options: Options) {
    this.#options = options;
    this.#writer = new SegmentWriter(options);
    this.#removals = new SegmentRemovals({ ...options, lookIn: (ms) => this.#lookIn(ms) });
  }

  get fsyncs(): number {
    return this.#writer.fsyncs;
  }
  get fsyncFailures(): number {
    return this.#writer.fsyncFailures;
  }

  async start(): Promise<void> {
    await this.#restoreReserve();
    // A route that begins with the oldest frames must not find those that are about to go.
    this.#removals.wake();
    await this.#removals.done();
    this.moved();
  }

  /** Writes what is queued and what is dirty; gives up when `deadline` aborts. */
  async stop(deadline: AbortSignal): Promise<void> {
    clearTimeout(this.#timer);
    this.#isFlushDue = true;
    this.#kick();
    const late = new Promise<void>((resolve) => {
      if (deadline.aborted) resolve();
      deadline.addEventListener("abort", () => resolve(), { once: true });
    });
    const { copies } = this.#options;
    const all = Promise.all([this.#running, copies.stop(), this.#removals.stop()]);
    await Promise.race([all, late]);
    this.#isStopped = true;
    clearTimeout(this.#timer);
    const left = this.#queue.splice(0);
    for (const { reject } of left) reject(unavailable("the journal is stopping", 1_000));
    const { state } = this.#options;
    if (this.#running !== undefined) {
      // Too late to wait for the disk: the file is closed when it answers.
      this.#running = this.#running.then(() => this.#writer.roll());
      return;
    }
    if (state.isDirty) this.#options.log.warn({}, "the last settlements could not be written");
    await this.#writer.close().catch((error: unknown) => this.#warn(error, "clean stop not noted"));
  }

  append(
    frames: readonly Frame[],
    settles: readonly Settlement[],
    removals: readonly Removal[],
    memos: readonly Memo[],
  ): Promise<void> {
    this.#options.copies.begin();
    const leaving = removals.map((removal) => findLeaving(this.#options.state.segments, removal));
    const skipped: Skipped[] = [];
    const drafts = frames.map((frame) =>
      draftFrame(frame, this.#wanting(frame, skipped), this.#options.isVolatile),
    );
    const deltas = [
      ...settles.map(settleDelta),
      ...skipped.map(skipDelta),
      ...leaving.flatMap(removalDeltas),
    ];
    const changes = draftChanges(deltas, memos);
    const group = draftGroup(changes.length === 0 ? drafts : [...drafts, ...changes]);
    if (group.bytes > GROUP_BYTES_MAX)
      throw new PipelineError({
        kind: "too_large",
        retryAfterMs: 0,
        why: `one request of ${group.bytes} bytes; the journal takes at most ${GROUP_BYTES_MAX}`,
      });
    return new Promise((resolve, reject) => {
      this.#queue.push({
        group,
        frames: drafts,
        settles,
        skipped,
        leaving,
        memos,
        resolve,
        reject,
      });
      this.#kick();
    });
  }

  /**
   * Readers moved: forget cached frames that nobody wants, and write the cursors within `flushMs`. A route that stands still, or is so far
   * behind that it reads from the disk, keeps nothing in memory.
   */
  moved(): void {
    const { state, cache, flushMs } = this.#options;
    const old = this.#tide.old();
    let unread = Number.POSITIVE_INFINITY;
    let { isDamageNew: isDirty } = state;
    for (const route of state.routes.values()) {
      isDirty ||= route.isDirty;
      const { unread: waiting, unreadFrom, wakers, progress, isResting } = route;
      if (isResting || waiting.frames === 0 || waiting.bytes > cache.limit) continue;
      if (wakers.size > 0 || unreadFrom > old) unread = Math.min(unread, progress.upTo);
    }
    cache.forget(unread);
    if (isDirty) this.#lookIn(flushMs);
  }

  damaged(reason: string, segment: number, offset: number): void {
    const { state, log } = this.#options;
    if (state.quarantine(reason, segment, offset))
      log.error(
        { segment, offset, reason },
        "a journaled frame cannot be read; counted as dropped",
      );
  }

  /** Undefined when `bytes` more fit. */
  refuses(bytes: number): Refusal | undefined {
    const { state, maxBytes, maxFrames } = this.#options;
    const total = state.segments.bytes + bytes;
    if (total > maxBytes && total - this.#surplus(bytes) > maxBytes)
      return refused(`the journal is full (${state.segments.bytes} of ${maxBytes} bytes)`);
    if (state.segments.frames >= maxFrames)
      return refused(`the journal is full (${state.segments.frames} of ${maxFrames} frames)`);
    return undefined;
  }

  /** The frame's routes without those that skip when full, and those whose readers hold all that could be dropped; both count it. */
  #wanting(frame: Frame, skipped: Skipped[]): Uint32Array {
    let { routes } = frame;
    const { length: bytes, items } = frame.batch;
    for (const number of routeNumbers(routes)) {
      const route = this.#options.state.routes.get(number);
      if (route === undefined || !route.isLeftOut(bytes, items)) continue;
      routes = withoutRoute(routes, number);
      skipped.push({
        route,
        items,
        reason: route.limits.onFull === "skip" ? "skipped" : "queue_full",
      });
    }
    return routes;
  }

  #kick(): void {
    if (this.#running !== undefined || this.#isStopped) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      if (this.#queue.length > 0) this.#kick();
    });
  }

  async #run(): Promise<void> {
    // All that came in this turn of the event loop goes into one write: it costs the same for one request as for ten.
    await endOfTurn();
    while (this.#queue.length > 0 || this.#isFlushDue) {
      this.#isFlushDue = false;
      await this.#writeOnce(this.#next());
      this.#removals.wake();
      this.#options.copies.wake();
    }
  }

  #next(): Pending[] {
    let bytes = 0;
    let count = 0;
    for (const { group } of this.#queue) {
      bytes += group.bytes;
      if (count > 0 && bytes > WRITE_BYTES) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  async #writeOnce(batch: readonly Pending[]): Promise<void> {
    const { state } = this.#options;
    if (batch.length === 0 && !state.isDirty) return;
    try {
      const groups = batch.map(({ group }) => group);
      const { segment, frames } = await this.#writer.write(groups);
      this.#publish(batch, segment, frames);
      if (this.#isDiskFull) await this.#diskHasRoom();
    } catch (error) {
      await this.#failed(batch, error);
    }
  }

  /** The write is durable: count, cache, wake, acknowledge. */
  #publish(batch: readonly Pending[], segment: Segment, entries: readonly FrameEntry[]): void {
    const { state, cache } = this.#options;
    segment.passedAtMs = undefined;
    if (entries.length > 0) this.#tide.rose(state.nextSeq - 1);
    const woken = new Set<RouteState>();
    let next = 0;
    for (const { frames, settles, skipped, leaving, memos, resolve } of batch) {
      for (const draft of frames) {
        const entry = entries[next++];
        if (entry === undefined) continue;
        for (const number of routeNumbers(entry.routes)) {
          const route = state.routes.get(number);
          if (route === undefined) continue;
          route.appended += entry.items;
          route.enqueue(entry.seq, entry.items, entry.payload);
          woken.add(route);
        }
        const { batch: kept, arrivalMs, noteBytes: note } = draft;
        const stored: Stored | undefined = kept && { seq: entry.seq, batch: kept, arrivalMs, note };
        if (stored !== undefined) cache.add(stored);
      }
      for (const { reader, range, tally } of settles) reader.settle(range, tally);
      for (const { route, items, reason } of skipped) {
        route.appended += items;
        route.drop(reason, items);
      }
      for (const { route, frames: left, tally } of leaving) route.remove(left, tally);
      state.memos.put(memos);
      resolve();
    }
    this.moved();
    for (const route of woken) route.wake();
  }

  async #failed(batch: readonly Pending[], error: unknown): Promise<void> {
    const { log } = this.#options;
    const full = isDiskFull(error);
    const why = full ? "the disk is full" : `the journal cannot write: ${messageOf(error)}`;
    for (const { reject } of batch) reject(unavailable(why, full ? 5_000 : 1_000, error));
    if (!full || !this.#isDiskFull)
      log.error({ err: messageOf(error) }, full ? "disk full, refusing" : "journal write failed");
    this.#lookIn(this.#options.flushMs);
    if (!full) return;
    if (!this.#isDiskFull) {
      this.#isDiskFull = true;
      await this.#options.io.remove(RESERVE_FILE).catch(() => {});
    }
    if (batch.length > 0) await this.#writeOnce([]);
  }

  async #diskHasRoom(): Promise<void> {
    this.#isDiskFull = !(await this.#restoreReserve());
    if (!this.#isDiskFull) this.#options.log.info({}, "the disk has room again");
  }

  /** Bytes that are given back first when the disk is full. False when there is no room for them. */
  async #restoreReserve(): Promise<boolean> {
    const { io, reserveBytes } = this.#options;
    if (reserveBytes === 0) return true;
    try {
      const file = await io.open(RESERVE_FILE, "append");
      try {
        if ((await file.size()) < reserveBytes)
          await file.write([new Uint8Array(reserveBytes).fill(0x57)], 0);
      } finally {
        await file.close();
      }
      return true;
    } catch {
      await io.remove(RESERVE_FILE).catch(() => {});
      return false;
    }
  }

  /** The next write or look within `ms`: flushes what is dirty, removes what was retained long enough. */
  #lookIn(ms: number): void {
    const at = performance.now() + ms;
    if (this.#isStopped || (this.#timer !== undefined && this.#timerAt <= at)) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#isFlushDue = true;
      this.#kick();
    }, ms);
    this.#timer.unref();
  }

  /** What nobody needs makes room, but the disk may take its time to remove it: until then, at most one segment or request is too much. */
  #surplus(bytes: number): number {
    const { state, segmentBytes } = this.#options;
    let passed = 0;
    for (const segment of state.segments.older())
      if (isPassed(state, segment)) passed += segment.length;
    return Math.min(passed, Math.max(segmentBytes, bytes));
  }

  #warn(error: unknown, text: string): void {
    this.#options.log.warn({ err: messageOf(error) }, text);
  }
}

function unavailable(why: string, retryAfterMs: number, cause?: unknown): PipelineError {
  return new PipelineError({ kind: "unavailable", retryAfterMs, why }, { cause });
}

function refused(why: string): Refusal {
  return { kind: "refused", retryAfterMs: 1_000, why };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
