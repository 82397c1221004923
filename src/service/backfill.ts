import { setTimeout as sleep } from "node:timers/promises";
import type { FramePlace, Journal, KnownRoute } from "../journal/journal.ts";
import type { Seq, Stored } from "../otlp/range.ts";
import { PipelineError } from "../otlp/status.ts";
import { isOfRoute } from "./letter-filter.ts";
import { isReplayRoute, type Replays, readAgainNote, unknownRoute } from "./replays.ts";
import type { Storage } from "./storage.ts";

/** What is to be sent again. */
export interface Backfill {
  readonly fromMs: number;
  readonly untilMs: number;
  /** The route whose frames are meant. */
  readonly of: KnownRoute;
  readonly to: KnownRoute;
}

export interface Progress {
  readonly frames: number;
  readonly items: number;
}

/** Most bytes that may wait for the route while more are added: the rest of its queue is for what comes in. */
const AHEAD_BYTES = 64 << 20;
const GROUP_BYTES = 1 << 20;
const PAUSE_MS = 100;

/**
 * Queues retained frames for a route once more. To another route: those that it never got. To the same one: those that it has settled.
 * Frames that are replays themselves are left out, because what they repeat is there as well. Waits while the queue is full, where
 * somebody empties it; answers with what was done so far after each group.
 */
export async function* backfill(
  { journal }: Storage,
  replays: Replays,
  { fromMs, untilMs, of, to }: Backfill,
  isRead: boolean,
): AsyncGenerator<Progress> {
  const { newest } = journal.stats();
  let frames = 0;
  let items = 0;
  let group: Stored[] = [];
  let bytes = 0;
  async function* flush(): AsyncGenerator<Progress> {
    while (!(await isQueued(group))) {
      yield { frames, items };
      await sleep(PAUSE_MS);
    }
    frames += group.length;
    for (const { batch } of group) items += batch.items;
    group = [];
    bytes = 0;
    yield { frames, items };
  }
  async function isQueued(next: readonly Stored[]): Promise<boolean> {
    const waiting = journal.routes().find(({ name }) => name === to.name)?.queuedBytes ?? 0;
    if (isRead && waiting > AHEAD_BYTES) return false;
    const refusal = await replays.again(next, to);
    if (refusal === undefined) return true;
    if (isRead && refusal.kind === "refused") return false;
    throw new PipelineError(refusal);
  }
  const before = of.name === to.name ? new Set<Seq>() : await queuedBefore(journal, to.name);
  for await (const frame of journal.frames()) {
    if (frame.seq > newest) break;
    const { batch, arrivalMs } = frame;
    if (before.has(frame.seq)) continue;
    if (batch.signal !== to.signal || arrivalMs < fromMs || arrivalMs >= untilMs) continue;
    if (frame.note.length > 0 || !isMeant(journal.place(frame.seq), of.name, to.name)) continue;
    group.push(frame);
    bytes += batch.length;
    if (bytes >= GROUP_BYTES) yield* flush();
  }
  if (group.length > 0) yield* flush();
}

/** Frames that an earlier replay, cut off perhaps, has queued for this route. */
async function queuedBefore(journal: Journal, to: string): Promise<ReadonlySet<Seq>> {
  const found = new Set<Seq>();
  for await (const { seq, note } of journal.frames()) {
    const frame = note.length > 0 ? readAgainNote(note) : undefined;
    if (frame === undefined) continue;
    if (journal.place(seq)?.routes.some(({ name }) => name === to)) found.add(frame);
  }
  return found;
}

function isMeant(place: FramePlace | undefined, of: string, to: string): boolean {
  const stateFor = (route: string) => place?.routes.find(({ name }) => name === route)?.state;
  return of === to
    ? stateFor(of) === "settled"
    : stateFor(of) !== undefined && stateFor(to) === undefined;
}

/**
 * The pairs of routes that are meant by `to`, and by `of` where it is given: names of routes, or of exporters for all of their signals.
 * Throws with the names to choose from.
 */
export function backfillRoutes(
  routes: readonly KnownRoute[],
  to: string,
  of: string | undefined,
): readonly Pick<Backfill, "of" | "to">[] {
  const known = routes.filter(({ name }) => !isReplayRoute(name));
  const targets = known.filter(({ name }) => isOfRoute(name, to));
  if (targets.length === 0) throw unknownRoute(to, known, "--to");
  const pairs = targets.flatMap((target) => {
    const same = known.filter(({ signal }) => signal === target.signal);
    const sources =
      of === undefined
        ? same.filter((route) => route !== target || same.length === 1)
        : same.filter(({ name }) => isOfRoute(name, of));
    if (of === undefined && sources.length > 1)
      throw new Error(
        `${target.name}: say whose frames with --of (${sources.map(({ name }) => name).join(", ")})`,
      );
    return sources.map((source) => ({ of: source, to: target }));
  });
  if (pairs.length === 0) throw unknownRoute(of ?? to, known, "--of");
  return pairs;
}
