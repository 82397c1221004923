import { expect, test } from "vitest";
import { plainLogs } from "../../../bench/payloads.ts";
import type { ReadLimits } from "../../../src/journal/journal.ts";
import { firstOversize } from "../../../src/kit/delivery/oversize.ts";
import { createIndexer } from "../../../src/otlp/indexing.ts";
import type { Range } from "../../../src/otlp/range.ts";
import type { Slab } from "../../../src/series/writer.ts";
import { HUGE, type Huge } from "../../otlp/huge.ts";
import { exportRig, FakeReader, LineWriter, sent } from "../../support/export-rig.ts";
import { until } from "../../support/until.ts";

const indexer = createIndexer();

function rangeOf(...requests: Uint8Array[]): Range<"logs"> {
  const frames = requests.map((bytes, i) => {
    const indexed = indexer.index("logs", bytes, bytes.length);
    if ("refused" in indexed) throw new Error(indexed.why);
    return { seq: i + 1, batch: indexed.batch, arrivalMs: 0, note: new Uint8Array(0) };
  });
  const items = frames.reduce((sum, { batch }) => sum + batch.items, 0);
  return { first: 1, last: frames.length, frames, items };
}

const { make } = HUGE["one text"] as Huge;

test("the first item over the limit is found, wherever it stands", () => {
  const range = rangeOf(plainLogs(3), Buffer.concat([plainLogs(2), make(50_000)]), plainLogs(4));
  expect(range.items).toBe(10);
  const find = (from: number, to: number, most = 40_000) => firstOversize(range, from, to, most);
  expect([find(0, 10), find(5, 10), find(0, 6)]).toEqual([5, 5, 5]);
  expect([find(0, 5), find(6, 10), find(0, 3)]).toEqual([5, 10, 3]);
  expect(find(0, 10, 60_000)).toBe(10);
  expect(find(0, 10, Number.POSITIVE_INFINITY)).toBe(10);
});

/** Remembers what it was asked to write. */
class RecordingWriter extends LineWriter {
  readonly asked: (readonly [number, number])[] = [];
  override write(range: Range, from: number, to: number, out: Slab) {
    if (to > from) this.asked.push([from, to]);
    return super.write(range, from, to, out);
  }
}

/** Has one range of real batches. */
class RealReader extends FakeReader {
  readonly #range: Range<"logs">;
  constructor(range: Range<"logs">) {
    super([1]);
    this.#range = range;
  }
  override async read(limits: ReadLimits, stop: AbortSignal): Promise<Range<"logs">> {
    await super.read(limits, stop);
    return this.#range;
  }
}

test("a writer never sees an item over the limit: it is a dead letter", async () => {
  const writer = new RecordingWriter();
  const reader = new RealReader(rangeOf(Buffer.concat([plainLogs(2), make(50_000), plainLogs(1)])));
  const limits = { bytes: 1 << 20, items: 100, lanes: 1, itemBytes: 40_000 };
  const rig = exportRig({ frames: [], reader, writer, limits, post: () => sent });
  const running = rig.run();
  await until(() => reader.settled.size === 1);
  await running.stop();
  expect(writer.asked).toEqual([
    [0, 2],
    [3, 4],
  ]);
  expect(reader.settled.get(1)).toMatchObject({ delivered: 3, deadLettered: 1 });
  expect([...rig.deadLetters.letters.values()].map(({ item, reason }) => [item, reason])).toEqual([
    [2, "does_not_fit"],
  ]);
});
