import type { Delta } from "./checkpoint.ts";
import type { Settlement } from "./journal.ts";
import { RouteReader } from "./route-reader.ts";
import type { RouteState } from "./route-state.ts";

/** A frame that a full route did not want. */
export interface Skipped {
  readonly route: RouteState;
  readonly items: number;
  readonly reason: "skipped" | "queue_full";
}

/** What the settlement of a range changes. */
export function settleDelta({ reader, range, tally }: Settlement): Delta {
  if (!(reader instanceof RouteReader)) throw new Error("the reader is not of this journal");
  const { interval, lost } = reader.flightOf(range, tally);
  const { delivered, unconfirmed, deadLettered } = tally;
  const corrupt = (tally.dropped.get("corrupt") ?? 0) + lost;
  const dropped = { ...Object.fromEntries(tally.dropped), ...(corrupt > 0 ? { corrupt } : {}) };
  const { route } = reader;
  return { route, settle: interval, appended: 0, delivered, unconfirmed, deadLettered, dropped };
}

/** What becomes of a frame that a route did not want. */
export function skipDelta({ route, items, reason }: Skipped): Delta {
  const none = { delivered: 0, unconfirmed: 0, deadLettered: 0 };
  return { route: route.number, appended: items, ...none, dropped: { [reason]: items } };
}
