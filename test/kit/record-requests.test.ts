import { expect, test } from "vitest";
import { Exporting } from "../../src/kit/exporting.ts";
import { REQUEST_MAX, RecordRequests, type RecordSource } from "../../src/kit/record-requests.ts";
import { isRefusal } from "../../src/otlp/status.ts";
import { NOTHING_GIVEN } from "../../src/series/records/given-attributes.ts";
import type { RecordDoor } from "../../src/series/records/record-door.ts";
import { ReceiverRig } from "../support/receiver-rig.ts";

const TEXT = new DataView(new ArrayBuffer((12 << 20) + 16));

/** A body that makes so many records of 12 MiB. */
class Texts implements RecordSource {
  readonly bytes = 2 << 20;
  readonly bad = 0;
  readonly firstBad = "";
  #left: number;
  constructor(count: number) {
    this.#left = count;
  }
  fill(door: RecordDoor): boolean {
    door.text(TEXT, 0, 12 << 20);
    return --this.#left > 0;
  }
}

test("a body whose records take more than 128 MiB is refused as too large, and nothing of it is kept", async () => {
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
});
