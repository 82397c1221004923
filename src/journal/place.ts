import type { Seq } from "../otlp/range.ts";
import type { FramePlace } from "./journal.ts";
import type { RouteState } from "./route-state.ts";
import type { JournalState } from "./state.ts";

/** Where a frame is and how far each of its routes is with it; undefined when it is not retained. */
export function placeOf(state: JournalState, seq: Seq): FramePlace | undefined {
  let place: FramePlace | undefined;
  state.segments.walk(seq, (segment, index) => {
    if (segment.seq(index) !== seq) return false;
    const own = [...state.routes.values()].filter((route) => route.belongs(segment, index));
    place = {
      segment: segment.name,
      offset: segment.offset(index),
      routes: own.map((route) => ({ name: route.name, state: stateOf(route, seq) })),
    };
    return false;
  });
  return place;
}

function stateOf({ progress }: RouteState, seq: Seq): "waiting" | "sending" | "settled" {
  if (progress.isSettled(seq)) return "settled";
  return progress.isUnread(seq) ? "waiting" : "sending";
}
