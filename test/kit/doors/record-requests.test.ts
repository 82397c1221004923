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
import { ReceiverRig } from "../../support/receiver-rig.ts";

const TEXT = new DataView(new ArrayBuffer((12 << 20) + 16));

/** A large body that makes so many records, a step each. */
class Texts implements RecordSource {
  readonly bytes = 2 << 20;
  readonly bad = 0;
  readonly firstBad = "";
  readonly #text: DataView;
  readonly #length: number;
  #left: number;
  constructor(count: number, text = TEXT, length = 12 << 20) {
    this.#left = count;
    this.#text = text;
    this.#length = length;
  }
  fill(door: RecordDoor): boolean {
    door.text(this.#text, 0, this.#length);
    return --this.#left > 0;
  }
}

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
