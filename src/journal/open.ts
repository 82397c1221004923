import type { Indexer } from "../otlp/indexer.ts";
import type { Seq, Stored } from "../otlp/range.ts";
import { PipelineError, type Refusal } from "../otlp/status.ts";
import type { Signal } from "../otlp/tape.ts";
import { Committer, ROOM_PER_FRAME } from "./committer.ts";
import { CopyForward, type CopyRules, DEFAULT_RULES } from "./copy-forward.ts";
import type { FileIo } from "./file-io.ts";
import { FrameCache } from "./frame-cache.ts";
import { FrameReader, type Wanted } from "./frame-reader.ts";
import { heldBytes } from "./holding.ts";
import type {
  CopyCounts,
  Frame,
  FramePlace,
  Journal,
  JournalStats,
  KnownRoute,
  Memo,
  Reader,
  Removal,
  RouteLimits,
  Routes,
  Settlement,
} from "./journal.ts";
import type { Lock } from "./lock.ts";
import { placeOf } from "./place.ts";
import { recover } from "./recover.ts";
import { RouteReader } from "./route-reader.ts";
import { RouteState } from "./route-state.ts";
import { MAX_ROUTES, routeNumbers } from "./routes.ts";
import { type JournalLog, JournalState } from "./state.ts";

export interface JournalOptions {
  readonly io: FileIo;
  readonly indexer: Indexer;
  /** Held from start to stop. Default: none (memory). */
  readonly lock?: Lock;
  /** Size of one segment; at most an eighth of `maxBytes`. Default 64 MiB. Use a few MiB for memory queues: a segment goes as a whole. */
  readonly segmentBytes?: number;
  /** Hard limit of all segments together. */
  readonly maxBytes: number;
  /** Most frames at once: each costs about 40 bytes of memory. Default 4,194,304. */
  readonly maxFrames?: number;
  /** Keep segments this long after the last route has passed them. Default 0. */
  readonly retainMs?: number;
  /** Acknowledge after fdatasync. Default true. */
  readonly fsync?: boolean;
  /** Nobody opens this again (memory): no checksums over what frames hold, no checkpoints. Default false. */
  readonly isVolatile?: boolean;
  /** Fresh frames kept in memory with their tapes. Default 32 MiB. */
  readonly cacheBytes?: number;
  /** Told how much memory frames take that are read back, with their tapes. */
  readonly took?: (bytes: number) => void;
  /** Longest time that settlements wait for a group to ride in. Default 1,000. */
  readonly flushMs?: number;
  /** Kept free for cursor records when the disk is full. Default 1 MiB with fsync, else 0. */
  readonly reserveBytes?: number;
  /** When the frames of sparse segments are copied; what is not said is as in DEFAULT_RULES. */
  readonly copyForward?: Partial<CopyRules>;
  readonly nowMs: () => number;
  readonly log: JournalLog;
}

/** A journal over a directory, real or not. Nothing happens before start(). */
export function createJournal(options: JournalOptions): Journal {
  return new SegmentJournal(options);
}

const SEGMENT_BYTES = 64 << 20;
const SEGMENT_BYTES_MIN = 64 << 10;
const MAX_FRAMES = 4_194_304;
const CACHE_BYTES = 32 << 20;
/** Read at once by a walk over all frames: small frames are many, and reading them must not keep the event loop. */
const WALK_BYTES = 1 << 20;
const WALK_FRAMES = 256;

const NO_SETTLEMENTS: readonly Settlement[] = [];
const NO_REMOVALS: readonly Removal[] = [];
const NO_MEMOS: readonly Memo[] = [];
const NO_COPIES: CopyCounts = { segments: 0, freedBytes: 0, failures: new Map() };

class SegmentJournal implements Journal {
  readonly #options: JournalOptions;
  readonly #cache: FrameCache;
  readonly #stopped = new AbortController();
  #state: JournalState = new JournalState("");
  #committer: Committer | undefined;
  #copies: CopyForward | undefined;
  #frames: FrameReader | undefined;
  #held: AsyncDisposable | undefined;
  #reservedBytes = 0;
  /** What the set asked for last means. */
  #lastStates: { readonly routes: Routes; readonly states: readonly RouteState[] } | undefined;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#cache = new FrameCache(options.cacheBytes ?? CACHE_BYTES);
  }

  get id(): string {
    return this.#state.id;
  }

  async start(): Promise<void> {
    this.#held = await this.#options.lock?.acquire();
    try {
      await this.#open();
    } catch (error) {
      await this.#held?.[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #open(): Promise<void> {
    const { io, indexer, maxBytes, log, nowMs } = this.#options;
    const fsync = this.#options.fsync ?? true;
    const isVolatile = this.#options.isVolatile ?? false;
    const limit = Math.max(SEGMENT_BYTES_MIN, Math.floor(maxBytes / 8));
    const segmentBytes = Math.min(this.#options.segmentBytes ?? SEGMENT_BYTES, limit);
    this.#state = await recover({ io, log, nowMs });
    const { took = () => {} } = this.#options;
    this.#frames = new FrameReader(io, indexer, this.#state.id, isVolatile, took);
    const retainMs = this.#options.retainMs ?? 0;
    const common = { io, log, nowMs, fsync, segmentBytes, maxBytes, retainMs, state: this.#state };
    const rules = { ...DEFAULT_RULES, ...this.#options.copyForward };
    this.#copies = new CopyForward({ ...common, isVolatile, rules });
    this.#committer = new Committer({
      ...common,
      copies: this.#copies,
      cache: this.#cache,
      isVolatile,
      maxFrames: this.#options.maxFrames ?? MAX_FRAMES,
      flushMs: this.#options.flushMs ?? 1_000,
      reserveBytes: this.#options.reserveBytes ?? (fsync ? 1 << 20 : 0),
    });
    await this.#committer.start();
  }

  async stop(deadline: AbortSignal): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    this.#stopped.abort();
    try {
      await this.#committer?.stop(deadline);
    } finally {
      await this.#held?.[Symbol.asyncDispose]();
    }
  }

  route<S extends Signal>(
    name: string,
    signal: S,
    start: "oldest" | "end",
    limits: RouteLimits,
  ): Reader<S> {
    const { committer, frames } = this.#running();
    const known = [...this.#state.routes.values()].find((route) => route.name === name);
    if (known !== undefined && known.signal !== signal)
      throw new Error(
        `route ${name} carries ${known.signal} in this journal and cannot carry ${signal}: give the exporter another name`,
      );
    const route = known ?? this.#newRoute(name, signal, start);
    route.limits = limits;
    return new RouteReader(route, signal, {
      state: this.#state,
      cache: this.#cache,
      frames,
      stopped: this.#stopped.signal,
      nowMs: this.#options.nowMs,
      moved: () => committer.moved(),
      damaged: (reason, segment, offset) => committer.damaged(reason, segment, offset),
    });
  }

  routes(): readonly KnownRoute[] {
    return [...this.#state.routes.values()].map((route) => ({
      ...route.known(),
      heldBytes: heldBytes(this.#state, route.number),
    }));
  }

  #newRoute(name: string, signal: Signal, start: "oldest" | "end"): RouteState {
    const state = this.#state;
    const number = Math.max(-1, ...state.routes.keys()) + 1;
    if (number >= MAX_ROUTES)
      throw new Error(
        `route ${name} would be number ${number}; a journal has at most ${MAX_ROUTES} routes in its life: start a new directory`,
      );
    const newest = state.nextSeq - 1;
    const route = new RouteState(number, name, signal, start === "oldest" ? newest : 0);
    if (start === "end") route.progress.settle([0, newest]);
    state.routes.set(number, route);
    state.isIdentityStale = true;
    route.recount(state.segments);
    route.appended = route.queued.items;
    for (const segment of state.segments.list) route.adoptFrom(segment);
    route.version++;
    return route;
  }

  refuses(routes: Routes, bytes: number, items: number): Refusal | undefined {
    const { committer } = this.#running();
    const room = this.#reservedBytes + bytes + ROOM_PER_FRAME;
    return committer.refuses(room) ?? this.#full(this.#states(routes), bytes, items);
  }

  isBehind(routes: Routes): boolean {
    return this.#states(routes).some((route) => route.isBehind);
  }

  reserve(routes: Routes, bytes: number, items: number): Disposable | Refusal {
    const refusal = this.refuses(routes, bytes, items);
    if (refusal !== undefined) return refusal;
    const room = bytes + ROOM_PER_FRAME;
    const states = this.#states(routes);
    const taken = states.filter((route) => this.#makesRoom(route, bytes, items));
    for (const { reserved } of taken) add(reserved, bytes, items, 1);
    this.#reservedBytes += room;
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        for (const { reserved } of taken) add(reserved, -bytes, -items, -1);
        this.#reservedBytes -= room;
      },
    };
  }

  /** Refuses before anything is dropped from anywhere. */
  #full(states: readonly RouteState[], bytes: number, items: number): Refusal | undefined {
    for (const route of states) {
      const { limits } = route;
      if (limits.onFull === "skip") continue;
      if (bytes > limits.bytes || items > limits.items)
        return {
          kind: "too_large",
          retryAfterMs: 0,
          why: `route ${route.name}: the request (${bytes} bytes, ${items} items) is larger than the whole queue (${limits.bytes} bytes, ${limits.items} items)`,
        };
      if (limits.onFull === "refuse" && route.isFull(bytes, items, 1)) return fullRoute(route);
    }
    return undefined;
  }

  /** Whether the route's queue is kept free for the newcomer. Else it is left out of the route if the queue is still full then. */
  #makesRoom(route: RouteState, bytes: number, items: number): boolean {
    const { onFull } = route.limits;
    if (onFull === "drop_oldest") return route.dropOldest(this.#state.segments, bytes, items, 1);
    return onFull === "refuse";
  }

  append(
    frames: readonly Frame[],
    settles: readonly Settlement[] = NO_SETTLEMENTS,
    removals: readonly Removal[] = NO_REMOVALS,
    memos: readonly Memo[] = NO_MEMOS,
  ): Promise<void> {
    try {
      this.#check(frames, memos);
      if (frames.length + settles.length + removals.length + memos.length === 0)
        return Promise.resolve();
      return this.#running().committer.append(frames, settles, removals, memos);
    } catch (reason) {
      return Promise.reject(reason);
    }
  }

  /** Throws when they cannot be appended. */
  #check(frames: readonly Frame[], memos: readonly Memo[]): void {
    if (this.#stopped.signal.aborted)
      throw new PipelineError({
        kind: "unavailable",
        retryAfterMs: 1_000,
        why: "the journal is stopping",
      });
    for (const { batch, routes } of frames)
      for (const route of this.#states(routes))
        if (route.signal !== batch.signal)
          throw new Error(`route ${route.name} carries ${route.signal}, not ${batch.signal}`);
    this.#state.memos.check(memos);
  }

  memos(prefix: string): ReadonlyMap<string, string> {
    return this.#state.memos.startingWith(prefix);
  }

  stats(): JournalStats {
    const { segments, quarantined } = this.#state;
    return {
      bytes: segments.bytes,
      segments: segments.list.length,
      frames: segments.frames,
      newest: this.#state.nextSeq - 1,
      quarantined: new Map(quarantined),
      fsyncFailures: this.#committer?.fsyncFailures ?? 0,
      fsyncs: this.#committer?.fsyncs ?? 0,
      copied: this.#copies?.counts ?? NO_COPIES,
    };
  }

  heldBytes(route: number): number {
    return heldBytes(this.#state, route);
  }

  place(seq: Seq): FramePlace | undefined {
    return placeOf(this.#state, seq);
  }

  async *frames(from: Seq = 1, waitingFor?: readonly Reader[]): AsyncGenerator<Stored> {
    const { frames } = this.#running();
    const routes = waitingFor?.map(stateOf);
    for (let next = from; ; ) {
      const wanted: Wanted[] = [];
      let bytes = 0;
      this.#state.segments.walk(next, (segment, index) => {
        if (routes?.some((route) => route.isWaiting(segment, index)) === false) return true;
        wanted.push({ segment, index });
        bytes += segment.size(index);
        return bytes < WALK_BYTES && wanted.length < WALK_FRAMES;
      });
      const last = wanted.at(-1);
      if (last === undefined) return;
      next = last.segment.seq(last.index) + 1;
      for (const frame of await frames.read(wanted)) if (!("unreadable" in frame)) yield frame;
    }
  }

  /** Nearly all requests go the same way as the one before. */
  #states(routes: Routes): readonly RouteState[] {
    const last = this.#lastStates;
    if (last !== undefined && isSameSet(last.routes, routes)) return last.states;
    const states = this.#findStates(routes);
    this.#lastStates = { routes, states };
    return states;
  }

  #findStates(routes: Routes): readonly RouteState[] {
    return routeNumbers(routes).map((number) => {
      const route = this.#state.routes.get(number);
      if (route === undefined) throw new Error(`route number ${number} is not of this journal`);
      return route;
    });
  }

  #running(): { readonly committer: Committer; readonly frames: FrameReader } {
    if (this.#committer === undefined || this.#frames === undefined)
      throw new Error("the journal is not started");
    return { committer: this.#committer, frames: this.#frames };
  }
}

function isSameSet(a: Routes, b: Routes): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function stateOf(reader: Reader): RouteState {
  if (!(reader instanceof RouteReader)) throw new Error("the reader is not of this journal");
  return reader.state;
}

function add(
  size: { items: number; bytes: number; frames: number },
  bytes: number,
  items: number,
  frames: number,
): void {
  size.bytes += bytes;
  size.items += items;
  size.frames += frames;
}

function fullRoute({ name, limits, queued }: RouteState): Refusal {
  return {
    kind: "refused",
    retryAfterMs: 1_000,
    why: `route ${name}: the queue is full (${queued.bytes} of ${limits.bytes} bytes, ${queued.items} of ${limits.items} items, ${queued.frames} of ${limits.frames} frames)`,
  };
}
