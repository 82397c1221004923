import type { Range, Seq } from "../otlp/range.ts";
import { SIGNALS, type Signal } from "../otlp/tape.ts";
import type { KnownRoute, RouteCounts, RouteLimits, Tally } from "./journal.ts";
import { type Interval, Progress } from "./progress.ts";
import { UNLIMITED } from "./routes.ts";
import type { Segment, Segments } from "./segment.ts";

/** A route as checkpoints keep it: JSON. Totals are as of frame `asOf`; later frames are counted from their headers. */
export interface SavedRoute {
  readonly number: number;
  readonly name: string;
  readonly signal: Signal;
  readonly adopt: Seq;
  readonly asOf: Seq;
  readonly upTo: Seq;
  readonly open: readonly Interval[];
  readonly appended: number;
  readonly delivered: number;
  readonly unconfirmed: number;
  readonly deadLettered: number;
  readonly dropped: Readonly<Record<string, number>>;
}

/** A range in the hands of a reader. Items and bytes as the frame headers say. */
export interface Flight {
  readonly interval: Interval;
  readonly items: number;
  readonly bytes: number;
  readonly frames: number;
  /** Items of frames that could not be read back: dropped when the flight lands. */
  readonly lost: number;
}

/** A frame in the queue and in nobody's hands. */
export interface Waiting {
  readonly seq: Seq;
  readonly items: number;
  readonly bytes: number;
}

interface Size {
  items: number;
  bytes: number;
  frames: number;
}

/**
 * A few requests' worth. Far below what a cache of frames holds: who reads frames that have left it does more work per frame, and falls
 * behind for good.
 */
const BEHIND_BYTES = 8 << 20;

const NO_SIZE: Size = { items: 0, bytes: 0, frames: 0 };

/** One exporter-and-signal: its totals, how far it is, and what waits for it. */
export class RouteState {
  readonly number: number;
  readonly name: string;
  readonly signal: Signal;
  limits: RouteLimits = UNLIMITED;
  /** Frames of its signal up to here belong to it although their sets do not name it (`start: oldest`). */
  readonly adopt: Seq;
  progress = new Progress();
  appended = 0;
  delivered = 0;
  unconfirmed = 0;
  deadLettered = 0;
  readonly dropped = new Map<string, number>();
  /** Not settled, from frame headers. */
  readonly queued: Size = { items: 0, bytes: 0, frames: 0 };
  /** Queued and not handed out. */
  readonly unread: Size = { items: 0, bytes: 0, frames: 0 };
  readonly reserved: Size = { items: 0, bytes: 0, frames: 0 };
  readonly flights = new Flights();
  /** Monotonic time at which `unread` became more than nothing, or some of it was taken. */
  unreadSince = 0;
  /** Nobody will read for a while. */
  isResting = false;
  /** Nothing that waits comes before this. */
  unreadFrom: Seq = 0;
  /** Changes with everything that a checkpoint says. */
  version = 0;
  savedVersion = -1;
  /** As the last durable checkpoint says: what is settled there need not be kept. */
  durable = new Progress();
  readonly wakers = new Set<() => void>();

  constructor(number: number, name: string, signal: Signal, adopt: Seq = 0) {
    this.number = number;
    this.name = name;
    this.signal = signal;
    this.adopt = adopt;
  }

  get isDirty(): boolean {
    return this.version !== this.savedVersion;
  }

  belongs(segment: Segment, index: number): boolean {
    if (segment.has(index, this.number)) return true;
    return (
      this.adopt > 0 &&
      segment.seq(index) <= this.adopt &&
      SIGNALS[segment.signal(index)] === this.signal
    );
  }

  /** Whether the frame is this route's and not settled. */
  isWaiting(segment: Segment, index: number): boolean {
    return this.belongs(segment, index) && !this.progress.isSettled(segment.seq(index));
  }

  /** Whether the frame must be kept for this route, also across a crash. */
  needs(segment: Segment, index: number): boolean {
    return this.belongs(segment, index) && !this.durable.isSettled(segment.seq(index));
  }

  /** Notes in the segment which of its frames are the route's although their sets do not say so. */
  adoptFrom(segment: Segment): void {
    if (this.adopt === 0) return;
    for (let index = 0; index < segment.count; index++)
      if (this.belongs(segment, index)) segment.lastOf.set(this.number, segment.seq(index));
  }

  /** Counts a frame that waits for this route from now on. */
  enqueue(seq: Seq, items: number, bytes: number): void {
    if (this.unread.frames === 0) {
      this.unreadSince = performance.now();
      this.unreadFrom = seq;
    }
    grow(this.queued, items, bytes, 1);
    grow(this.unread, items, bytes, 1);
  }

  /** Its reader is at work, and more waits than is worth keeping ready for it. */
  get isBehind(): boolean {
    return this.unread.bytes > BEHIND_BYTES && !this.isResting && this.flights.size > 0;
  }

  wake(): void {
    for (const waker of [...this.wakers]) waker();
  }

  isFull(bytes: number, items: number, frames: number, reserved: Size = this.reserved): boolean {
    const { queued, limits } = this;
    return (
      queued.bytes + reserved.bytes + bytes > limits.bytes ||
      queued.items + reserved.items + items > limits.items ||
      queued.frames + reserved.frames + frames > limits.frames
    );
  }

  /** Whether a frame that is about to be appended finds no place. One that was reserved for always does. */
  isLeftOut(bytes: number, items: number): boolean {
    const { onFull } = this.limits;
    if (onFull === "refuse") return false;
    return this.isFull(bytes, items, 1, onFull === "skip" ? this.reserved : NO_SIZE);
  }

  drop(reason: string, items: number): void {
    if (items === 0) return;
    this.dropped.set(reason, (this.dropped.get(reason) ?? 0) + items);
    this.version++;
  }

  /** Takes frames up to `last` out of `unread`; they are in flight from now on. */
  takeOut(last: Seq, items: number, bytes: number, frames: number): Flight {
    const interval = this.progress.handOut(last);
    grow(this.unread, -items, -bytes, -frames);
    this.unreadSince = performance.now();
    this.unreadFrom = this.progress.redo?.[0] ?? this.progress.upTo + 1;
    return { interval, items, bytes, frames, lost: 0 };
  }

  /** Ends a flight: `tally` says how. Its sum is the range's items, checked by the caller. */
  land(flight: Flight, tally: Tally): void {
    this.progress.settle(flight.interval);
    grow(this.queued, -flight.items, -flight.bytes, -flight.frames);
    this.addTally(tally);
    this.drop("corrupt", flight.lost);
  }

  /** Ends the waiting of frames that nobody has read. */
  remove(frames: readonly Waiting[], tally: Tally): void {
    for (const { seq, items, bytes } of frames) {
      this.progress.pass(seq);
      grow(this.queued, -items, -bytes, -1);
      grow(this.unread, -items, -bytes, -1);
    }
    this.addTally(tally);
  }

  /** Passes an interval in which no frame of this route is left. */
  skip(interval: Interval): void {
    this.progress.settle(interval);
    this.version++;
  }

  addTally(tally: Tally): void {
    this.delivered += tally.delivered;
    this.unconfirmed += tally.unconfirmed;
    this.deadLettered += tally.deadLettered;
    for (const [reason, items] of tally.dropped) this.drop(reason, items);
    this.version++;
  }

  /** Drops the oldest frames that are in nobody's hands until the newcomer fits; false when that is not enough. */
  dropOldest(segments: Segments, bytes: number, items: number, frames: number): boolean {
    while (this.isFull(bytes, items, frames)) {
      const frame = this.#oldestUnread(segments);
      if (frame === undefined) return false;
      const [segment, index] = frame;
      const flight = this.takeOut(
        segment.seq(index),
        segment.items(index),
        segment.payload(index),
        1,
      );
      this.land(flight, NOTHING);
      this.drop("queue_full", flight.items);
    }
    return true;
  }

  #oldestUnread(segments: Segments): readonly [Segment, number] | undefined {
    for (;;) {
      const redo = this.progress.redo;
      let found: readonly [Segment, number] | undefined;
      segments.walk(redo?.[0] ?? this.progress.upTo + 1, (segment, index) => {
        if (redo !== undefined && segment.seq(index) > redo[1]) return false;
        if (!this.belongs(segment, index)) return true;
        found = [segment, index];
        return false;
      });
      if (found !== undefined || redo === undefined) return found;
      this.skip(redo);
    }
  }

  /** Counts what waits, from frame headers. */
  recount(segments: Segments): void {
    grow(this.queued, -this.queued.items, -this.queued.bytes, -this.queued.frames);
    grow(this.unread, -this.unread.items, -this.unread.bytes, -this.unread.frames);
    segments.walk(this.progress.low + 1, (segment, index) => {
      if (this.isWaiting(segment, index))
        this.enqueue(segment.seq(index), segment.items(index), segment.payload(index));
      return true;
    });
  }

  /** appended − (delivered + unconfirmed + dropped + dead lettered + queued): 0 when the law holds. */
  get imbalance(): number {
    let gone = this.delivered + this.unconfirmed + this.deadLettered + this.queued.items;
    for (const items of this.dropped.values()) gone += items;
    return this.appended - gone;
  }

  counts(segments: Segments, nowMs: number): RouteCounts {
    let oldestAgeMs = 0;
    if (this.queued.frames > 0)
      segments.walk(this.progress.low + 1, (segment, index) => {
        if (!this.belongs(segment, index)) return true;
        oldestAgeMs = Math.max(0, nowMs - segment.arrivalMs(index));
        return false;
      });
    return {
      appended: this.appended,
      delivered: this.delivered,
      unconfirmed: this.unconfirmed,
      deadLettered: this.deadLettered,
      dropped: new Map(this.dropped),
      queuedItems: this.queued.items,
      queuedBytes: this.queued.bytes,
      queuedFrames: this.queued.frames,
      oldestAgeMs,
    };
  }

  known(): Omit<KnownRoute, "heldBytes"> {
    const { name, number, signal, queued, reserved, limits } = this;
    const room = {
      bytes: limits.bytes - queued.bytes - reserved.bytes,
      items: limits.items - queued.items - reserved.items,
      frames: limits.frames - queued.frames - reserved.frames,
    };
    const notDelivered = this.appended - this.delivered - queued.items;
    const sizes = { queuedItems: queued.items, queuedBytes: queued.bytes };
    return { name, number, signal, ...sizes, room, notDelivered };
  }

  save(asOf: Seq): SavedRoute {
    const { number, name, signal, adopt, appended, delivered, unconfirmed, deadLettered } = this;
    const { upTo, open } = this.progress;
    const dropped = Object.fromEntries(this.dropped);
    return {
      ...{ number, name, signal, adopt, asOf, upTo, open },
      ...{ appended, delivered, unconfirmed, deadLettered, dropped },
    };
  }

  restore(saved: SavedRoute): void {
    this.progress = new Progress(saved.upTo, saved.open);
    this.appended = saved.appended;
    this.delivered = saved.delivered;
    this.unconfirmed = saved.unconfirmed;
    this.deadLettered = saved.deadLettered;
    this.dropped.clear();
    for (const [reason, items] of Object.entries(saved.dropped)) this.dropped.set(reason, items);
  }
}

/**
 * Ranges that are out, few at a time. An array and not a Map, whose old tables would keep settled ranges in memory until the next full
 * collection (see FrameCache).
 */
export class Flights {
  readonly #flights: { readonly range: Range; readonly flight: Flight }[] = [];

  get size(): number {
    return this.#flights.length;
  }
  get(range: Range): Flight | undefined {
    return this.#flights.find((one) => one.range === range)?.flight;
  }
  set(range: Range, flight: Flight): void {
    this.#flights.push({ range, flight });
  }
  delete(range: Range): void {
    const at = this.#flights.findIndex((one) => one.range === range);
    if (at >= 0) this.#flights.splice(at, 1);
  }
}

const NOTHING: Tally = { delivered: 0, unconfirmed: 0, deadLettered: 0, dropped: new Map() };

/** Items a tally accounts for. */
export function tallySum(tally: Tally): number {
  let sum = tally.delivered + tally.unconfirmed + tally.deadLettered;
  for (const items of tally.dropped.values()) sum += items;
  return sum;
}

function grow(size: Size, items: number, bytes: number, frames: number): void {
  size.items += items;
  size.bytes += bytes;
  size.frames += frames;
}
