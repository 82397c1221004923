import { setImmediate as nextTurn } from "node:timers/promises";
import type { CopyRules } from "../../src/journal/copy-forward.ts";
import type { Journal, Reader } from "../../src/journal/journal.ts";
import type { JournalOptions } from "../../src/journal/open.ts";
import { ALL, delivered, frameOf, NO_LIMITS, never, testJournal, textOf } from "./fake.ts";

/** Copies at once and as fast as it can. */
export const EAGER: CopyRules = {
  sparseShare: 0.25,
  lookMs: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  pauseMs: 0,
};
export const SEGMENT_BYTES = 8_192;
/** Every so many frames one is for the dead route, too. */
export const EVERY = 20;

export interface Sparse {
  readonly journal: Journal;
  /** Nobody reads it. */
  readonly dead: Reader;
  readonly live: Reader;
}

/** A journal with small segments, nothing in the cache, and two routes. */
export async function openSparse(options: Partial<JournalOptions> = {}): Promise<Sparse> {
  const journal = testJournal({
    segmentBytes: SEGMENT_BYTES,
    cacheBytes: 0,
    copyForward: EAGER,
    ...options,
  });
  await journal.start();
  const dead = journal.route("dead/logs", "logs", "end", NO_LIMITS);
  const live = journal.route("live/logs", "logs", "end", NO_LIMITS);
  return { journal, dead, live };
}

/** Appends frames for the live route, which takes them at once, and a few for both. Returns the texts of those. */
export async function feed(
  { journal, dead, live }: Sparse,
  frames: number,
  size = 400,
): Promise<string[]> {
  const texts: string[] = [];
  for (let i = 0; i < frames; i++) {
    const isForBoth = i % EVERY === 0;
    const text = `${isForBoth ? "both" : "live"} ${i} ${"x".repeat(size)}`;
    if (isForBoth) texts.push(text);
    await journal.append([frameOf(text, isForBoth ? [dead.route, live.route] : [live.route], 2)]);
    const range = await live.read(ALL, never);
    live.settle(range, delivered(range));
    if (i % EVERY === 0) await turns(4);
  }
  // The last settlement becomes durable with the next group.
  await journal.append([frameOf("end", [live.route])]);
  await turns(200);
  return texts;
}

/** Lets what goes on in the background go on. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await nextTurn();
}

/** Reads and settles everything that waits, a little at a time; returns the texts in order. */
export async function drain(reader: Reader): Promise<string[]> {
  const texts: string[] = [];
  while (reader.counts().queuedItems > 0) {
    const range = await reader.read({ bytes: 3_000, items: 100 }, AbortSignal.timeout(60_000));
    texts.push(...range.frames.map(({ batch }) => textOf(batch)));
    reader.settle(range, delivered(range));
  }
  return texts;
}
