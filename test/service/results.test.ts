import { expect, test } from "vitest";
import type { Journal, Reader } from "../../src/journal/journal.ts";
import { createMemoryIo } from "../../src/journal/memory-io.ts";
import { createJournal } from "../../src/journal/open.ts";
import { routesOf, UNLIMITED } from "../../src/journal/routes.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { isRefusal } from "../../src/otlp/status.ts";
import { AwaitedReader } from "../../src/service/results.ts";
import { withSlack } from "../../src/wire/slack.ts";
import { recordingLog } from "../support/export-rig.ts";
import { encodeRequest } from "../support/otlp.ts";

const indexer = createIndexer();
const never = new AbortController().signal;
const DELIVERED = { delivered: 1, unconfirmed: 0, deadLettered: 0, dropped: new Map() };

/** A memory journal whose cache holds so much, and a reader whose appenders wait. */
async function awaited(cacheBytes: number) {
  const journal = createJournal({
    ...{ io: createMemoryIo(), indexer, log: recordingLog(), nowMs: Date.now },
    ...{ fsync: false, isVolatile: true, maxBytes: 64 << 20, segmentBytes: 1 << 20, cacheBytes },
  });
  await journal.start();
  const own: Reader<"logs"> = journal.route("x/logs", "logs", "end", UNLIMITED);
  return { journal, reader: new AwaitedReader(own) };
}

/** Appends one record; the promise is that of its result. */
async function append(journal: Journal, reader: AwaitedReader, body: string) {
  const bytes = encodeRequest("logs", {
    resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: body } }] }] }],
  });
  const indexed = indexer.index("logs", withSlack(bytes), bytes.length);
  if (!("batch" in indexed)) throw new Error(indexed.why);
  const { batch } = indexed;
  const routes = routesOf([reader.route]);
  using place = journal.reserve(routes, batch.length, 1) as Disposable;
  expect(isRefusal(place)).toBe(false);
  const result = reader.result(batch);
  await journal.append([{ batch, routes, arrivalMs: 1 }]);
  return { result };
}

test.each([
  ["in the cache", 1 << 20],
  ["gone from the cache", 0],
])(
  "who waits is told, each of its own frame, also of frames that are %s",
  async (_, cacheBytes) => {
    const { journal, reader } = await awaited(cacheBytes);
    const bodies = Array.from({ length: 20 }, (_, i) => `${i}${"x".repeat(10_000)}`);
    const waiting: { result: Promise<void> }[] = [];
    for (const body of bodies) waiting.push(await append(journal, reader, body));
    const ranges = [];
    for (const _body of bodies) ranges.push(await reader.read({ bytes: 1 << 20, items: 1 }, never));
    // Lanes settle in any order.
    for (const [i, range] of [...ranges.entries()].reverse())
      reader.settle(
        range,
        i % 3 === 0
          ? { ...DELIVERED, delivered: 0, dropped: new Map([["retry_disabled", 1]]) }
          : i % 3 === 1
            ? { ...DELIVERED, delivered: 0, deadLettered: 1 }
            : DELIVERED,
      );
    const results = await Promise.allSettled(waiting.map(({ result }) => result));
    expect(results.map((one) => (one.status === "rejected" ? one.reason.kind : "taken"))).toEqual(
      bodies.map((_body, i) => ["unavailable", "invalid", "taken"][i % 3]),
    );
    await journal.stop(AbortSignal.timeout(60_000));
  },
);

test("an append that failed leaves nobody waiting in the place of others", async () => {
  const { journal, reader } = await awaited(0);
  const first = await append(journal, reader, "first");
  const bytes = encodeRequest("logs", { resourceLogs: [] });
  const failed = indexer.index("logs", withSlack(bytes), bytes.length);
  if (!("batch" in failed)) throw new Error(failed.why);
  void reader.result(failed.batch);
  reader.forget(failed.batch);
  const second = await append(journal, reader, "second");
  const range = await reader.read({ bytes: 1 << 20, items: 10 }, never);
  reader.settle(range, { ...DELIVERED, delivered: 2 });
  await expect(Promise.all([first.result, second.result])).resolves.toHaveLength(2);
  await journal.stop(AbortSignal.timeout(60_000));
});
