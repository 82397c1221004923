import { expect, test } from "vitest";
import type { Batch } from "../../src/otlp/batch.ts";
import { OldItems } from "../../src/service/old-items.ts";
import { recordingLog } from "../support/export-rig.ts";
import { batchOfSignal } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";

const DAY_MS = 86_400_000;
const NOW = 1_795_286_000_000;

function logsAt(...timesMs: number[]): Batch {
  const logRecords = timesMs.map((ms) => ({ timeUnixNano: String(BigInt(ms) * 1_000_000n) }));
  const request = { resourceLogs: [{ scopeLogs: [{ logRecords }] }] };
  return batchOfSignal("logs", encodeRequest("logs", request));
}

function lookout() {
  const clock = { ms: NOW };
  const log = recordingLog();
  const old = new OldItems("otlp", log, () => clock.ms);
  return { clock, log, look: (...batches: Batch[]) => old.look(batches) };
}

test("old items are said once an hour for each receiver, with the age of the oldest", () => {
  const { clock, log, look } = lookout();
  const sent = logsAt(NOW, NOW - 8 * DAY_MS, NOW - 1041 * DAY_MS - 5);
  look(logsAt(NOW - 7 * DAY_MS + 1), sent);
  for (let i = 0; i < 10; i++) {
    clock.ms += 1_000;
    look(sent);
  }
  expect(log.lines).toMatchObject([
    { level: "warn", fields: { receiver: "otlp", items: 2, days: 1041 } },
  ]);
  expect(log.lines[0]?.text).toContain("1041 days old");
  clock.ms += 3_600_000;
  look(sent);
  expect(log.lines).toMatchObject([{}, { fields: { items: 22 } }]);
});

test("items of today, of the last seven days and without a time are none; spans and points are looked at, too", () => {
  const { clock, log, look } = lookout();
  look(logsAt(NOW, NOW - 7 * DAY_MS + 1, NOW + DAY_MS, 0));
  expect(log.lines).toEqual([]);
  clock.ms += 1_000;
  const span = { startTimeUnixNano: "1705314600000000000" };
  const request = { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] };
  look(batchOfSignal("traces", encodeRequest("traces", request)));
  expect(log.lines).toHaveLength(1);
});

test("of a busy receiver 20,000 items a second are looked at, also when the clock is set back", () => {
  const { clock, log, look } = lookout();
  look(logsAt(...Array.from({ length: 19_999 }, () => NOW)));
  look(logsAt(NOW));
  clock.ms += 999;
  look(logsAt(NOW - 9 * DAY_MS));
  expect(log.lines).toEqual([]);
  clock.ms -= 3_600_000;
  look(logsAt(NOW - 9 * DAY_MS));
  expect(log.lines).toHaveLength(1);
});
