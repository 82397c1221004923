import { expect, test } from "vitest";
import { BodyCounts } from "../../../src/kit/delivery/body-counts.ts";
import { makeSlab } from "../../../src/kit/delivery/slabs.ts";
import type { Range } from "../../../src/otlp/range.ts";
import type { Writer } from "../../../src/series/writer.ts";

const range: Range = { first: 1, last: 1, frames: [], items: 9 };

/** Tells one for each item that it writes. */
function rig() {
  let counted = 0;
  const counter = {
    add: (n: number) => {
      counted += n;
    },
  };
  const counts = new BodyCounts();
  const writer: Writer = {
    write: (_range, from, to) => {
      if (to > from) counts.add(counter, to - from);
      return { to, rows: to - from, dropped: new Map() };
    },
    itemOfRow: (_range, from, row) => from + row,
  };
  return { counts, writer: counts.watch(writer), counted: () => counted };
}

test("what is left out of a body is counted with that body, whichever was written last", () => {
  const { writer, counts, counted } = rig();
  const [first, second, third] = [makeSlab(64), makeSlab(64), makeSlab(64)];
  writer.write(range, 0, 3, first);
  writer.write(range, 3, 8, second);
  writer.write(range, 8, 8, third);
  counts.taken(third.bytes.subarray(0, 4));
  expect(counted()).toBe(0);
  counts.taken(first.bytes.subarray(0, 4));
  expect(counted()).toBe(3);
  counts.taken(second.bytes.subarray(0, 4));
  expect(counted()).toBe(8);
});

test("a body that is written again counts once, and one that nobody wrote not at all", () => {
  const { writer, counts, counted } = rig();
  const slab = makeSlab(64);
  writer.write(range, 0, 3, slab);
  writer.write(range, 0, 2, slab);
  counts.taken(slab.bytes);
  counts.taken(new Uint8Array(4));
  expect(counted()).toBe(2);
});

test("a watched writer finds rows, and has bodies ready, as it does unwatched", () => {
  const body = new Uint8Array(3);
  const writer: Writer = {
    write: (_range, _from, to) => ({ to, rows: 1, dropped: new Map() }),
    ready: () => body,
    itemOfRow: (_range, from, row) => from + 2 * row,
    itemsOfRows: (_range, from, rows) => rows.map((row) => from + 2 * row),
  };
  const watched = new BodyCounts().watch(writer);
  expect(watched.ready?.(range, 0, 1, 9)).toBe(body);
  expect(watched.itemOfRow(range, 1, 3)).toBe(7);
  expect(watched.itemsOfRows?.(range, 1, [3, 4])).toEqual([7, 9]);
  const { ready, itemsOfRows } = rig().writer;
  expect([ready, itemsOfRows]).toEqual([undefined, undefined]);
});
