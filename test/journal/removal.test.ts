import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { JournalOptions } from "../../src/journal/open.ts";
import { frameOf, NO_LIMITS, never, testJournal } from "./fake.ts";
import { Random, SimulatedDisk } from "./simulated-io.ts";
import { EAGER, turns } from "./sparse-rig.ts";

/** A route of which frames are removed out of turn, read in turn, and that starts again after crashes. */
const steps = fc.array(
  fc.oneof(
    fc.record({ does: fc.constant("append" as const), frames: fc.integer({ min: 1, max: 6 }) }),
    fc.record({
      does: fc.constant("remove" as const),
      picks: fc.array(fc.nat(), { maxLength: 8 }),
    }),
    fc.record({ does: fc.constant("read" as const), items: fc.integer({ min: 1, max: 9 }) }),
    fc.constant({ does: "crash" as const }),
  ),
  { minLength: 1, maxLength: 25 },
);
const ITEMS = 2;
const { WEIR_FUZZ = "120" } = process.env;

/** Small segments, copied as soon as they are sparse. */
const COPIED = { segmentBytes: 900, copyForward: EAGER };

async function open(disk: SimulatedDisk, options: Partial<JournalOptions>) {
  disk.kill();
  const journal = testJournal({ io: disk.mount(), ...options });
  await journal.start();
  return { journal, reader: journal.route("letters/logs", "logs", "oldest", NO_LIMITS) };
}

test.each([
  ["as it is", {}],
  ["copied", COPIED],
])(
  "%s: whatever is removed and read, and whenever it crashes: exactly the rest waits, and the law holds",
  async (_, options) => {
    let copied = 0;
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        const disk = new SimulatedDisk(new Random(1));
        let { journal, reader } = await open(disk, options);
        const totals = { appended: 0, delivered: 0, removed: 0 };
        const waiting = async () => {
          const seqs: number[] = [];
          for await (const { seq } of journal.frames(1, [reader])) seqs.push(seq);
          return seqs;
        };
        let model: number[] = [];
        for (const step of script) {
          if (step.does === "append") {
            const { newest } = journal.stats();
            const frames = Array.from({ length: step.frames }, () =>
              frameOf("x", [reader.route], ITEMS),
            );
            await journal.append(frames);
            totals.appended += step.frames * ITEMS;
            model = [...model, ...frames.map((_, i) => newest + 1 + i)];
          } else if (step.does === "remove") {
            const gone = new Set(
              step.picks.map((pick) => model[pick % Math.max(1, model.length)] ?? 0),
            );
            gone.delete(0);
            const seqs = [...gone].sort((a, b) => a - b);
            const dropped = new Map([["operator", seqs.length * ITEMS]]);
            const tally = { delivered: 0, unconfirmed: 0, deadLettered: 0, dropped };
            await journal.append([], [], [{ reader, seqs, tally }]);
            totals.removed += seqs.length * ITEMS;
            model = model.filter((seq) => !gone.has(seq));
          } else if (step.does === "read" && model.length > 0) {
            const range = await reader.read({ bytes: 1e6, items: step.items }, never);
            const none = { unconfirmed: 0, deadLettered: 0, dropped: new Map() };
            const tally = { delivered: range.items, ...none };
            await journal.append([], [{ reader, range, tally }]);
            expect(range.frames.map(({ seq }) => seq)).toEqual(
              model.splice(0, range.frames.length),
            );
            totals.delivered += range.items;
          } else if (step.does === "crash") {
            copied += journal.stats().copied.segments;
            ({ journal, reader } = await open(disk, options));
          }
          await turns(2 * step.does.length);
          expect(await waiting()).toEqual(model);
          const { appended, delivered, dropped, queuedItems } = reader.counts();
          expect({ appended, delivered, removed: dropped.get("operator") ?? 0 }).toEqual(totals);
          expect(queuedItems).toBe(model.length * ITEMS);
        }
      }),
      { numRuns: Number(WEIR_FUZZ), seed: 20_261_121 },
    );
    if (options === COPIED) expect(copied).toBeGreaterThan(10);
  },
  300_000,
);
