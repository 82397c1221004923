import type { Journal } from "../journal/journal.ts";
import { UNLIMITED } from "../journal/routes.ts";
import { isReplayRoute, unknownRoute } from "./replays.ts";

const READ = { bytes: 8 << 20, items: 65_536 };

/** Gives up everything that waits for a route that nobody reads; the items, which it answers with, are counted as dropped{operator}. The route and its totals stay. */
export async function dropRoute(
  journal: Journal,
  name: string,
  stop: AbortSignal,
): Promise<number> {
  const routes = journal.routes();
  const known = routes.find((route) => route.name === name && !isReplayRoute(name));
  if (known === undefined) throw unknownRoute(name, routes);
  const reader = journal.route(name, known.signal, "end", UNLIMITED);
  const { queuedItems } = known;
  while (reader.counts().queuedItems > 0) {
    const range = await reader.read(READ, stop);
    const dropped = new Map([["operator", range.items]]);
    const tally = { delivered: 0, unconfirmed: 0, deadLettered: 0, dropped };
    await journal.append([], [{ reader, range, tally }]);
  }
  return queuedItems;
}
