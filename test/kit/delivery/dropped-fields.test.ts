import { expect, test } from "vitest";
import { DroppedFields } from "../../../src/kit/delivery/dropped-fields.ts";
import { recordingMeter } from "../../support/export-rig.ts";

test("what is told while a request is on its way is counted with the next one only", () => {
  const meter = recordingMeter();
  const dropped = new DroppedFields({ id: "influxdb", signal: "logs", meter });
  const first = dropped.take();
  dropped.tell("logs", "message", "type", 3);
  const second = dropped.take();
  dropped.count(first);
  expect(meter.value("weir_fields_dropped_total")).toBe(0);
  dropped.count(second);
  expect(meter.value("weir_fields_dropped_total")).toBe(3);
});
