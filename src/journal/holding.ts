import { setImmediate as nextTurn } from "node:timers/promises";
import type { Segment } from "./segment.ts";
import type { JournalState } from "./state.ts";

/** Longest stretch of work on the event loop. */
const TURN_MS = 5;
/** Frames between two looks at the clock. */
const STEP = 512;

/** Which frames of a segment some route still needs. */
export interface Look {
  /** Grows when anything here is settled for good. */
  readonly settled: number;
  readonly atMs: number;
  /** Indexes of the frames that are needed; none when these are too many. */
  readonly live: readonly number[];
  /** Bytes of their records; Infinity when these are too many. */
  readonly liveBytes: number;
}

/** Whether a durable checkpoint says that no route needs the segment. */
export function isPassed(state: JournalState, segment: Segment): boolean {
  for (const number of segment.lastOf.keys()) if (holds(state, segment, number)) return false;
  return true;
}

/** Bytes of segments that would go at once if this route were through with them: nobody else holds them. */
export function heldBytes(state: JournalState, route: number): number {
  let bytes = 0;
  for (const segment of state.segments.older())
    if (holds(state, segment, route) && isOnly(state, segment, route)) bytes += segment.length;
  return bytes;
}

/** Grows with everything that is settled for good in the segment; costs nothing per frame. */
export function settledIn(state: JournalState, segment: Segment): number {
  let settled = 0;
  const first = segment.seq(0);
  for (const [number, last] of segment.lastOf)
    settled += state.routes.get(number)?.durable.settledWithin(first, last) ?? 0;
  return settled;
}

/**
 * Looks at the frames, in short turns, until those that are needed have more than `most` bytes. What is settled for good stays so,
 * whatever happens in between.
 */
export async function lookAt(
  state: JournalState,
  segment: Segment,
  most: number,
  atMs: number,
): Promise<Look> {
  const settled = settledIn(state, segment);
  const holders = [...segment.lastOf.keys()]
    .filter((number) => holds(state, segment, number))
    .map((number) => state.routes.get(number));
  const live: number[] = [];
  let liveBytes = 0;
  let endsAt = performance.now() + TURN_MS;
  for (let index = 0; index < segment.count; index++) {
    if (index % STEP === STEP - 1 && performance.now() > endsAt) {
      await nextTurn();
      endsAt = performance.now() + TURN_MS;
    }
    if (!holders.some((route) => route === undefined || route.needs(segment, index))) continue;
    live.push(index);
    liveBytes += segment.size(index);
    if (liveBytes > most) return { settled, atMs, live: [], liveBytes: Number.POSITIVE_INFINITY };
  }
  return { settled, atMs, live, liveBytes };
}

function holds(state: JournalState, segment: Segment, number: number): boolean {
  const last = segment.lastOf.get(number);
  if (last === undefined) return false;
  const route = state.routes.get(number);
  return route === undefined || route.durable.low < last;
}

function isOnly(state: JournalState, segment: Segment, route: number): boolean {
  for (const number of segment.lastOf.keys())
    if (number !== route && holds(state, segment, number)) return false;
  return true;
}
