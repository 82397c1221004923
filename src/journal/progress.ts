import type { Seq } from "../otlp/range.ts";

/** First and last seq, both included. */
export type Interval = readonly [first: Seq, last: Seq];

/**
 * How far a route is: everything up to `upTo` was handed out or is settled, except what `open` names, which is not settled.
 * `open` has at most one interval per range in flight, so it is journaled with the cursor and a restart repeats nothing
 * that was settled out of order.
 */
export class Progress {
  #upTo: Seq;
  readonly #open: Interval[];
  /** Part of `open` that this process has not handed out yet: left over by the one before. */
  #redo: Interval[];

  constructor(upTo: Seq = 0, open: readonly Interval[] = []) {
    this.#upTo = upTo;
    this.#open = [...open];
    this.#redo = [...open];
  }

  get upTo(): Seq {
    return this.#upTo;
  }
  get open(): readonly Interval[] {
    return this.#open;
  }
  /** What to hand out before anything behind `upTo`. */
  get redo(): Interval | undefined {
    return this.#redo[0];
  }
  /** Low watermark: everything up to here is settled. */
  get low(): Seq {
    const first = this.#open[0];
    return first === undefined ? this.#upTo : first[0] - 1;
  }

  isSettled(seq: Seq): boolean {
    return seq <= this.#upTo && !holds(this.#open, seq);
  }

  /** How many of these numbers are settled: it only grows. */
  settledWithin(first: Seq, last: Seq): number {
    const end = Math.min(last, this.#upTo);
    if (end < first) return 0;
    let settled = end - first + 1;
    for (let at = indexOf(this.#open, first); at < this.#open.length; at++) {
      const [from, to] = this.#open[at] as Interval;
      if (from > end) break;
      settled -= Math.min(to, end) - Math.max(from, first) + 1;
    }
    return settled;
  }

  /** Whether the frame is neither settled nor in anybody's hands. */
  isUnread(seq: Seq): boolean {
    return seq > this.#upTo || holds(this.#redo, seq);
  }

  /** Settles one unread frame out of its turn; those before it are still to be handed out. */
  pass(seq: Seq): void {
    if (seq <= this.#upTo) {
      this.settle([seq, seq]);
      return;
    }
    if (seq > this.#upTo + 1) {
      const before: Interval = [this.#upTo + 1, seq - 1];
      this.#open.push(before);
      this.#redo.push(before);
    }
    this.#upTo = seq;
  }

  /** Hands out everything up to `last`: of the first redo interval, or behind `upTo`. Returns what is now in flight. */
  handOut(last: Seq): Interval {
    const redo = this.#redo[0];
    if (redo !== undefined) {
      const taken: Interval = [redo[0], Math.min(last, redo[1])];
      if (taken[1] >= redo[1]) this.#redo.shift();
      else this.#redo[0] = [taken[1] + 1, redo[1]];
      return taken;
    }
    const taken: Interval = [this.#upTo + 1, last];
    this.#upTo = last;
    this.#open.push(taken);
    return taken;
  }

  /** Settles an interval, also one that was never handed out here (replay of a journaled settlement). */
  settle(interval: Interval): void {
    const [first, last] = interval;
    if (last > this.#upTo) {
      this.#open.push([this.#upTo + 1, last]);
      this.#upTo = last;
    }
    subtract(this.#open, first, last);
    subtract(this.#redo, first, last);
  }

  /** After replay: what is open belongs to nobody. */
  restart(): void {
    this.#redo = [...this.#open];
  }
}

/** Index of the first interval that ends at `seq` or behind it. Intervals stand in order and do not overlap. */
function indexOf(intervals: readonly Interval[], seq: Seq): number {
  let low = 0;
  let high = intervals.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((intervals[middle]?.[1] ?? 0) < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

function holds(intervals: readonly Interval[], seq: Seq): boolean {
  const found = intervals[indexOf(intervals, seq)];
  return found !== undefined && found[0] <= seq;
}

/** Takes [first, last] out of the intervals, in place. */
function subtract(intervals: Interval[], first: Seq, last: Seq): void {
  const from = indexOf(intervals, first);
  const rest: Interval[] = [];
  let to = from;
  for (; to < intervals.length; to++) {
    const interval = intervals[to] as Interval;
    if (interval[0] > last) break;
    if (interval[0] < first) rest.push([interval[0], first - 1]);
    if (interval[1] > last) rest.push([last + 1, interval[1]]);
  }
  intervals.splice(from, to - from, ...rest);
}
