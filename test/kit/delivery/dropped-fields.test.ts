import { expect, test } from "vitest";
import { DroppedFields } from "../../../src/kit/delivery/dropped-fields.ts";
import { makeSlab } from "../../../src/kit/delivery/slabs.ts";
import type { Range } from "../../../src/otlp/range.ts";
import type { Writer } from "../../../src/series/writer.ts";
import { recordingMeter } from "../../support/export-rig.ts";

const range: Range = { first: 1, last: 1, frames: [], items: 9 };

/** Leaves out one field for each item, up to `to`. */
function rig() {
  const meter = recordingMeter();
  const dropped = new DroppedFields({ id: "influxdb", signal: "logs", meter });
  const writer: Writer = {
    write: (_range, from, to) => {
      if (to > from) dropped.tell("logs", "message", "type", to - from);
      return { to, rows: to - from, dropped: new Map() };
    },
    itemOfRow: (_range, from, row) => from + row,
  };
  return {
    dropped,
    writer: dropped.watch(writer),
    counted: () => meter.value("weir_fields_dropped_total"),
  };
}

test("what is left out of a body is counted with that body, whichever was written last", () => {
  const { writer, dropped, counted } = rig();
  const [first, second, third] = [makeSlab(64), makeSlab(64), makeSlab(64)];
  writer.write(range, 0, 3, first);
  writer.write(range, 3, 8, second);
  writer.write(range, 8, 8, third);
  dropped.count(third.bytes.subarray(0, 4));
  expect(counted()).toBe(0);
  dropped.count(first.bytes.subarray(0, 4));
  expect(counted()).toBe(3);
  dropped.count(second.bytes.subarray(0, 4));
  expect(counted()).toBe(8);
});

test("a body that is written again counts once, and one that nobody wrote not at all", () => {
  const { writer, dropped, counted } = rig();
  const slab = makeSlab(64);
  writer.write(range, 0, 3, slab);
  writer.write(range, 0, 2, slab);
  dropped.count(slab.bytes);
  dropped.count(new Uint8Array(4));
  expect(counted()).toBe(2);
});

test("a watched writer finds rows, and has bodies ready, as it does unwatched", () => {
  const dropped = new DroppedFields({ id: "x", signal: "logs", meter: recordingMeter() });
  const body = new Uint8Array(3);
  const writer: Writer = {
    write: (_range, _from, to) => ({ to, rows: 1, dropped: new Map() }),
    ready: () => body,
    itemOfRow: (_range, from, row) => from + 2 * row,
    itemsOfRows: (_range, from, rows) => rows.map((row) => from + 2 * row),
  };
  const watched = dropped.watch(writer);
  expect(watched.ready?.(range, 0, 1, 9)).toBe(body);
  expect(watched.itemOfRow(range, 1, 3)).toBe(7);
  expect(watched.itemsOfRows?.(range, 1, [3, 4])).toEqual([7, 9]);
  const { ready, itemsOfRows } = rig().writer;
  expect([ready, itemsOfRows]).toEqual([undefined, undefined]);
});
