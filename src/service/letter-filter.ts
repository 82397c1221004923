import { z } from "zod";
import type { KeptLetter } from "../kit/delivery/dead-letters.ts";

/** Which dead letters are meant. Nothing named: all of them. */
export const letterFilter = z.strictObject({
  ids: z.array(z.string()).optional(),
  /** A route, or all routes of an exporter. */
  route: z.string().optional(),
  reason: z.string().optional(),
  /** Became a dead letter at this time or later, milliseconds. */
  sinceMs: z.number().optional(),
  /** Before this time. */
  untilMs: z.number().optional(),
});
export type LetterFilter = z.output<typeof letterFilter>;

/** The filter as a question. */
export function wanted(filter: LetterFilter): (letter: KeptLetter) => boolean {
  const { route, reason, sinceMs = Number.NEGATIVE_INFINITY } = filter;
  const { untilMs = Number.POSITIVE_INFINITY } = filter;
  const ids = filter.ids === undefined ? undefined : new Set(filter.ids);
  return ({ id, note }) =>
    (ids === undefined || ids.has(id)) &&
    (route === undefined || isOfRoute(note.route, route)) &&
    (reason === undefined || note.reason === reason) &&
    note.atMs >= sinceMs &&
    note.atMs < untilMs;
}

/** `influxdb/eu/logs` is of itself and of the exporter `influxdb/eu`. */
export function isOfRoute(route: string, named: string): boolean {
  return route === named || route.slice(0, route.lastIndexOf("/")) === named;
}
