import { setTimeout as sleep } from "node:timers/promises";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Journal, Tally } from "../../src/journal/journal.ts";
import { createMemoryIo } from "../../src/journal/memory-io.ts";
import { Progress } from "../../src/journal/progress.ts";
import {
  hasRoute,
  routeNumbers,
  routesOf,
  unionRoutes,
  withoutRoute,
} from "../../src/journal/routes.ts";
import type { Stored } from "../../src/otlp/range.ts";
import { ALL, delivered, frameOf, NO_LIMITS, never, testJournal, textOf } from "./fake.ts";

async function started(options: Parameters<typeof testJournal>[0] = {}) {
  const journal = testJournal(options);
  await journal.start();
  return { journal, reader: journal.route("a/logs", "logs", "end", NO_LIMITS) };
}

test("ranges keep to bytes and items, whole frames, at least one; lanes never share", async () => {
  const { journal, reader } = await started();
  await journal.append(["aaaa", "bbbb", "cccc"].map((text) => frameOf(text, [reader.route], 4)));
  const [first, second] = await Promise.all([
    reader.read({ bytes: 1, items: 100 }, never),
    reader.read({ bytes: 100, items: 9 }, never),
  ]);
  expect(first.frames.map(({ batch }) => textOf(batch))).toEqual(["aaaa"]);
  expect(second.frames.map(({ batch }) => textOf(batch))).toEqual(["bbbb", "cccc"]);
});

test("read waits for the first frame, then up to waitMs for minItems", async () => {
  const { journal, reader } = await started();
  const waiting = reader.read({ ...ALL, minItems: 3, waitMs: 5_000 }, never);
  await journal.append([frameOf("one", [reader.route], 1)]);
  await journal.append([frameOf("two", [reader.route], 2)]);
  expect((await waiting).items).toBe(3);
  const late = reader.read({ ...ALL, minItems: 3, waitMs: 20 }, never);
  await journal.append([frameOf("three", [reader.route], 1)]);
  expect((await late).items).toBe(1);
});

test("read waits for minBytes where items do not end the wait", async () => {
  const { journal, reader } = await started();
  const limits = { ...ALL, minItems: Number.MAX_SAFE_INTEGER, minBytes: 9, waitMs: 60_000 };
  const waiting = reader.read({ ...limits, items: Number.MAX_SAFE_INTEGER }, never);
  for (const text of ["aaaa", "bbbb", "c"]) await journal.append([frameOf(text, [reader.route])]);
  expect((await waiting).frames.map(({ batch }) => textOf(batch))).toEqual(["aaaa", "bbbb"]);
});

test("read rejects with the reason of the stop, and when the journal stops", async () => {
  const { journal, reader } = await started();
  const stop = new AbortController();
  const waiting = reader.read(ALL, stop.signal);
  const reason = new Error("enough");
  stop.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  const other = expect(reader.read(ALL, never)).rejects.toMatchObject({ kind: "unavailable" });
  await journal.stop(never);
  await other;
  await expect(journal.append([frameOf("x", [reader.route])])).rejects.toMatchObject({
    kind: "unavailable",
  });
});

test("a tally that does not sum up, and a range that is settled twice, are refused", async () => {
  const { journal, reader } = await started();
  await journal.append([frameOf("one", [reader.route], 3)]);
  const range = await reader.read(ALL, never);
  const tally = { ...delivered(range), delivered: 2 };
  expect(() => reader.settle(range, tally)).toThrow(/sums to 2, the range has 3 items/);
  reader.settle(range, delivered(range));
  expect(() => reader.settle(range, delivered(range))).toThrow(/not in flight/);
});

test("a holder's settlement lives and dies with its group", async () => {
  const io = createMemoryIo();
  const { journal, reader } = await started({ io });
  await journal.append([frameOf("in", [reader.route], 3)]);
  const range = await reader.read(ALL, never);
  await journal.append(
    [frameOf("out", [reader.route], 1)],
    [{ reader, range, tally: delivered(range) }],
  );
  const again = await started({ io });
  expect(again.reader.counts()).toMatchObject({ appended: 4, delivered: 3, queuedItems: 1 });
});

test("frames() walks everything retained, with notes; oldest adopts it for a new route", async () => {
  const io = createMemoryIo();
  const { journal, reader } = await started({ io });
  const note = new TextEncoder().encode("why");
  await journal.append([
    { ...frameOf("one", [reader.route]), note },
    frameOf("two", [reader.route], 4),
  ]);
  const seen: string[] = [];
  for await (const frame of journal.frames())
    seen.push(`${textOf(frame.batch)}${new TextDecoder().decode(frame.note)}`);
  expect(seen).toEqual(["onewhy", "two"]);
  const late = journal.route("late/logs", "logs", "oldest", NO_LIMITS);
  expect(late.counts()).toMatchObject({ appended: 5, queuedItems: 5 });
  await journal.append([frameOf("three", [late.route])]);
  const again = await started({ io });
  const range = await again.journal.route("late/logs", "logs", "end", NO_LIMITS).read(ALL, never);
  expect(range.frames.map(({ batch }) => textOf(batch))).toEqual(["one", "two", "three"]);
  expect(() => again.journal.route("late/logs", "traces", "end", NO_LIMITS)).toThrow(
    /carries logs/,
  );
});

test("settlements are written within flushMs although nothing is appended", async () => {
  const io = createMemoryIo();
  const { journal, reader } = await started({ io, flushMs: 5 });
  await journal.append([frameOf("one", [reader.route])]);
  const range = await reader.read(ALL, never);
  reader.settle(range, delivered(range));
  await expect.poll(async () => (await started({ io })).reader.counts().delivered).toBe(1);
});

test("progress: settled is exactly what was settled, whatever the order", async () => {
  await fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(5)), { maxLength: 40 }), (steps) => {
      let progress = new Progress();
      const settled = new Set<number>();
      let flights: (readonly [number, number])[] = [];
      for (const [isRead, n] of steps) {
        if (isRead) flights.push(progress.handOut((progress.redo?.[0] ?? progress.upTo + 1) + n));
        else if (n === 5) {
          progress = new Progress(progress.upTo, progress.open);
          flights = [];
        } else {
          const flight = flights.splice(n % Math.max(1, flights.length), 1)[0];
          if (flight === undefined) continue;
          progress.settle(flight);
          for (let seq = flight[0]; seq <= flight[1]; seq++) settled.add(seq);
        }
        for (let seq = 1; seq <= progress.upTo + 2; seq++)
          expect(progress.isSettled(seq)).toBe(settled.has(seq));
        for (let seq = 1; seq <= progress.low; seq++) expect(settled.has(seq)).toBe(true);
      }
    }),
  );
});

test("route sets", async () => {
  const numbers = fc.uniqueArray(fc.nat(200), { maxLength: 20 });
  await fc.assert(
    fc.property(numbers, numbers, (a, b) => {
      const sorted = a.toSorted((x, y) => x - y);
      expect(routeNumbers(routesOf(a))).toEqual(sorted);
      const union = unionRoutes(routesOf(a), routesOf(b));
      for (let n = 0; n <= 200; n++)
        expect(hasRoute(union, n)).toBe(a.includes(n) || b.includes(n));
      for (const n of a)
        expect(routeNumbers(withoutRoute(routesOf(a), n))).toEqual(sorted.filter((m) => m !== n));
    }),
  );
  expect(() => routesOf([1_024])).toThrow(/not between 0 and 1023/);
});

const sent = (items: number): Tally => ({
  ...{ delivered: items, unconfirmed: 0, deadLettered: 0 },
  dropped: new Map(),
});

test.each([
  ["stops", async (journal: Journal) => journal.stop(AbortSignal.timeout(60_000))],
  ["crashes", async () => {}],
])("totals survive a run in which nothing is written, however it ends: it %s", async (_, end) => {
  const io = createMemoryIo();
  const { journal, reader } = await started({ io });
  await journal.append([frameOf("one", [reader.route], 3)]);
  const range = await reader.read(ALL, never);
  await journal.append([], [{ reader, range, tally: delivered(range) }]);
  await journal.stop(AbortSignal.timeout(60_000));
  for (let run = 0; run < 3; run++) {
    const idle = await started({ io });
    expect(idle.reader.counts()).toMatchObject({ appended: 3, delivered: 3, queuedItems: 0 });
    await sleep(30);
    await end(idle.journal);
  }
});

test("removals settle frames out of turn; what is left is read in order, also after a crash", async () => {
  const io = createMemoryIo();
  const { journal, reader } = await started({ io });
  const texts = Array.from({ length: 10 }, (_, i) => `frame ${i}`);
  for (const text of texts) await journal.append([frameOf(text, [reader.route], 2)]);
  await journal.append([], [], [{ reader, seqs: [3, 4, 8], tally: sent(6) }]);
  const other = { reader, seqs: [1, 5], tally: { ...sent(0), dropped: new Map([["x", 4]]) } };
  await journal.append([frameOf("more", [reader.route])], [], [other]);
  const left = ["frame 1", "frame 5", "frame 6", "frame 8", "frame 9", "more"];
  const totals = { appended: 21, delivered: 6, dropped: new Map([["x", 4]]), queuedItems: 11 };
  const walked: string[] = [];
  for await (const frame of journal.frames(1, [reader])) walked.push(textOf(frame.batch));
  expect(walked).toEqual(left);
  expect(reader.counts()).toMatchObject(totals);
  const again = await started({ io });
  expect(again.reader.counts()).toMatchObject(totals);
  for (const one of [reader, again.reader]) {
    const read: Stored[] = [];
    while (read.length < left.length) read.push(...(await one.read(ALL, never)).frames);
    expect(read.map(({ batch }) => textOf(batch))).toEqual(left);
  }
});

test("a removal is refused when a frame does not wait, is read, or the sum is wrong", async () => {
  const { journal, reader } = await started();
  await journal.append([frameOf("one", [reader.route], 2), frameOf("two", [reader.route], 2)]);
  const remove = (seqs: number[], items: number) =>
    journal.append([], [], [{ reader, seqs, tally: sent(items) }]);
  await expect(remove([1, 2], 3)).rejects.toThrow(/sums to 3, they have 4 items/);
  await expect(remove([7], 1)).rejects.toThrow(/frame 7 does not wait/);
  await reader.read({ bytes: 1, items: 1 }, never);
  await expect(remove([1], 2)).rejects.toThrow(/frame 1 does not wait, or somebody reads it/);
  await remove([2], 2);
  await expect(remove([2], 2)).rejects.toThrow(/frame 2 does not wait/);
  expect(reader.counts()).toMatchObject({ delivered: 2, queuedItems: 2 });
});
