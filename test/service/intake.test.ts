import { expect, onTestFinished, test } from "vitest";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { CatchUp } from "../../src/service/catch-up.ts";
import { ReceiverIntake } from "../../src/service/intake.ts";
import { Metrics } from "../../src/service/metrics.ts";
import { Pipeline } from "../../src/service/pipeline.ts";
import { NO_LIMITS, never, testJournal } from "../journal/fake.ts";
import { recordingLog } from "../support/export-rig.ts";
import { batchOfSignal } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";

/** A record of a MiB. */
const batch = batchOfSignal(
  "logs",
  encodeRequest("logs", {
    resourceLogs: [
      { scopeLogs: [{ logRecords: [{ body: { stringValue: "x".repeat(1 << 20) } }] }] },
    ],
  }),
);

/** An intake of one pipeline with one route, and what tells how many of its submits have ended. */
async function intake() {
  const journal = testJournal({ indexer: createIndexer() });
  await journal.start();
  onTestFinished(() => journal.stop(AbortSignal.abort()));
  const meter = new Metrics();
  const reader = journal.route("out/logs", "logs", "end", NO_LIMITS);
  const route = {
    name: "out/logs",
    exporter: "out",
    signal: "logs" as const,
    journal,
    reader,
    bits: Uint32Array.of(1 << reader.route),
    enqueueFailed: meter.counter("failed", "", {}),
  };
  const pipeline = new Pipeline("logs", "logs", new Map(), [route], meter);
  const turns: number[] = [];
  const catchUp = new CatchUp();
  const counted: Pick<CatchUp, "turn"> = {
    turn() {
      turns.push(turns.length);
      return catchUp.turn();
    },
  };
  const receiver = new ReceiverIntake("in", [pipeline], {
    meter,
    log: recordingLog(),
    nowMs: Date.now,
    isClosed: () => false,
    take: () => undefined,
    took: () => {},
    catchUp: counted,
  });
  const lease = {
    bytes: batch.length,
    grow: () => true,
    isBeyondBudget: false,
    [Symbol.dispose]: () => {},
  };
  return { reader, turns, submit: () => receiver.submit([batch], lease) };
}

test("requests are answered in turns of their own while export is behind, and at once when it is not", async () => {
  const { reader, turns, submit } = await intake();
  for (let i = 0; i < 10; i++) await submit();
  expect(turns).toHaveLength(0); // nobody exports
  await reader.read({ bytes: 1 << 30, items: 1 }, never);
  await Promise.all([submit(), submit(), submit()]);
  expect(turns).toHaveLength(3);
  await reader.read({ bytes: 1 << 30, items: 1 << 30 }, never);
  await submit();
  expect(turns).toHaveLength(3);
});
