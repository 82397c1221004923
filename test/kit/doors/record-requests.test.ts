import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { Exporting } from "../../../src/kit/doors/exporting.ts";
import {
  REQUEST_MAX,
  RecordRequests,
  type RecordSource,
} from "../../../src/kit/doors/record-requests.ts";
import { isRefusal } from "../../../src/otlp/status.ts";
import { NOTHING_GIVEN } from "../../../src/series/records/given-attributes.ts";
import type { RecordDoor } from "../../../src/series/records/record-door.ts";
import { recordsOf } from "../../support/http-receiver.ts";
import { ReceiverRig } from "../../support/receiver-rig.ts";

const TEXT = new DataView(new ArrayBuffer((12 << 20) + 16));

/** A body, a large one unless `bytes` say otherwise, that makes so many records, a step each. */
class Texts implements RecordSource {
  readonly bytes: number;
  readonly bad = 0;
  readonly firstBad = "";
  readonly #text: DataView;
  readonly #length: number;
  #left: number;
  constructor(count: number, text = TEXT, length = 12 << 20, bytes = 2 << 20) {
    this.bytes = bytes;
    this.#left = count;
    this.#text = text;
    this.#length = length;
  }
  fill(door: RecordDoor): boolean {
    door.text(this.#text, 0, this.#length);
    return --this.#left > 0;
  }
}

test("records without a time have one each, in their order, also those of a large body between whose parts small ones come", async () => {
  const rig = new ReceiverRig("r");
  // A clock that stands still: all arrive in one millisecond.
  Object.assign(rig.context, { nowMs: () => 1_800_000_000_123 });
  const exporting = new Exporting(rig.context, rig.intake, "http");
  const requests = new RecordRequests(rig.context, rig.intake, exporting, {});
  const lease = exporting.admit("logs", 0);
  if (isRefusal(lease)) throw new Error("refused");
  using _held = lease;
  const text = new DataView(new ArrayBuffer(16 + 3));
  const large = requests.take(new Texts(200, text, 3), NOTHING_GIVEN, lease);
  let isRead = false;
  const done = large.then(() => {
    isRead = true;
  });
  let small = 0;
  for (; !isRead; small++) {
    await requests.take(new Texts(1, text, 3, 100), NOTHING_GIVEN, lease);
    await turn();
  }
  await done;
  expect(small).toBeGreaterThan(10);
  const times = rig.batches.map(({ bytes, length }) =>
    recordsOf([bytes.subarray(0, length)]).map(({ time }) => BigInt(time)),
  );
  for (const ofOne of times) expect(ofOne).toEqual(ofOne.toSorted((a, b) => (a < b ? -1 : 1)));
  const all = times.flat();
  expect(new Set(all).size).toBe(200 + small);
  // Within the millisecond or behind it, and never of a whole microsecond: those would be moved by their content.
  expect(all.filter((nanos) => nanos < 1_800_000_000_123_000_000n)).toEqual([]);
  expect(all.filter((nanos) => nanos % 8n === 0n)).toEqual([]);
});

test("a body whose records take more than 128 MiB is refused as too large, and nothing of it is kept or comes with the next ones", async () => {
  const rig = new ReceiverRig("r");
  const { context, intake } = rig;
  const exporting = new Exporting(context, intake, "http");
  const requests = new RecordRequests(context, intake, exporting, {});
  const lease = exporting.admit("logs", 0);
  if (isRefusal(lease)) throw new Error("refused");
  using _held = lease;
  expect(REQUEST_MAX).toBe(128 << 20);
  await expect(requests.take(new Texts(11), NOTHING_GIVEN, lease)).rejects.toMatchObject({
    kind: "too_large",
    why: expect.stringContaining("send smaller batches"),
  });
  expect(rig.items).toBe(0);
  const small = new DataView(new ArrayBuffer(16 + 3));
  const taken = await Promise.all([
    requests.take(new Texts(5, small, 3), NOTHING_GIVEN, lease),
    requests.take(new Texts(2, small, 3), NOTHING_GIVEN, lease),
  ]);
  expect(taken.map(({ items }) => items)).toEqual([5, 2]);
  expect(rig.items).toBe(7);
});
