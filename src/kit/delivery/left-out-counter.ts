import { getOrMake } from "../../lib/get-or-make.ts";
import type { Counter } from "../../pipeline/telemetry.ts";
import type { ExporterContext } from "./backend.ts";
import type { BodyCounts } from "./body-counts.ts";

/** Counts attributes of items that the destination would not take, by reason, for a writer that `counts` watches. */
export function leftOutCounter(
  { id: exporter, signal, meter }: ExporterContext,
  counts: BodyCounts,
): (reason: string, n: number) => void {
  const counters = new Map<string, Counter>();
  return (reason, n) => {
    const counter = getOrMake(counters, reason, () =>
      meter.counter(
        "weir_exporter_left_out_attributes_total",
        "Attributes that the destination would not take, or not whole; the item was written without them.",
        { exporter, signal, reason },
      ),
    );
    counts.add(counter, n);
  };
}
