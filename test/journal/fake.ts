import type { Frame, Journal, RouteLimits, Tally } from "../../src/journal/journal.ts";
import { createMemoryIo } from "../../src/journal/memory-io.ts";
import { createJournal, type JournalOptions } from "../../src/journal/open.ts";
import { routesOf } from "../../src/journal/routes.ts";
import type { Batch } from "../../src/otlp/batch.ts";
import type { Indexer } from "../../src/otlp/indexer.ts";
import type { KeyId } from "../../src/otlp/keys.ts";
import type { Range } from "../../src/otlp/range.ts";
import type { Signal } from "../../src/otlp/tape.ts";
import { SLACK } from "../../src/wire/slack.ts";

/** Batches over any bytes: the first byte is the number of items. */
export const fakeIndexer: Indexer = {
  keys: {
    id: () => 0 as KeyId,
    seek: () => 0 as KeyId,
    mayOccur: () => true,
    name: () => "",
  },
  index<S extends Signal>(signal: S, bytes: Uint8Array, length: number) {
    if (length === 0 || bytes[0] === 255) return { refused: "malformed" as const, why: "fake" };
    return { batch: fakeBatch(signal, bytes, length), rejected: 0, why: "" };
  },
  async indexSlowly<S extends Signal>(signal: S, bytes: Uint8Array, length: number) {
    return this.index(signal, bytes, length);
  },
};

function fakeBatch<S extends Signal>(signal: S, bytes: Uint8Array, length: number): Batch<S> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const draft = () => {
    throw new Error("no drafts here");
  };
  return { signal, bytes, view, length, tape: new Int32Array(8), items: bytes[0] ?? 0, draft };
}

/** A batch of so many items whose bytes say `text`. */
export function batchOf(text: string, items = 1, signal: Signal = "logs"): Batch {
  const content = new TextEncoder().encode(text);
  const bytes = new Uint8Array(content.length + 1 + SLACK);
  bytes[0] = items;
  bytes.set(content, 1);
  return fakeBatch(signal, bytes, content.length + 1);
}

/** What batchOf was told. */
export function textOf(batch: Batch): string {
  return new TextDecoder().decode(batch.bytes.subarray(1, batch.length));
}

export function frameOf(text: string, routes: readonly number[], items = 1): Frame {
  return { batch: batchOf(text, items), routes: routesOf(routes), arrivalMs: 1_000 };
}

export const NO_LIMITS: RouteLimits = {
  bytes: Number.POSITIVE_INFINITY,
  items: Number.POSITIVE_INFINITY,
  frames: Number.POSITIVE_INFINITY,
  onFull: "refuse",
};

export const silent = { info() {}, warn() {}, error() {} };

export function testJournal(options: Partial<JournalOptions> = {}): Journal {
  return createJournal({
    io: createMemoryIo(),
    indexer: fakeIndexer,
    maxBytes: 1 << 30,
    nowMs: () => 1_000,
    log: silent,
    flushMs: 1_000_000,
    reserveBytes: 0,
    ...options,
  });
}

export function delivered(range: Range): Tally {
  return { delivered: range.items, unconfirmed: 0, deadLettered: 0, dropped: new Map() };
}

export const ALL = { bytes: 1 << 30, items: 1 << 30 };
export const never = new AbortController().signal;

/** What is left of appended when everything else is taken away: 0 when the law holds. */
export function imbalance(counts: ReturnType<ReturnType<Journal["route"]>["counts"]>): number {
  const { appended, delivered: sent, unconfirmed, deadLettered, dropped, queuedItems } = counts;
  let gone = sent + unconfirmed + deadLettered + queuedItems;
  for (const items of dropped.values()) gone += items;
  return appended - gone;
}
