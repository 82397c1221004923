import type { Seq } from "../otlp/range.ts";
import type { Delta } from "./checkpoint.ts";
import type { Removal, Tally } from "./journal.ts";
import type { Interval } from "./progress.ts";
import { RouteReader } from "./route-reader.ts";
import { type RouteState, tallySum, type Waiting } from "./route-state.ts";
import type { Segments } from "./segment.ts";

/** A removal whose frames were found: they wait for the route, and nobody has them. */
export interface Leaving {
  readonly route: RouteState;
  readonly frames: readonly Waiting[];
  readonly tally: Tally;
}

/** Finds the frames. Throws when one of them does not wait, or when the tally does not sum to their items. */
export function findLeaving(segments: Segments, { reader, seqs, tally }: Removal): Leaving {
  if (!(reader instanceof RouteReader)) throw new Error("the reader is not of this journal");
  const route: RouteState = reader.state;
  const frames = seqs.map((seq) => waitingFrame(segments, route, seq));
  const items = frames.reduce((sum, frame) => sum + frame.items, 0);
  if (tallySum(tally) !== items)
    throw new Error(
      `route ${route.name}: the tally of ${seqs.length} removed frames sums to ${tallySum(tally)}, they have ${items} items`,
    );
  return { route, frames, tally };
}

function waitingFrame(segments: Segments, route: RouteState, seq: Seq): Waiting {
  let found: Waiting | undefined;
  segments.walk(seq, (segment, index) => {
    if (segment.seq(index) === seq && route.belongs(segment, index) && route.progress.isUnread(seq))
      found = { seq, items: segment.items(index), bytes: segment.payload(index) };
    return false;
  });
  if (found === undefined)
    throw new Error(`route ${route.name}: frame ${seq} does not wait, or somebody reads it`);
  return found;
}

/** What the journal notes of a removal: one interval per run of neighbours, the tally with the first. */
export function removalDeltas({ route, frames, tally }: Leaving): Delta[] {
  const runs: Interval[] = [];
  for (const { seq } of frames) {
    const run = runs.at(-1);
    if (run !== undefined && run[1] + 1 === seq) runs[runs.length - 1] = [run[0], seq];
    else runs.push([seq, seq]);
  }
  const { delivered, unconfirmed, deadLettered } = tally;
  const dropped = Object.fromEntries(tally.dropped);
  const none = { appended: 0, delivered: 0, unconfirmed: 0, deadLettered: 0, dropped: {} };
  return runs.map((settle, i) => ({
    ...(i === 0 ? { appended: 0, delivered, unconfirmed, deadLettered, dropped } : none),
    route: route.number,
    settle,
  }));
}
